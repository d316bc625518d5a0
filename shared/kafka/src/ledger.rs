//! Which records of one partition are settled, in whatever order that happens.

use std::collections::BTreeSet;
use std::ops::Range;

/// Takes the records of one partition as they are read, and their completions in any order; gives the frontier and the
/// settled ranges above it. Offsets are ascending and may have holes (compaction, transaction markers): one that was never
/// read needs no settling.
///
/// It grows with the number of open offsets, which the owner bounds by not reading on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// One past the highest offset read.
    next: i64,
    /// Handed out and not settled; all below `next`.
    open: BTreeSet<i64>,
    /// Settled by a predecessor and not yet read again: ascending, disjoint, ending above `next`.
    restored: Vec<Range<i64>>,
}

impl Ledger {
    /// A ledger for a partition that is read from `next` on.
    pub fn new(next: i64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// A ledger as it was persisted ([`Ledger::frontier`], [`Ledger::settled`]): the partition is read from `frontier` on,
    /// and what lies in `settled` is not handed out again.
    pub fn restore(frontier: i64, settled: impl IntoIterator<Item = Range<i64>>) -> Self {
        let mut restored: Vec<_> = settled.into_iter().filter(|range| range.start < range.end).collect();
        restored.sort_unstable_by_key(|range| range.start);
        restored.dedup_by(|later, earlier| {
            let touches = later.start <= earlier.end;
            if touches {
                earlier.end = earlier.end.max(later.end);
            }
            touches
        });
        restored.retain(|range| range.end > frontier);
        Self {
            next: frontier,
            open: BTreeSet::new(),
            restored,
        }
    }

    /// Takes a record just read. `false` if it was read before or settled by a predecessor: do not hand it on.
    pub fn hand(&mut self, offset: i64) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset + 1;
        let settled = self.restored.iter().any(|range| range.contains(&offset));
        let passed = self.restored.iter().take_while(|range| range.end <= self.next).count();
        self.restored.drain(..passed);
        if !settled {
            self.open.insert(offset);
        }
        !settled
    }

    /// A handed-out record is settled. `false` if it was not open.
    pub fn settle(&mut self, offset: i64) -> bool {
        self.open.remove(&offset)
    }

    /// One past the highest offset read.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Everything below it is settled: the lowest open offset, else [`Ledger::next`].
    pub fn frontier(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// Offsets handed out and not settled, ascending.
    pub fn open(&self) -> impl Iterator<Item = i64> + '_ {
        self.open.iter().copied()
    }

