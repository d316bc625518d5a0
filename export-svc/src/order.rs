//! When a value may be sent again: Braze applies calls asynchronously and may reorder them, so the opposite of what was
//! just sent waits until the earlier call can no longer take effect.
//!
//! Pure; time is an argument. What is remembered is, per (person, slug) and value, until when Braze may still apply that
//! value. The same value never waits for itself.

mod gaps;

use std::collections::VecDeque;
use std::time::Duration;

use self::gaps::Gaps;
use crate::clock::Time;
use crate::hash::Map;

/// A (person, slug), hashed. A person is known by two names, the profile at Lytics and the user at Braze; an
/// [`Order`] looks at both, since either may be the one that two changes have in common.
pub type Key = u64;

/// Until when Braze may still apply one value, for as long as that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Of whom and which slug.
    pub key: Key,
    /// The value: true for add.
    pub add: bool,
    /// The opposite value waits until then.
    pub until: Time,
}

/// How long the opposite value waits, and how much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct OrderLimits {
    /// After an accepted attempt.
    pub settle_gap: Duration,
    /// After the end of an attempt that ended unknown.
    pub doubt: Duration,
    /// Entries remembered; at this number it is full: see [`Order::is_full`].
    pub entries_max: usize,
    /// Entries in doubt remembered; they must fit the progress record.
    pub doubts_max: usize,
}

/// The not-before times of one Braze workspace.
#[derive(Debug)]
pub struct Order {
    limits: OrderLimits,
    /// After accepted attempts, by value: of removes, and of adds.
    gaps: [Gaps; 2],
    /// Until when, of what is in doubt.
    until: Map<(Key, bool), Time>,
    /// What of it to look at for expiry, nearly in order of time.
    doubts: VecDeque<Unsettled>,
}

impl Order {
    /// Remembers nothing yet.
    pub fn new(limits: OrderLimits) -> Self {
        Self {
            limits,
            gaps: [Gaps::default(), Gaps::default()],
            until: Map::default(),
            doubts: VecDeque::new(),
        }
    }

    /// When `add` may be sent: the opposite value cannot be applied any more from then on, under either name.
    #[inline(always)]
    pub fn not_before(&self, keys: [Key; 2], add: bool) -> Time {
        let gaps = self.gaps[usize::from(!add)].until(keys);
        if self.until.is_empty() {
            return gaps;
        }
        let doubt = |key| self.until.get(&(key, !add)).copied().unwrap_or(Time::MIN);
        gaps.max(doubt(keys[0])).max(doubt(keys[1]))
    }

    /// Whether `add` waits because nobody knows whether Braze has taken the opposite.
    pub fn is_in_doubt(&self, keys: [Key; 2], add: bool, now: Time) -> bool {
        let doubt = |key| self.until.get(&(key, !add)).is_some_and(|until| *until > now);
        keys.into_iter().any(doubt)
    }

    /// Braze accepted `add` at `now`.
    pub fn accepted(&mut self, keys: [Key; 2], add: bool, now: Time) {
        self.gaps[usize::from(add)].insert(keys, now + self.limits.settle_gap);
    }

    /// An attempt to send `add` ended unknown at `now`. A later accepted attempt does not shorten the wait.
    pub fn unknown(&mut self, keys: [Key; 2], add: bool, now: Time) {
        self.doubt(keys, add, now + self.limits.doubt);
    }

    /// Braze may apply `add` until then.
    pub fn doubt(&mut self, keys: [Key; 2], add: bool, until: Time) {
        for key in keys {
            self.restore(Unsettled { key, add, until });
        }
    }

    /// Takes over what a predecessor wrote. The maximum over all attempts counts.
    pub fn restore(&mut self, unsettled: Unsettled) {
        let known = self.until.entry((unsettled.key, unsettled.add)).or_insert(Time::MIN);
        if unsettled.until > *known {
            *known = unsettled.until;
            self.doubts.push_back(unsettled);
        }
    }

    /// Forgets what has passed by `now`. Doubts go in order of arrival: one that must stay keeps those behind it, which
    /// costs memory within the bound and no promise.
    pub fn expire(&mut self, now: Time) {
        for gaps in &mut self.gaps {
            gaps.expire(now, self.limits.settle_gap / 2);
        }
        while let Some(first) = self.doubts.front()
            && first.until <= now
        {
            let key = (first.key, first.add);
            if self.until.get(&key).is_some_and(|until| *until <= now) {
                self.until.remove(&key);
            }
            self.doubts.pop_front();
        }
    }

    /// Whether no request may start until something expires. `coming`: entries that the requests in flight may add, each of
    /// which may end unknown.
    pub fn is_full(&self, coming: usize) -> bool {
        self.len() + coming >= self.limits.entries_max || self.doubts.len() + coming >= self.limits.doubts_max
    }

    /// When [`Order::expire`] has something to do next.
    pub fn next_expiry(&self) -> Option<Time> {
        let gaps = self.gaps.iter().filter_map(Gaps::next_expiry);
        gaps.chain(self.doubts.front().map(|first| first.until)).min()
    }

