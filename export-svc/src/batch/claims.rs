//! Whose turn it is among the changes of one profile and slug that are pending under several identifiers.
//!
//! Two identifiers may be one user at Braze, so opposite values go in the order of the log, whatever holds the earlier one
//! back. Nearly always a profile has one identifier, and then this costs an insertion and a removal per change.

use std::collections::hash_map::Entry;

use super::TargetId;
use crate::hash::Map;
use crate::order::Key;

/// A pending change in the eyes of the others of its profile and slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Grows with every change taken.
    pub(super) turn: u64,
    pub(super) target: TargetId,
    pub(super) add: bool,
}

/// All pending changes by profile and slug.
#[derive(Debug, Default)]
pub(super) struct Claims {
    first: Map<Key, Claim>,
    /// Whoever came while somebody was first.
    others: Map<Key, Vec<Claim>>,
}

impl Claims {
    pub(super) fn enter(&mut self, key: Key, claim: Claim) {
        match self.first.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(claim);
            }
            Entry::Occupied(_) => self.others.entry(key).or_default().push(claim),
        }
    }

    /// A change is not pending any more. Gives back the targets of those that may have waited for it.
    pub(super) fn leave(&mut self, key: Key, turn: u64) -> Vec<TargetId> {
        let Some(others) = self.others.get_mut(&key) else {
            self.first.remove(&key);
            return Vec::new();
        };
        if self.first.get(&key).is_some_and(|first| first.turn == turn) {
            self.first.insert(key, others.swap_remove(0));
        } else {
            others.retain(|other| other.turn != turn);
        }
        let left = self.of(key).count();
        let mut targets: Vec<_> = self.of(key).map(|claim| claim.target).collect();
        targets.dedup();
        if left == 1 {
            self.others.remove(&key);
        }
        targets
    }

    /// Whether no opposite change that was taken before `turn` is still pending.
    pub(super) fn may_go(&self, key: Key, turn: u64, add: bool) -> bool {
        self.others.is_empty() || self.of(key).all(|other| other.turn >= turn || other.add == add)
    }

    /// Whether no change at all that was taken before `turn` is still pending.
    pub(super) fn is_next(&self, key: Key, turn: u64) -> bool {
        self.others.is_empty() || self.of(key).all(|other| other.turn >= turn)
    }

    fn of(&self, key: Key) -> impl Iterator<Item = &Claim> {
        self.first
            .get(&key)
            .into_iter()
            .chain(self.others.get(&key).into_iter().flatten())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(turn: u64, add: bool) -> Claim {
        let target = usize::try_from(turn).unwrap();
        Claim { turn, target, add }
    }

    #[test]
    fn an_opposite_change_waits_for_every_earlier_one_and_an_equal_one_for_none() {
        let mut claims = Claims::default();
        for (turn, add) in [(1, true), (2, true), (3, false), (4, false), (5, true)] {
            claims.enter(7, claim(turn, add));
        }
        let free = |claims: &Claims, open: &[(u64, bool)]| -> Vec<u64> {
            let free = open.iter().filter(|(turn, add)| claims.may_go(7, *turn, *add));
            free.map(|(turn, _)| *turn).collect()
        };
        assert_eq!(
            free(&claims, &[(1, true), (2, true), (3, false), (4, false), (5, true)]),
            [1, 2]
        );
        assert!(claims.is_next(7, 1) && !claims.is_next(7, 2));
        assert_eq!(claims.leave(7, 1).len(), 4);
        assert_eq!(free(&claims, &[(2, true), (3, false), (4, false), (5, true)]), [2]);
        claims.leave(7, 2);
        assert_eq!(free(&claims, &[(3, false), (4, false), (5, true)]), [3, 4]);
        claims.leave(7, 4);
        assert_eq!(claims.leave(7, 3), [5], "the last one is told");
        assert!(claims.may_go(7, 5, true) && claims.others.is_empty());
        assert!(claims.leave(7, 5).is_empty());
        assert!(claims.is_empty());
    }

    #[test]
    fn a_change_that_comes_back_keeps_its_turn() {
        let mut claims = Claims::default();
        claims.enter(7, claim(1, true));
        claims.leave(7, 1);
        claims.enter(7, claim(2, false));
        assert!(claims.may_go(7, 2, false));
        claims.enter(7, claim(1, true));
        assert!(!claims.may_go(7, 2, false) && claims.may_go(7, 1, true));
        assert!(claims.may_go(8, 9, true), "another slug or profile");
    }
}
