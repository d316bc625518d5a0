//! Errors with Braze and faults of positions, and what becomes of the jobs that meet them.

use std::collections::BTreeSet;

use super::Workspace;
use crate::batch::RequestId;
use crate::clock::Time;
use crate::feed::{Fault, Feed, FeedId, Used, Which};

impl Workspace {
    /// The feeds whose changes a request in flight holds.
    pub(crate) fn feeds_of(&self, request: RequestId) -> Vec<FeedId> {
        let feeds: BTreeSet<_> = self.batch.origins(request).map(|origin| origin.feed).collect();
        feeds.into_iter().collect()
    }

    /// Braze has taken what a request in flight holds, or has said what is wrong with it.
    pub(crate) fn went_well(&mut self, request: RequestId) {
        let feeds = self.batch.origins(request).map(|origin| origin.feed);
        if self.feeds.went_well(feeds) {
            self.touch();
        }
    }

    /// What these feeds had in flight is to be tried again.
    pub(crate) fn err(&mut self, feeds: &[FeedId], reason: &str, now: Time) {
        self.feeds.hold_up(feeds, reason);
        self.note_error(feeds, reason, now);
    }

    /// Braze does not take an authorization, or nobody knows whether it does.
    pub(crate) fn err_under(&mut self, used: &Used, now: Time) {
        if let Some(reason) = self.feeds.asleep(&used.name).map(str::to_owned) {
            let feeds = self.feeds.under(used);
            self.note_error(&feeds, &reason, now);
        }
    }

    fn note_error(&mut self, feeds: &[FeedId], reason: &str, now: Time) {
        let failed = self.feeds.err(feeds, reason, self.config.patience(), now);
        for feed in failed.iter().filter_map(|id| self.feeds.get(*id)) {
            let why = feed.trouble.failed().unwrap_or_default();
            tracing::error!("{}, audience {} has failed: {why}", feed.job_name, feed.slug);
        }
        self.abandon(&failed, now);
        self.touch();
    }

    /// Lets jobs try again that have been bounced.
    pub(super) fn bounce(&mut self, now: Time) {
        let bounced = self.feeds.bounce();
        if !bounced.is_empty() {
            self.budget.try_again();
            self.abandon(&bounced, now);
        }
    }

    /// A position is not in its partition, which holds offsets from the first to the end in `held`: the feeds that need it
    /// are in fault, and the others go on.
    pub(crate) fn offset_gone(&mut self, which: Which, partition: i32, held: (i64, i64), now: Time) {
        let stopped = self
            .feeds
            .offset_gone(which, partition, held, |feed| resync(feed, partition, held.1));
        self.stop(&stopped, now);
    }

    /// Feeds whose next record would come after the end are in fault: it is another topic of the same name, or it was cut off.
    pub(crate) fn stop_beyond(&mut self, ends: &[i64], newest: FeedId, now: Time) {
        for (feed, partition) in self.feeds.beyond(ends, newest) {
            let end = usize::try_from(partition).ok().and_then(|index| ends.get(index));
            let end = end.copied().unwrap_or_default();
            self.feeds.stick(&[feed], |feed| resync(feed, partition, end));
            self.stop(&[feed], now);
        }
    }

    /// What feeds that are in fault have pending is not sent.
    pub(crate) fn stop(&mut self, feeds: &[FeedId], now: Time) {
        for job in feeds.iter().filter_map(|id| self.feeds.get(*id)) {
            let fault = job.fault.as_ref().map(Fault::reason).unwrap_or_default();
            tracing::error!("{}, audience {} is in fault: {fault}", job.job_name, job.slug);
        }
        self.abandon(feeds, now);
    }
}

/// Why a feed cannot go on where it is.
fn resync(feed: &Feed, partition: i32, end: i64) -> String {
    let offset = feed.positions.read_from(partition);
    let way_out = match feed.removing {
        None => "let the job go on elsewhere with `export-svc jobs reset`, such as --to-beginning",
        Some(_) => "delete the job, create another one for the audience, and kill that with --remove-slugs",
    };
    format!(
        "resync needed: the next record, offset {offset} of partition {partition}, is not in the topic any more, which ends at \
         {end} there; {way_out}"
    )
}
