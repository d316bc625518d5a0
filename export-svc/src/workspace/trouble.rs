//! Errors with Braze, and what becomes of the jobs that meet them.

use std::collections::BTreeSet;

use super::Workspace;
use crate::batch::RequestId;
use crate::clock::Time;
use crate::feed::{FeedId, Used};

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
}
