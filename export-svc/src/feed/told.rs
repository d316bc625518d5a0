//! What is told of feeds: how much they have still to be shown, and their progress.

use proto::export::v1::FeedProgress;

use super::{Feed, Feeds};
use crate::settle;

impl Feeds {
    /// Records that a feed has not been shown yet, at most, by the ends of the partitions; `None` as long as they are unknown.
    pub(crate) fn lag(&self, feed: &Feed, ends: &[i64]) -> Option<u64> {
        if ends.is_empty() {
            return None;
        }
        let unread = |(partition, end): (i32, &i64)| {
            let shown = self.shown(feed, partition);
            u64::try_from(end - shown.max(feed.positions.next(partition))).unwrap_or(0)
        };
        Some((0..).zip(ends).map(unread).sum())
    }

    /// Progress of the feeds that have changed, or of all: (key, value). They are clean then.
    pub(crate) fn written(&mut self, workspace: &str, all: bool, ends: &[i64]) -> Vec<(String, FeedProgress)> {
        let mut written = Vec::new();
        let dirty = std::mem::take(&mut self.dirty);
        self.feeds.values_mut().for_each(|feed| feed.dirty = false);
        for (_, feed) in self.feeds.iter().filter(|(id, _)| all || dirty.contains(id)) {
            let (state, reason) = self.condition(feed);
            let mut progress = FeedProgress {
                positions: feed.positions.written(|partition| self.shown(feed, partition)),
                counters: Some(feed.counters),
                state: state.into(),
                state_reason: reason.unwrap_or_default().to_owned(),
                lag: self.lag(feed, ends),
                reset: feed.reset,
                redrive: feed.redriven.number(),
                synced: feed.is_synced(),
                unread_before_start: self.left_of_pass(feed),
                estimated_duration: feed
                    .pace
                    .estimate()
                    .and_then(|left| prost_types::Duration::try_from(left).ok()),
                ..FeedProgress::default()
            };
            feed.trouble.write(&mut progress);
            feed.guard.write(&mut progress);
            feed.write_oldest(&mut progress);
            feed.adds.write(&mut progress);
            if let Some(removing) = &feed.removing {
                removing.write(feed.reset, &mut progress);
            }
            progress.resume_time = self.resumes(feed).map(settle::timestamp);
            written.push((settle::feed_key(workspace, &feed.job.id, &feed.slug), progress));
        }
        written
    }
}
