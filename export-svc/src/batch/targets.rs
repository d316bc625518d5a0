//! The users of Braze of whom something is pending or in flight.

use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

use braze::Identifier;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use slab::Slab;
use smallvec::SmallVec;

use super::keys::identifier_json_bytes;
use super::slugs::SlugId;
use super::{ChangeId, Place, RequestId};
use crate::clock::Time;
use crate::hash::{Hasher, quick_mix};

/// Names a target for as long as it lives; then the number serves another one.
pub(super) type TargetId = usize;

#[derive(Debug)]
pub(super) struct Target {
    pub(super) identifier: Identifier,
    /// The [`user_key`](super::keys::user_key) of the identifier, with the slug if it is of occurrences.
    user: u64,
    /// Whose occurrences it is of, if it is: they are never in one object with anything else.
    of: Option<SlugId>,
    pub(super) identifier_json_bytes: usize,
    /// At most one per slug.
    pub(super) changes: SmallVec<[ChangeId; 2]>,
    /// Edges that come after another one of their slug, in the order in which they came.
    pub(super) behind: Vec<ChangeId>,
    pub(super) in_flight: Option<RequestId>,
    pub(super) place: Place,
    /// Braze has refused an object of it that held several attributes: they are sent one at a time.
    pub(super) apart: bool,
    /// Of the open batch: when it is due, and what it adds to the body.
    pub(super) flush_at: Time,
    pub(super) body_bytes: usize,
}

impl Target {
    /// Whether nothing of it is pending.
    pub(super) fn is_done(&self) -> bool {
        self.changes.is_empty() && self.behind.is_empty()
    }

    /// Whether nothing of it is pending or in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.is_done() && self.in_flight.is_none()
    }
}

#[derive(Debug, Default)]
pub(super) struct Targets {
    targets: Slab<Target>,
    by_identifier: HashTable<TargetId>,
    hasher: Hasher,
    /// Whether the lanes have an entry of this number, also if it serves another target now.
    queued: Vec<bool>,
}

impl Targets {
    /// The target of an identifier, new if need be; `alone`: of its occurrences of this slug, which has this key.
    #[inline(always)]
    pub(super) fn find(&mut self, identifier: Identifier, user: u64, alone: Option<(SlugId, u64)>) -> TargetId {
        let user = alone.map_or(user, |(_, slug)| quick_mix(user, slug));
        let of = alone.map(|(slug, _)| slug);
        let (targets, hasher) = (&self.targets, &self.hasher);
        let entry = self.by_identifier.entry(
            hasher.hash_one(user),
            |id| {
                let known = &targets[*id];
                known.user == user && known.of == of && known.identifier == identifier
            },
            |id| hasher.hash_one(targets[*id].user),
        );
        let new = match entry {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(new) => new,
        };
        let id = self.targets.insert(Target {
            identifier_json_bytes: identifier_json_bytes(&identifier),
            identifier,
            user,
            of,
            changes: SmallVec::new(),
            behind: Vec::new(),
            in_flight: None,
            place: Place::Nowhere,
            apart: false,
            flush_at: Time::MAX,
            body_bytes: 0,
        });
        if id == self.queued.len() {
            self.queued.push(false);
        }
        new.insert(id);
        id
    }

    pub(super) fn get(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(id)
    }

    pub(super) fn get_mut(&mut self, id: TargetId) -> Option<&mut Target> {
        self.targets.get_mut(id)
    }

    pub(super) fn place(&self, id: TargetId) -> Place {
        self.get(id).map_or(Place::Nowhere, |target| target.place)
    }

    pub(super) fn remove(&mut self, id: TargetId) {
        let target = self.targets.remove(id);
        let hash = self.hasher.hash_one(target.user);
        if let Ok(entry) = self.by_identifier.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    /// Says whether the lanes have an entry of the number, and gives back whether they had.
    pub(super) fn set_queued(&mut self, id: TargetId, queued: bool) -> bool {
        std::mem::replace(&mut self.queued[id], queued)
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TargetId> {
        self.targets.iter().map(|(id, _)| id)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.by_identifier.is_empty()
    }
}

impl Index<TargetId> for Targets {
    type Output = Target;

    fn index(&self, id: TargetId) -> &Target {
        &self.targets[id]
    }
}

impl IndexMut<TargetId> for Targets {
    fn index_mut(&mut self, id: TargetId) -> &mut Target {
        &mut self.targets[id]
    }
}
