//! When the open batch is due: how many targets must go at which time.

use std::collections::BTreeMap;

use crate::clock::Time;

/// A count by time.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The time that was looked at last: nearly always it is the next one's too. It is not among the others.
    last: Option<(Time, usize)>,
    others: BTreeMap<Time, usize>,
}

impl Due {
    #[inline(always)]
    pub(super) fn enter(&mut self, time: Time) {
        *self.at(time) += 1;
    }

    #[inline(always)]
    pub(super) fn leave(&mut self, time: Time) {
        *self.at(time) -= 1;
    }

    #[inline(always)]
    fn at(&mut self, time: Time) -> &mut usize {
        if self.last.is_none_or(|(last, _)| last != time) {
            let count = self.others.remove(&time).unwrap_or(0);
            if let Some((last, count)) = self.last.filter(|(_, count)| *count > 0) {
                self.others.insert(last, count);
            }
            self.last = Some((time, count));
        }
        &mut self.last.get_or_insert((time, 0)).1
    }

    /// The earliest time.
    pub(super) fn first(&self) -> Option<Time> {
        let last = self.last.filter(|(_, count)| *count > 0).map(|(time, _)| time);
        self.others.keys().next().copied().into_iter().chain(last).min()
    }
}