    /// How many entries are remembered.
    pub fn len(&self) -> usize {
        self.gaps.iter().map(Gaps::len).sum::<usize>() + self.doubts.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is in doubt after `now`: part of every progress record, since it outlives the change it came from.
    pub fn doubts(&self, now: Time) -> Vec<Unsettled> {
        let current = |entry: &&Unsettled| self.until.get(&(entry.key, entry.add)) == Some(&entry.until);
        self.doubts
            .iter()
            .filter(|entry| entry.until > now)
            .filter(current)
            .copied()
            .collect()
    }

    /// Everything that has not expired at `now`: what a released workspace hands to its next owner.
    pub fn unexpired(&self, now: Time) -> impl Iterator<Item = Unsettled> {
        let gaps = [false, true].into_iter().zip(&self.gaps);
        let gaps = gaps.flat_map(|(add, gaps)| gaps.iter().map(move |(key, until)| Unsettled { key, add, until }));
        let doubts = self.until.iter().map(|((key, add), until)| Unsettled {
            key: *key,
            add: *add,
            until: *until,
        });
        gaps.chain(doubts).filter(move |unsettled| unsettled.until > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [Key; 2] = [1, 2];

    fn order() -> Order {
        Order::new(OrderLimits {
            settle_gap: Duration::from_secs(3),
            doubt: Duration::from_secs(60),
            entries_max: 6,
            doubts_max: 4,
        })
    }

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_opposite_waits_for_the_settle_gap_and_the_same_value_does_not() {
        let mut order = order();
        order.accepted(KEYS, true, at(10));
        assert_eq!(order.not_before(KEYS, false), at(13));
        assert_eq!(order.not_before(KEYS, true), Time::MIN);
    }

    #[test]
    fn a_later_accepted_retry_does_not_shorten_the_doubt() {
        let mut order = order();
        order.unknown(KEYS, true, at(10));
        order.accepted(KEYS, true, at(11));
        assert_eq!(order.not_before(KEYS, false), at(70));
        order.expire(at(14));
        assert_eq!(order.not_before(KEYS, false), at(70));
        order.expire(at(70));
        assert!(order.is_empty());
        assert_eq!(order.not_before(KEYS, false), Time::MIN);
    }

    #[test]
    fn one_name_in_common_is_enough_to_wait() {
        let mut order = order();
        order.accepted([1, 2], true, at(10));
        assert_eq!(order.not_before([7, 2], false), at(13));
        assert_eq!(order.not_before([1, 7], false), at(13));
        assert_eq!(order.not_before([7, 8], false), Time::MIN);
    }

    #[test]
    fn it_is_full_at_its_bounds_until_something_expires() {
        let mut order = order();
        order.unknown([1, 2], true, at(0));
        assert!(
            !order.is_full(0) && order.is_full(2),
            "what is in flight may end unknown too"
        );
        order.unknown([3, 4], true, at(1));
        assert!(order.is_full(0), "no more doubts than fit the progress record");
        order.expire(order.next_expiry().expect("two doubts"));
        assert!(!order.is_full(0));
        for key in 10..14 {
            order.accepted([key, key], true, at(61));
        }
        assert!(order.is_full(0));
    }

    #[test]
    fn doubts_are_handed_over_with_every_progress_and_the_rest_only_at_the_end() {
        let mut order = order();
        order.unknown([1, 1], true, at(0));
        order.accepted([2, 2], false, at(0));
        let doubt = Unsettled {
            key: 1,
            add: true,
            until: at(60),
        };
        assert_eq!(order.doubts(at(1)), [doubt]);
        assert_eq!(order.unexpired(at(1)).count(), 2);
        assert_eq!(order.unexpired(at(3)).collect::<Vec<_>>(), [doubt]);
        let mut successor = self::order();
        successor.restore(doubt);
        assert_eq!(successor.not_before([1, 9], false), at(60));
    }

    proptest! {
        /// Proves: whatever is accepted or in doubt, however often it is looked for expiry, a value waits exactly as long as the
        /// longest of what was said of its opposite, and nothing is remembered for longer than one and a half gaps.
        #[test]
        fn a_value_waits_for_the_longest_that_its_opposite_may_take(
            script in proptest::collection::vec((0..3u8, 0..6u64, 0..6u64, any::<bool>(), 0..2_500i64), 1..200),
        ) {
            let (mut order, mut said, mut now) = (order(), Vec::new(), at(100));
            for (what, profile, user, add, millis) in script {
                now = Time::from_millis(now.as_millis() + millis);
                let keys = [profile, 100 + user];
                match what {
                    0 => {
                        order.accepted(keys, add, now);
                        said.push((keys, add, now + Duration::from_secs(3)));
                    }
                    1 if millis % 5 == 0 => {
                        order.unknown(keys, add, now);
                        said.push((keys, add, now + Duration::from_secs(60)));
                    }
                    _ => {
                        order.expire(now);
                        let recent = said.iter().filter(|(.., until)| *until + Duration::from_millis(1_500) > now);
                        prop_assert!(order.is_empty() || order.doubts.front().is_some() || recent.count() > 0);
                    }
                }
                let meets = |one: &[Key; 2]| one[0] == keys[0] || one[1] == keys[1];
                let opposite = said.iter().filter(|(one, value, _)| meets(one) && *value != add);
                let longest = opposite.map(|(.., until)| *until).max().filter(|until| *until > now);
                prop_assert_eq!(longest, Some(order.not_before(keys, add)).filter(|until| *until > now));
            }
        }
    }
}
