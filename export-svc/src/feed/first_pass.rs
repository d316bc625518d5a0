//! The first pass of a job that sends existing users, and which exits it need not send.
//!
//! Below the job's start an exit only undoes what stands in the log before it. If no job ever exported the audience to Braze,
//! nobody there has the slug but those whose enter this pass has handed on, so the exit of anybody else is *needless*. What
//! was handed on is remembered in a filter of fixed size, one for all first passes of the workspace; when it says yes by
//! mistake, a remove is sent that nobody needed. A feed that was restarted or detached in mid-pass hands every exit on: its
//! earlier enters may have been compacted away, and the filter does not know of them.

use std::time::Duration;

use super::{Feed, FeedId, Feeds};
use crate::clock::Time;
use crate::order::Key;

/// Bits of the filter: 8 MiB. With a million enters in it, one exit in a thousand is sent needlessly.
const BITS: u64 = 1 << 26;
/// Bits set for each key.
const BITS_PER_KEY: u64 = 4;

/// Keys of which it never denies one that was added. They are hashes already, so that a few lines do what a library would.
#[derive(Debug)]
pub(crate) struct Filter(Vec<u64>);

impl Filter {
    pub(crate) fn new() -> Self {
        Self(vec![0; index(BITS / 64)])
    }

    pub(crate) fn add(&mut self, key: Key) {
        for (word, bit) in bits(key) {
            self.0[word] |= bit;
        }
    }

    pub(crate) fn may_have(&self, key: Key) -> bool {
        bits(key).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// Where the bits of a key are: the first by its lower half, the others in steps of its upper half.
fn bits(key: Key) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (key & 0xffff_ffff, (key >> 32) | 1);
    (0..BITS_PER_KEY).map(move |number| {
        let bit = (first + number * step) % BITS;
        (index(bit / 64), 1 << (bit % 64))
    })
}

fn index(word: u64) -> usize {
    usize::try_from(word).unwrap_or(0)
}

/// What the first passes of a workspace have handed on; there only while there is one.
#[derive(Debug, Default)]
pub(super) struct FirstPasses(Option<Filter>);

/// How fast a feed comes to its job's start.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<(Time, u64)>,
    estimate: Option<Duration>,
}

impl Pace {
    /// So many records are left now.
    fn observe(&mut self, left: u64, now: Time) {
        let last = self.last.replace((now, left));
        let taken = last.map(|(then, before)| (now.since(then), before.saturating_sub(left)));
        let moving = taken.filter(|(_, read)| *read > 0 && left > 0);
        self.estimate = moving.map(|(taken, read)| taken.mul_f64(left as f64 / read as f64));
    }

    /// How long the rest takes if it goes on as lately.
    pub(crate) fn estimate(&self) -> Option<Duration> {
        self.estimate
    }
}

impl Feed {
    /// Where its job started in the partition, or where the topic ended when the audience was added to it, or has left it.
    pub(super) fn start(&self, partition: i32) -> i64 {
        if let Some(removing) = &self.removing {
            return removing.until(partition);
        }
        let starts = self.added.as_ref().map_or(&self.job.start, |addition| &addition.start);
        let is_it = |(of, _): &&(i32, i64)| *of == partition;
        // Usually they are all there, in order; and this is asked often.
        let at_its_place = usize::try_from(partition).ok().and_then(|index| starts.get(index));
        let start = at_its_place.filter(is_it).or_else(|| starts.iter().find(is_it));
        start.map_or(0, |(_, offset)| *offset)
    }

    /// Whether a record is only there to tell who is a member: of a job whose events or purchases, other than an attribute, nothing
    /// takes back. Who has left before is nobody's event, however often the pass is interrupted.
    pub(crate) fn tells_members_only(&self, partition: i32, offset: i64) -> bool {
        if self.job.options.writes.is_attribute() {
            return false;
        }
        let mut resets = self.job.resets.iter();
        let is_repeated = resets.any(|reset| reset.number <= self.reset && reset.is_about(&self.slug));
        self.job.existing_users && !is_repeated && offset < self.start(partition)
    }
}

