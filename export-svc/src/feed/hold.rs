//! Who is not served, and why: somebody wants that, something must be mended first, or the clock says so.
//!
//! By the clock a job is quiet at some time of the day, and completed from some time on. Its feeds are detached then, as those of a
//! paused job are. What the clock says is asked when it may have changed (`next_turn`), and whenever jobs are applied.

use control::Hold;
use jiff::Timestamp;
use proto::export::v1::ExportJobState;

use super::{Feed, FeedId, Feeds, Removing};
use crate::clock::Time;
use crate::hash::Map;

/// Why the clock holds a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    hold: Hold,
    reason: String,
}

impl Held {
    fn of(hold: Hold) -> Self {
        let reason = match &hold {
            Hold::Expired(since) => {
                format!("completed at {since}, as it was to be; `export-svc jobs update --expires` lets it go on")
            }
            Hold::Quiet(until) => format!("its quiet window holds its changes until {until}"),
        };
        Self { hold, reason }
    }
}

impl Feeds {
    /// It is `now`: looks whom the clock holds, and whom not any more. Gives back the feeds that it holds from now on: what they
    /// have pending is not to be sent.
    pub(crate) fn keep_time(&mut self, now: Time) -> Vec<FeedId> {
        self.now = now;
        self.look_at_clock();
        let held = self.held();
        self.detach(&held);
        self.serve();
        held
    }

    /// When [`Feeds::keep_time`] has something to do next.
    pub(crate) fn next_turn(&self) -> Option<Time> {
        self.next_turn
    }

    /// Whom the clock holds at `self.now`; nobody is detached or served for it yet.
    pub(super) fn look_at_clock(&mut self) {
        let now = Timestamp::from_millisecond(self.now.as_millis()).unwrap_or(Timestamp::MAX);
        let mut said = Map::default();
        for (id, feed) in self.feeds.iter_mut() {
            let options = &feed.job.options;
            let removes = feed.removing.is_some();
            let (hold, _) = said.entry((feed.lane, removes)).or_insert_with(|| {
                // What a job is to remove, it removes also after its time.
                let expires = options.expire_time.filter(|_| !removes);
                let (hold, again) = control::Options {
                    expire_time: expires,
                    ..options.clone()
                }
                .hold(now);
                (hold.map(Held::of), again)
            });
            if feed.hold != *hold {
                feed.hold.clone_from(hold);
                self.dirty.insert(id);
            }
        }
        let turns = said.values().filter_map(|(_, again)| *again);
        let turns = turns.map(|again| Time::from_millis(again.as_millisecond()));
        self.next_turn = turns.chain(self.look_at_caps()).min();
    }

    /// Nobody reads for the feed: it is in fault, or paused, or has failed, or the clock or its guard holds it, or Braze does not take
    /// its authorization. Or it removes a slug, and has nothing to do.
    pub(super) fn is_held(&self, feed: &Feed) -> bool {
        if feed.removing.as_ref().is_some_and(Removing::rests) {
            return true;
        }
        let stopped = feed.fault.is_some() || feed.job.paused || feed.hold.is_some() || feed.trouble.failed().is_some();
        stopped || feed.guard.stops() || self.asleep(&feed.job.authorization).is_some()
    }

    /// Feeds that are held and have something to give up.
    pub(super) fn held(&self) -> Vec<FeedId> {
        let held = |feed: &Feed| (feed.reader.is_some() || feed.resting) && self.is_held(feed);
        let held = self.feeds.iter().filter(|(_, feed)| held(feed));
        held.map(|(id, _)| id).collect()
    }

    /// How a feed fares, and why, if not well.
    pub(crate) fn condition<'a>(&'a self, feed: &'a Feed) -> (ExportJobState, Option<&'a str>) {
        if feed.has_removed() {
            return (ExportJobState::Runnable, None);
        }
        if let Some(fault) = &feed.fault {
            return (ExportJobState::Fault, Some(fault.reason()));
        }
        if feed.job.paused || feed.guard.held().is_some() {
            return (ExportJobState::Paused, feed.guard.held());
        }
        let held = feed.hold.as_ref();
        if let Some(completed) = held.filter(|held| matches!(held.hold, Hold::Expired(_))) {
            return (ExportJobState::Completed, Some(&completed.reason));
        }
        if let Some(reason) = feed.trouble.failed() {
            return (ExportJobState::Failed, Some(reason));
        }
        let held = held.map(|held| held.reason.as_str());
        let held = held.or_else(|| self.asleep(&feed.job.authorization));
        let held = held.or_else(|| self.capped(feed)).or(feed.guard.waits());
        match held.or(feed.trouble.waits()) {
            Some(reason) => (ExportJobState::Sleeping, Some(reason)),
            None => (ExportJobState::Runnable, None),
        }
    }

    /// When a feed goes on by itself that sleeps by the clock, or because its job has sent enough.
    pub(crate) fn resumes(&self, feed: &Feed) -> Option<Time> {
        if self.condition(feed).0 != ExportJobState::Sleeping {
            return None;
        }
        match feed.hold.as_ref().map(|held| &held.hold) {
            Some(Hold::Quiet(until)) => Some(Time::from_millis(until.as_millisecond())),
            // It waits longer if Braze does not take its authorization.
            _ if self.asleep(&feed.job.authorization).is_some() => None,
            _ => self.capped_until(feed),
        }
    }

    /// Whether a feed is left out by the clock, or because its job has sent enough.
    pub(crate) fn is_held_back(&self, feed: &Feed) -> bool {
        feed.hold.is_some() || feed.capped
    }
}
