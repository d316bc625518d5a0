//! How far a feed is from a record, for people who ask.

use super::{Feed, Feeds, Which};

/// What a feed has to do with a record of its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It has still to be handed to the feed, perhaps once more.
    Unread {
        /// Records that its reader has to read before, of any audience, at most.
        before: u64,
        /// The feed has a backlog.
        catch_up: bool,
    },
    /// It was handed to the feed, and is not settled.
    Handed,
    /// The feed is done with it.
    Done,
}

impl Feeds {
    /// The feed of a job and an audience.
    pub(crate) fn of(&self, job: &str, audience: &str) -> Option<(super::FeedId, &Feed)> {
        let is_it = |feed: &Feed| feed.job_name == job && *feed.slug == *audience;
        self.feeds.iter().find(|(_, feed)| is_it(feed))
    }

    /// What a feed has to do with a record of its audience.
    pub(crate) fn reading(&self, feed: &Feed, partition: i32, offset: i64) -> Reading {
        if feed.positions.is_handed(partition, offset) {
            return Reading::Handed;
        }
        let shown = self.shown(feed, partition);
        if !feed.positions.wants(partition, offset) || offset < shown {
            return Reading::Done;
        }
        let from = shown.max(feed.positions.read_from(partition));
        Reading::Unread {
            before: u64::try_from(offset - from).unwrap_or(0),
            catch_up: feed.reader == Some(Which::CatchUp),
        }
    }
}