    /// Number of open offsets.
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Ranges above the frontier that need no handing out again, ascending: the lowest `max` of them. What is left out is
    /// merely done again after a restart.
    pub fn settled(&self, max: usize) -> Vec<Range<i64>> {
        let after_open = self.open.iter().map(|open| open + 1);
        let before_open = self.open.iter().copied().skip(1).chain([self.next]);
        let between = after_open.zip(before_open).map(|(start, end)| start..end);
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for range in between
            .chain(self.restored.iter().cloned())
            .filter(|range| range.start < range.end)
        {
            let full = ranges.len() == max;
            match ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ if full => break,
                _ => ranges.push(range),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_holds_the_frontier_back_until_it_is_filled() {
        let mut ledger = Ledger::new(5);
        assert!(ledger.hand(5) && ledger.hand(6) && ledger.hand(9));
        assert!(ledger.settle(6));
        assert_eq!(
            (ledger.frontier(), ledger.settled(9).as_slice()),
            (5, std::slice::from_ref(&(6..9)))
        );
        assert!(ledger.settle(5));
        assert_eq!((ledger.frontier(), ledger.settled(9)), (9, vec![]));
        assert!(ledger.settle(9));
        assert_eq!((ledger.frontier(), ledger.next()), (10, 10));
    }

    #[test]
    fn an_offset_is_handed_out_once_and_settled_once() {
        let mut ledger = Ledger::new(0);
        assert!(ledger.hand(3));
        assert!(!ledger.hand(3) && !ledger.hand(2));
        assert!(ledger.settle(3));
        assert!(!ledger.settle(3) && !ledger.settle(2));
    }

    #[test]
    fn what_a_predecessor_settled_is_not_handed_out_again() {
        let mut ledger = Ledger::restore(10, [14..16, 12..14, 30..31, 3..5]);
        assert_eq!(ledger.settled(9), [12..16, 30..31]);
        assert!(ledger.hand(10));
        assert!(!ledger.hand(12) && !ledger.hand(15));
        assert!(ledger.hand(16));
        assert_eq!((ledger.frontier(), ledger.settled(9)), (10, vec![11..16, 30..31]));
    }

    #[test]
    fn the_bound_keeps_the_lowest_ranges() {
        let mut ledger = Ledger::new(0);
        (0..7).for_each(|offset| assert!(ledger.hand(offset)));
        [1, 3, 5].into_iter().for_each(|offset| assert!(ledger.settle(offset)));
        assert_eq!(ledger.settled(2), [1..2, 3..4]);
    }

    /// One event in a partition's life: a record that follows after a hole, a completion, or a restart.
    #[derive(Clone, Debug)]
    enum Step {
        Read { hole: i64 },
        Settle { pick: usize },
        Restart { ranges_max: usize },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0..3_i64).prop_map(|hole| Step::Read { hole }),
            4 => any::<usize>().prop_map(|pick| Step::Settle { pick }),
            1 => (0..4_usize).prop_map(|ranges_max| Step::Restart { ranges_max }),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// The model: every record of the log with whether it has ever been settled, and whether it is out now.
        #[test]
        fn it_agrees_with_a_naive_model(steps in steps()) {
            let mut log: BTreeMap<i64, (bool, bool)> = BTreeMap::new();
            let (mut end, mut read) = (0, 0);
            let mut ledger = Ledger::new(0);
            for step in steps {
                match step {
                    Step::Read { hole } => {
                        // After a restart the old records come again, else a new one is written.
                        let offset = log.range(read..).next().map_or(end + hole, |(&offset, _)| offset);
                        end = end.max(offset + 1);
                        read = offset + 1;
                        let (settled, out) = log.entry(offset).or_insert((false, false));
                        let handed = ledger.hand(offset);
                        prop_assert!(handed || *settled, "{offset} is lost");
                        *out = handed;
                    }
                    Step::Settle { pick } => {
                        let outs: Vec<i64> = log.iter().filter(|(_, (_, out))| *out).map(|(&offset, _)| offset).collect();
                        if !outs.is_empty() {
                            let offset = outs[pick % outs.len()];
                            prop_assert!(ledger.settle(offset));
                            log.insert(offset, (true, false));
                        }
                    }
                    Step::Restart { ranges_max } => {
                        read = ledger.frontier();
                        ledger = Ledger::restore(read, ledger.settled(ranges_max));
                        log.values_mut().for_each(|(_, out)| *out = false);
                    }
                }
                let outs: Vec<i64> = log.iter().filter(|(_, (_, out))| *out).map(|(&offset, _)| offset).collect();
                prop_assert_eq!(ledger.open().collect::<Vec<_>>(), outs.clone());
                prop_assert_eq!(ledger.open_len(), outs.len());
                prop_assert_eq!(ledger.next(), read);
                prop_assert_eq!(ledger.frontier(), outs.first().copied().unwrap_or(read));
                // Nothing unsettled is below the frontier or inside a settled range, and the ranges are in normal form.
                let ranges = ledger.settled(usize::MAX);
                for (&offset, (settled, out)) in &log {
                    let covered = offset < ledger.frontier() || ranges.iter().any(|range| range.contains(&offset));
                    prop_assert!(*settled || !covered, "{offset} would be lost by a restart");
                    prop_assert!(!*settled || *out || covered || offset >= read, "{offset} would be done twice for nothing");
                }
                prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
