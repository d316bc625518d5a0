//! Offsets that were handed on and are not settled.

use std::collections::VecDeque;

/// A set of offsets, for those that come in ascending order and go in nearly the same: they lie in a queue, and what goes from
/// its middle leaves a gap until what is before has gone too, or gaps outweigh the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Handed {
    /// Ascending; gaps keep their offset.
    queue: VecDeque<(i64, bool)>,
    /// Of those in the queue the gaps.
    gaps: usize,
}

/// Gaps that nobody minds, however few offsets there are.
const GAPS_MIN: usize = 64;

impl Handed {
    pub(super) fn insert(&mut self, offset: i64) {
        if self.queue.back().is_none_or(|(last, _)| *last < offset) {
            self.queue.push_back((offset, true));
            return;
        }
        match self.find(offset) {
            Ok(index) => self.gaps -= usize::from(!std::mem::replace(&mut self.queue[index].1, true)),
            Err(index) => self.queue.insert(index, (offset, true)),
        }
    }

    /// `false` if it was not there.
    pub(super) fn remove(&mut self, offset: i64) -> bool {
        let Ok(index) = self.find(offset) else {
            return false;
        };
        if !std::mem::replace(&mut self.queue[index].1, false) {
            return false;
        }
        self.gaps += 1;
        while let Some((_, false)) = self.queue.front() {
            self.queue.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > GAPS_MIN.max(self.queue.len() / 2) {
            self.queue.retain(|(_, is_there)| *is_there);
            self.gaps = 0;
        }
        true
    }

    pub(super) fn contains(&self, offset: i64) -> bool {
        self.find(offset).is_ok_and(|index| self.queue[index].1)
    }

    /// Where it is, or where it would be.
    fn find(&self, offset: i64) -> Result<usize, usize> {
        let Some((first, _)) = self.queue.front() else {
            return Err(0);
        };
        // Without holes it would be here; and there are few holes, or it is the first.
        let guess = usize::try_from(offset - first).unwrap_or(usize::MAX);
        if self.queue.get(guess).is_some_and(|(there, _)| *there == offset) {
            return Ok(guess);
        }
        self.queue.binary_search_by_key(&offset, |(there, _)| *there)
    }

    pub(super) fn first(&self) -> Option<i64> {
        self.queue.front().map(|(first, _)| *first)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() - self.gaps
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> {
        let there = self.queue.iter().filter(|(_, is_there)| *is_there);
        there.map(|(offset, _)| *offset)
    }
}

impl PartialEq for Handed {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Handed {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Proves: it is a set, whatever comes and goes in whatever order, and its gaps stay few.
        #[test]
        fn it_holds_what_was_put_into_it(script in proptest::collection::vec((any::<bool>(), 0..400i64), 1..1_000)) {
            let (mut handed, mut model) = (Handed::default(), BTreeSet::new());
            for (enters, offset) in script {
                if enters {
                    handed.insert(offset);
                    model.insert(offset);
                } else {
                    prop_assert_eq!(handed.remove(offset), model.remove(&offset));
                }
                prop_assert!(handed.iter().eq(model.iter().copied()));
                prop_assert_eq!((handed.first(), handed.len()), (model.first().copied(), model.len()));
                prop_assert_eq!(handed.contains(offset), enters);
                prop_assert!(handed.queue.len() <= 2 * model.len() + GAPS_MIN + 1);
            }
        }
    }
}
