//! Errors of feeds with nothing between them that went well: a feed sleeps from one attempt to the next, and one that has met
//! nothing else for too long has failed. It keeps its positions then, and is not served until somebody bounces its job.
//!
//! Who has failed, and since when there are errors, is part of progress. So is how often a job had been bounced when a feed
//! last went through that: a bounce is carried out once, whoever serves the feed.

use std::collections::BTreeSet;
use std::time::Duration;

use control::ExportJob;
use proto::export::v1::{ErrorRun, FeedProgress};

use super::{Fault, Feed, FeedId, Feeds, Used};
use crate::clock::Time;
use crate::settle;

/// How long errors may go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Errors further apart are not consecutive: nothing was tried in between.
    pub(crate) apart_max: Duration,
    /// Consecutive errors that have gone on so long are a failure.
    pub(crate) fail_after: Duration,
}

/// What a feed has met since something went well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// When the first and the last of its errors were.
    errors: Option<(Time, Time)>,
    /// Why its last attempt was one, if it waits for the next.
    waits: Option<String>,
    /// Why it has failed.
    failed: Option<String>,
    /// How often its job had been bounced when it last began anew because of that.
    bounces: u64,
}

impl Trouble {
    /// Of a feed that is new to its job, which was bounced so often.
    pub(super) fn none(bounces: u64) -> Self {
        Self {
            bounces,
            ..Self::default()
        }
    }

    /// As it was written down.
    pub(super) fn restore(progress: &FeedProgress) -> Self {
        let time = |time: Option<prost_types::Timestamp>| time.map(settle::from_timestamp);
        let run = progress.errors.as_ref();
        Self {
            errors: run.and_then(|run| Some((time(run.first)?, time(run.last)?))),
            waits: None,
            failed: (!progress.failed.is_empty()).then(|| progress.failed.clone()),
            bounces: progress.bounces,
        }
    }

    /// Writes it down.
    pub(super) fn write(&self, progress: &mut FeedProgress) {
        progress.errors = self.errors.map(|(first, last)| ErrorRun {
            first: Some(settle::timestamp(first)),
            last: Some(settle::timestamp(last)),
        });
        progress.failed = self.failed.clone().unwrap_or_default();
        progress.bounces = self.bounces;
    }

    /// Why it has failed, if it has.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Why it waits for its next attempt, if it does.
    pub(super) fn waits(&self) -> Option<&str> {
        self.waits.as_deref()
    }

    /// See [`Trouble::bounces`].
    pub(crate) fn bounces(&self) -> u64 {
        self.bounces
    }

    /// It is tried anew when it is served again.
    pub(super) fn detach(&mut self) {
        self.waits = None;
    }

    /// One more error. Whether it has failed with that.
    fn err(&mut self, reason: &str, patience: Patience, now: Time) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let before = self.errors.filter(|(_, last)| now.since(*last) <= patience.apart_max);
        let first = before.map_or(now, |(first, _)| first);
        self.errors = Some((first, now));
        if now.since(first) < patience.fail_after {
            return false;
        }
        let hours = patience.fail_after.as_secs_f64() / 3_600.0;
        self.failed = Some(format!(
            "nothing but errors for {hours:.1} hours: {reason}; when that is mended, `export-svc jobs bounce` lets it go on"
        ));
        true
    }
}

impl Feed {
    fn must_bounce(&self) -> bool {
        self.trouble.bounces < self.job.bounces
    }

    /// Ends its fault if its job is like this now: it is bounced, or can be read again. A reset does so itself, and no other edit
    /// can have mended anything.
    pub(super) fn mend(&mut self, job: &ExportJob) {
        if self.job.bounces < job.bounces || self.fault == Some(Fault::Unreadable) {
            self.fault = None;
        }
    }
}

impl Feeds {
    /// The feeds that are served under an authorization, unless that has changed since it was used.
    pub(crate) fn under(&self, used: &Used) -> Vec<FeedId> {
        if !self.is_current(used) {
            return Vec::new();
        }
        let active =
            |feed: &Feed| feed.fault.is_none() && !feed.job.paused && feed.hold.is_none() && !feed.has_removed();
        let under = |feed: &Feed| feed.job.authorization == used.name && active(feed);
        let under = self.feeds.iter().filter(|(_, feed)| under(feed));
        under.map(|(id, _)| id).collect()
    }

    /// These feeds have met an error. Gives back those that have failed with that: they are detached.
    pub(crate) fn err(&mut self, ids: &[FeedId], reason: &str, patience: Patience, now: Time) -> Vec<FeedId> {
        let mut failed = Vec::new();
        for id in ids {
            let feed = self.get_mut(*id);
            if feed.is_some_and(|feed| feed.trouble.err(reason, patience, now)) {
                failed.push(*id);
            }
        }
        if !failed.is_empty() {
            self.detach(&failed);
            self.serve();
        }
        failed
    }

    /// These feeds wait for their next attempt, for this reason.
    pub(crate) fn hold_up(&mut self, ids: &[FeedId], reason: &str) {
        for id in ids {
            if let Some(feed) = self.get_mut(*id).filter(|feed| feed.is_served() || feed.resting) {
                feed.trouble.waits = Some(reason.to_owned());
            }
        }
    }

    /// Something of these feeds went well. Whether any of them had been in trouble.
    pub(crate) fn went_well(&mut self, ids: impl Iterator<Item = FeedId>) -> bool {
        let mut any = false;
        for id in ids {
            // Usually none has, and this is asked for every change.
            let in_trouble = |feed: &Feed| feed.trouble.errors.is_some() && feed.trouble.failed.is_none();
            if self.feeds.get(id).is_some_and(in_trouble)
                && let Some(feed) = self.get_mut(id)
            {
                feed.trouble = Trouble::none(feed.trouble.bounces);
                any = true;
            }
        }
        any
    }

    /// Lets feeds begin anew whose jobs have been bounced: they are read for again, and their authorizations are asked about at
    /// once. Gives back those that had met errors: what they have pending waits no longer, but is handed to them again.
    pub(crate) fn bounce(&mut self) -> Vec<FeedId> {
        let bounced = self.feeds.iter().filter(|(_, feed)| feed.must_bounce());
        let bounced: Vec<_> = bounced.map(|(id, _)| id).collect();
        let (mut authorizations, mut troubled) = (BTreeSet::new(), Vec::new());
        for id in bounced {
            if let Some(feed) = self.get_mut(id) {
                let trouble = std::mem::replace(&mut feed.trouble, Trouble::none(feed.job.bounces));
                authorizations.insert(feed.job.authorization.clone());
                if trouble.errors.is_some() {
                    troubled.push(id);
                }
            }
        }
        self.ask_soon(&authorizations);
        if !troubled.is_empty() {
            self.detach(&troubled);
            self.serve();
        }
        troubled
    }
}
