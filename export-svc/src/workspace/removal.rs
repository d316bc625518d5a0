//! Audiences whose slugs are removed: when that is over.

use jiff::Timestamp;
use proto::export::v1::{ExportEvent, ExportJobState, ExportLogEntry};

use super::Workspace;
use crate::clock::Time;
use crate::engine::{RemovalStatus, unread};
use crate::feed::Feed;
use crate::settle;

impl Workspace {
    /// How the removal of a feed's slug fares, if it is one.
    pub(super) fn removal_status(&self, feed: &Feed) -> Option<RemovalStatus> {
        let removing = feed.removing.as_ref()?;
        let done = removing.is_done();
        let (state, reason) = match &self.unread {
            Some(reason) if !done => (ExportJobState::Fault, Some(reason.as_str())),
            _ => self.feeds.condition(feed),
        };
        let resumes = self.feeds.resumes(feed);
        Some(RemovalStatus {
            audience: feed.slug.to_string(),
            number: feed.reset,
            done,
            counters: feed.counters,
            unread: unread(done, !removing.rests(), self.feeds.left_of_pass(feed)),
            estimate: feed.pace.estimate().filter(|_| !done),
            state,
            reason: reason.unwrap_or_default().to_owned(),
            bounces: feed.trouble.bounces(),
            resumes: resumes.and_then(|time| Timestamp::from_millisecond(time.as_millis()).ok()),
        })
    }

    /// Looks which removals have come to their ends. Gives back what is to be logged.
    pub(crate) fn end_removals(&mut self, now: Time) -> Vec<ExportLogEntry> {
        let ended = self.feeds.end_removals(self.layout.compaction_lag, now);
        if !ended.is_empty() {
            self.touch();
        }
        let ended = ended.iter().filter_map(|id| self.feeds.get(*id));
        ended
            .map(|feed| {
                let counters = feed.counters;
                let message = format!(
                    "the slug of audience {} is removed: {} updates accepted, {} refused",
                    feed.slug, counters.removed, counters.rejected
                );
                tracing::info!("{}: {message}", feed.job_name);
                ExportLogEntry {
                    job: feed.job_name.clone(),
                    event: ExportEvent::SlugsRemoved.into(),
                    time: Some(settle::timestamp(now)),
                    message,
                    counters: Some(counters),
                    ..ExportLogEntry::default()
                }
            })
            .collect()
    }
}
