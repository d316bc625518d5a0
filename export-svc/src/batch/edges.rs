//! Jobs that want every edge: of one user and slug each change is sent, one after the other, and none folded away.
//!
//! A target's changes hold one change per slug, as ever; the later ones are *behind*, and come forward one by one when the one
//! before is settled. That takes `settle_gap` for each, so they are bounded by person and slug: whoever has reached the bound is
//! not to be read for until half of them are settled.

use std::collections::{HashMap, HashSet};

use super::keys::slug_key;
use super::targets::Target;
use super::{Batch, Changes};
use crate::order::Key;

/// Changes of one person and slug, taken and not settled, of a job that wants every edge.
const EDGES_MAX: usize = 16;

/// How many such changes there are. A person is known by two names, as in [`Order`](crate::order::Order): either may hold them.
#[derive(Debug, Default)]
pub(super) struct Edges {
    pending: HashMap<Key, usize>,
    /// By [`slug_key`], who has reached the bound and is not down to half of it.
    crowded: HashMap<u64, HashSet<Key>>,
}

impl Edges {
    pub(super) fn enter(&mut self, keys: [Key; 2], slug: u64) {
        for key in keys {
            let pending = self.pending.entry(key).or_default();
            *pending += 1;
            if *pending >= EDGES_MAX {
                self.crowded.entry(slug).or_default().insert(key);
            }
        }
    }

    pub(super) fn leave(&mut self, keys: [Key; 2], slug: u64) {
        for key in keys {
            let Some(pending) = self.pending.get_mut(&key) else {
                continue;
            };
            *pending -= 1;
            let left = *pending;
            if left == 0 {
                self.pending.remove(&key);
            }
            if left <= EDGES_MAX / 2
                && let Some(persons) = self.crowded.get_mut(&slug)
            {
                persons.remove(&key);
                if persons.is_empty() {
                    self.crowded.remove(&slug);
                }
            }
        }
    }

    fn are_too_many(&self, attribute: &str, slug: &str) -> bool {
        !self.crowded.is_empty() && self.crowded.contains_key(&slug_key(attribute, slug))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.crowded.is_empty()
    }
}

impl<T> Batch<T> {
    /// Whether as many changes as may wait do so of a person and this slug of an attribute, of which each is to be sent: no further
    /// one should be pushed. If they did, they do until half of them are settled.
    pub fn has_too_many_edges(&self, attribute: &str, slug: &str) -> bool {
        self.edges.are_too_many(attribute, slug)
    }

    /// Whether that is so of any slug.
    pub fn has_too_many_edges_of_any(&self) -> bool {
        !self.edges.crowded.is_empty()
    }
}

impl Target {
    /// Whoever is behind nobody any more comes forward. Not while something is in flight: it may come back.
    pub(super) fn bring_forward<T>(&mut self, changes: &Changes<T>) {
        if self.in_flight.is_some() {
            return;
        }
        let mut index = 0;
        while let Some(next) = self.behind.get(index) {
            let slug = changes[*next].slug;
            if self.changes.iter().any(|change| changes[*change].slug == slug) {
                index += 1;
            } else {
                self.changes.push(self.behind.remove(index));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_crowded_from_the_bound_of_any_person_until_half_of_them_are_settled() {
        let (mut edges, vip) = (Edges::default(), slug_key("a", "vip"));
        let crowded = |edges: &Edges| edges.crowded.contains_key(&vip);
        for edge in 1..=EDGES_MAX {
            assert!(!crowded(&edges), "{edge}");
            // One profile, each time under another identifier.
            edges.enter([1, 100 + edge as Key], vip);
        }
        edges.enter([2, 200], vip);
        for edge in 1..=EDGES_MAX / 2 {
            assert!(crowded(&edges), "{edge}");
            edges.leave([1, 100 + edge as Key], vip);
        }
        assert!(!crowded(&edges));
        edges.leave([2, 200], vip);
        for edge in EDGES_MAX / 2 + 1..=EDGES_MAX {
            edges.leave([1, 100 + edge as Key], vip);
        }
        assert!(edges.is_empty());
    }

    #[test]
    fn the_same_slug_of_another_attribute_is_another() {
        let mut edges = Edges::default();
        for edge in 1..=EDGES_MAX {
            edges.enter([1, 100 + edge as Key], slug_key("a", "vip"));
        }
        assert!(edges.are_too_many("a", "vip"));
        assert!(!edges.are_too_many("b", "vip") && !edges.are_too_many("a", "news"));
    }
}
