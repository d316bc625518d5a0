//! What is known of each profile of which something is pending or in flight: in which request it is, and whose turn it is among
//! its changes of one slug.
//!
//! Two identifiers may be one user at Braze, so opposite values of one profile and slug go in the order of the log, whatever
//! holds the earlier one back. Nearly always a profile has one pending change, and then this costs a look at it.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use slab::Slab;
use smallvec::SmallVec;

use super::slugs::SlugId;
use super::{ChangeId, Changes, Pending, RequestId, TargetId};
use crate::hash::Hasher;

/// Names a profile for as long as it has changes in the batch; then the number serves another one.
pub(super) type PersonId = usize;

#[derive(Debug)]
struct Person {
    profile: u64,
    /// The request that it is in.
    in_flight: Option<RequestId>,
    /// Its pending changes.
    pending: SmallVec<[ChangeId; 2]>,
    /// Its changes, pending and in flight.
    changes: usize,
}

/// All profiles with changes in the batch.
#[derive(Debug, Default)]
pub(super) struct People {
    people: Slab<Person>,
    by_profile: HashTable<PersonId>,
    hasher: Hasher,
}

impl People {
    /// The profile, new if need be, has one change more.
    #[inline(always)]
    pub(super) fn enter(&mut self, profile: u64) -> PersonId {
        let (people, hasher) = (&self.people, &self.hasher);
        let entry = self.by_profile.entry(
            hasher.hash_one(profile),
            |id| people[*id].profile == profile,
            |id| hasher.hash_one(people[*id].profile),
        );
        match entry {
            Entry::Occupied(known) => {
                let id = *known.get();
                self.people[id].changes += 1;
                id
            }
            Entry::Vacant(new) => {
                let id = self.people.insert(Person {
                    profile,
                    in_flight: None,
                    pending: SmallVec::new(),
                    changes: 1,
                });
                new.insert(id);
                id
            }
        }
    }

    /// A change of the profile leaves the batch.
    pub(super) fn leave(&mut self, id: PersonId) {
        let person = &mut self.people[id];
        person.changes -= 1;
        if person.changes > 0 {
            return;
        }
        let hash = self.hasher.hash_one(person.profile);
        if let Ok(entry) = self.by_profile.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.people.remove(id);
    }

    /// The request that the profile is in.
    pub(super) fn in_flight(&self, id: PersonId) -> Option<RequestId> {
        self.people[id].in_flight
    }

    pub(super) fn board(&mut self, id: PersonId, request: RequestId) {
        self.people[id].in_flight = Some(request);
    }

    /// The request has ended.
    pub(super) fn land(&mut self, id: PersonId) {
        self.people[id].in_flight = None;
    }

    /// A change of the profile is pending.
    pub(super) fn claim(&mut self, id: PersonId, change: ChangeId) {
        self.people[id].pending.push(change);
    }

    /// A change is not pending any more. Gives back the targets of those that may have waited for it.
    #[inline(always)]
    pub(super) fn unclaim<T>(
        &mut self,
        id: PersonId,
        change: ChangeId,
        slug: SlugId,
        changes: &Changes<T>,
    ) -> Option<SmallVec<[TargetId; 2]>> {
        let pending = &mut self.people[id].pending;
        if pending.len() == 1 {
            // It is this one.
            pending.clear();
            return None;
        }
        pending.retain(|other| *other != change);
        let same = pending.iter().map(|other| &changes[*other]);
        let same = same.filter(|other| other.slug == slug);
        let mut targets: SmallVec<_> = same.map(|other| other.target).collect();
        targets.dedup();
        Some(targets)
    }

    /// Whether no opposite change that was taken before this one is still pending; if every edge is to be sent, whether no change
    /// at all is.
    #[inline(always)]
    pub(super) fn may_go<T>(&self, this: &Pending<T>, changes: &Changes<T>) -> bool {
        let pending = &self.people[this.person].pending;
        pending.len() == 1
            || pending.iter().map(|other| &changes[*other]).all(|other| {
                other.slug != this.slug || other.turn >= this.turn || (!this.every_edge && other.add == this.add)
            })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty() && self.by_profile.is_empty()
    }
}
