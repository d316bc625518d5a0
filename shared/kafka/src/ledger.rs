//! Which records of one partition are settled, in whatever order that happens.

use std::ops::Range;

/// Offsets handed out and settled in any order; gives the frontier and the settled ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    next: i64,
}

impl Ledger {
    /// A ledger that has handed out nothing, and expects `next` or later.
    pub fn new(next: i64) -> Self {
        Self { next }
    }

    /// A ledger as it was persisted: everything below `frontier` and inside `settled` needs no handing out again.
    pub fn restore(frontier: i64, settled: &[Range<i64>]) -> Self {
        let _ = (frontier, settled);
        unimplemented!()
    }

    /// Takes a record just read. `false` if it was settled before (by a predecessor): do not hand it on.
    pub fn hand(&mut self, offset: i64) -> bool {
        let _ = offset;
        unimplemented!()
    }

    /// A handed-out record is settled. `false` if it was not open.
    pub fn settle(&mut self, offset: i64) -> bool {
        let _ = offset;
        unimplemented!()
    }

    /// One past the highest offset handed out.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Everything below it is settled: the lowest open offset, else [`Ledger::next`].
    pub fn frontier(&self) -> i64 {
        unimplemented!()
    }

    /// Offsets handed out and not settled, ascending.
    pub fn open(&self) -> impl Iterator<Item = i64> + '_ {
        std::iter::empty()
    }

    /// Number of open offsets.
    pub fn open_len(&self) -> usize {
        unimplemented!()
    }

    /// Ranges at or above the frontier that need no handing out again, ascending, at most `max` (the lowest).
    pub fn settled(&self, max: usize) -> Vec<Range<i64>> {
        let _ = max;
        unimplemented!()
    }
}
