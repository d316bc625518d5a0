//! Since when the oldest change of a feed has waited to be confirmed: handed on and not settled, or still to be shown.
//!
//! It is looked at once in a while, so that a record costs nothing. What was handed on is in the batch, with Kafka's timestamp.
//! Of what is unread nobody knows the timestamp, but what it cannot be older than: the record that the feed's reader has shown
//! last, and the last moment when nothing was unread. Neither ever goes back but by a reset, so whoever is not served, or was
//! served by a predecessor, is as old as was known last.

use std::collections::BTreeMap;

use proto::export::v1::FeedProgress;

use super::{Feed, FeedId, Feeds};
use crate::clock::Time;
use crate::settle;

/// What is known of one feed.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    /// Of what was handed on and is not settled.
    open: Option<Time>,
    /// What is unread is no older.
    unread_from: Option<Time>,
    /// Something is unread, as far as anybody knows.
    is_behind: bool,
}

impl Oldest {
    /// As it was written down.
    pub(super) fn restore(progress: &FeedProgress) -> Self {
        Self {
            open: progress.oldest_unconfirmed_time.map(settle::from_timestamp),
            unread_from: progress.unread_from_time.map(settle::from_timestamp),
            is_behind: false,
        }
    }
}

impl Feed {
    /// Writes it down.
    pub(super) fn write_oldest(&self, progress: &mut FeedProgress) {
        progress.oldest_unconfirmed_time = self.oldest().map(settle::timestamp);
        progress.unread_from_time = self.oldest.unread_from.map(settle::timestamp);
    }

    /// When the oldest record was written that the feed was handed and has not settled, or has still to be shown; `None` if
    /// there is none, or nobody knows. What is removed waits for nobody.
    pub(crate) fn oldest(&self) -> Option<Time> {
        if self.removing.is_some() {
            return None;
        }
        let open = self.oldest.open.filter(|_| self.positions.open_len() > 0);
        let unread = self.oldest.unread_from.filter(|_| self.oldest.is_behind);
        open.into_iter().chain(unread).min()
    }
}

impl Feeds {
    /// Looks at every feed. `pending`: when the oldest change was written that the batch has of it; `ends`: those of the partitions
    /// at `asked`. Whether anything has changed.
    pub(crate) fn observe_oldest(
        &mut self,
        pending: &BTreeMap<FeedId, Time>,
        ends: &[i64],
        asked: Time,
        now: Time,
    ) -> bool {
        let behind: Vec<_> = self.feeds.values().map(|feed| self.behind(feed, ends)).collect();
        let mut changed = false;
        for ((id, feed), behind) in self.feeds.iter_mut().zip(behind) {
            let (before, was_behind) = (feed.oldest(), feed.oldest.is_behind);
            let (pending, known) = (pending.get(&id).copied(), feed.oldest.open);
            let to_be_read_again = known.filter(|_| pending.is_none() || feed.positions.awaits());
            let open = pending.into_iter().chain(to_be_read_again).min().unwrap_or(now);
            let is_new = known.is_none();
            feed.oldest.open = (feed.positions.open_len() > 0).then_some(open);
            match behind {
                None => {}
                Some(Behind::Nothing) => {
                    feed.oldest.is_behind = false;
                    feed.oldest.unread_from = feed.oldest.unread_from.max(Some(asked));
                }
                Some(Behind::Since(shown)) => {
                    feed.oldest.is_behind = true;
                    feed.oldest.unread_from = feed.oldest.unread_from.max(shown);
                }
            }
            changed |= feed.oldest() != before;
            // Or whoever asks another replica would not hear of it while nothing else happens.
            let begins = is_new && feed.oldest.open.is_some();
            if begins || (feed.reader.is_none() && feed.oldest.is_behind != was_behind) {
                self.dirty.insert(id);
            }
        }
        changed
    }

    /// Whether a feed has something unread, and what that cannot be older than by what its reader has shown; `None` as long as
    /// the ends are unknown.
    fn behind(&self, feed: &Feed, ends: &[i64]) -> Option<Behind> {
        if self.lag(feed, ends)? == 0 {
            return Some(Behind::Nothing);
        }
        let is_behind = |(partition, end): &(i32, &i64)| {
            let shown = self.shown(feed, *partition).max(feed.positions.next(*partition));
            **end > shown
        };
        let shown = |which| {
            let behind = (0..).zip(ends).filter(is_behind);
            behind
                .map(|(partition, _)| self.readers.shown_at(which, partition))
                .min()
        };
        Some(Behind::Since(feed.reader.and_then(shown).flatten()))
    }
}

/// What a feed has still to be shown.
enum Behind {
    Nothing,
    /// Records that are no older than this, if that is known.
    Since(Option<Time>),
}