impl Feeds {
    /// Whether a feed comes to a record that should have been read before others of its age were compacted away. What was there
    /// when its job was created, or let go on elsewhere, is taken as it is; and it was there if it is read once more.
    pub(crate) fn is_late(&self, id: FeedId, partition: i32, offset: i64, written: Time) -> bool {
        // Whoever removes takes what there is.
        let Some(feed) = self.feeds.get(id).filter(|feed| feed.removing.is_none()) else {
            return false;
        };
        let unread = offset >= feed.positions.next(partition).max(feed.start(partition));
        let resets = feed.job.resets.iter();
        let mut gone_through = resets.filter(|reset| reset.number <= feed.reset && reset.is_about(&feed.slug));
        unread && !gone_through.any(|reset| Time::from_millis(reset.time.as_millisecond()) >= written)
    }

    /// Whether a feed need not be sent a change, under any of these keys. Ask for every change of a feed that is in its first
    /// pass: the enters are remembered.
    pub(crate) fn is_needless(&mut self, id: FeedId, partition: i32, offset: i64, add: bool, keys: &[Key]) -> bool {
        let Some(feed) = self.feeds.get(id) else { return false };
        if !feed.first_pass {
            return !add && feed.tells_members_only(partition, offset);
        }
        let filter = &mut self.first_passes.0;
        if add {
            let filter = filter.get_or_insert_with(Filter::new);
            keys.iter().for_each(|key| filter.add(*key));
            return false;
        }
        let known = |filter: &Filter| keys.iter().any(|key| filter.may_have(*key));
        offset < feed.start(partition) && !filter.as_ref().is_some_and(known)
    }

    /// First passes that have come to their jobs' starts are over, and the filter goes with the last one.
    pub(crate) fn end_first_passes(&mut self) {
        let passing = self.feeds.iter().filter(|(_, feed)| feed.first_pass);
        let over = passing.filter(|(_, feed)| self.left_of_pass(feed) == 0);
        for id in over.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.first_pass = false;
            }
        }
        if !self.feeds.values().any(|feed| feed.first_pass) {
            self.first_passes = FirstPasses::default();
        }
    }

    /// Records below its job's start that a feed has not been shown yet, at most: compaction leaves holes.
    pub(crate) fn left_of_pass(&self, feed: &Feed) -> u64 {
        let left = |partition: i32| {
            // Behind the last record may be nothing but holes.
            if feed
                .reader
                .is_some_and(|which| self.readers.has_ended(which, partition))
            {
                return 0;
            }
            let shown = self.shown(feed, partition).max(feed.positions.next(partition));
            u64::try_from(feed.start(partition) - shown).unwrap_or(0)
        };
        (0..).take(self.partitions).map(left).sum()
    }

    /// Looks how far each feed has come to its job's start. Call it now and then.
    pub(crate) fn observe_pace(&mut self, now: Time) {
        let left: Vec<_> = self.feeds.values().map(|feed| self.left_of_pass(feed)).collect();
        for (feed, left) in self.feeds.values_mut().zip(left) {
            feed.pace.observe(left, now);
        }
    }

    #[cfg(test)]
    pub(super) fn remembers_enters(&self) -> bool {
        self.first_passes.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::stable_hash;

    #[test]
    fn what_is_left_takes_as_long_as_it_did_lately_and_nobody_knows_while_nothing_moves() {
        let mut pace = Pace::default();
        let mut after = |left, seconds| {
            pace.observe(left, Time::from_millis(0) + Duration::from_secs(seconds));
            pace.estimate()
        };
        assert_eq!(after(1_000, 10), None, "one look is none");
        assert_eq!(after(800, 20), Some(Duration::from_secs(40)));
        assert_eq!(after(400, 30), Some(Duration::from_secs(10)));
        assert_eq!(after(400, 40), None, "it stands still");
        assert_eq!(after(500, 50), None, "it was reset");
        assert_eq!(after(0, 60), None, "there is nothing left");
    }

    #[test]
    fn what_was_added_is_never_denied_and_hardly_anything_else_is_affirmed() {
        let key = |number: u32| stable_hash(&[&number.to_le_bytes()]);
        let mut filter = Filter::new();
        (0..100_000).for_each(|number| filter.add(key(number)));
        assert!((0..100_000).all(|number| filter.may_have(key(number))));
        let mistaken = (100_000..200_000)
            .filter(|number| filter.may_have(key(*number)))
            .count();
        assert!(mistaken < 10, "{mistaken} of 100,000");
    }
}
