//! Folds changes into Braze requests. Pure; time is an argument; one per Braze workspace.
//!
//! ```text
//! push ─▶ a target per identifier ─┬─ ready ──────▶ open ─▶ close ─▶ in flight ─▶ complete ─▶ outcome per change
//!                                  ├─ too early ──▶ waiting (woken by time)            │
//!                                  └─ in flight ──▶ fenced (woken by complete)  ◀──────┘ retried
//! ```
//!
//! A *target* is one user of Braze under one identifier: one object of a request, with at most one pending change per slug of an
//! attribute – the last one, which is always sent, even if it undoes what has not been sent yet, because Braze may hold that already. A
//! request closes at `objects_max` objects, at `body_bytes_max`, or when the first of its changes is due. A person (profile
//! *and* identifier) is in at most one request in flight; whoever conflicts waits beside and blocks nobody. Opposite changes of
//! one profile and slug under two identifiers go in the order in which they came. Where every change of a slug is to be sent
//! (`edges`), the later ones of a target are behind the first. An *occurrence* – an event – is an object of its own: its target is
//! the user with its slug, and so those of one user and slug go one after the other, and beside whatever else the user is sent.
//!
//! A request that ends unknown again and again is halved, one at a time, until the object that may be at fault is alone; from
//! then on it travels alone and waits longer each time, so that it does not hold the others back. It is never given up: an
//! unknown end says nothing against it.

mod answers;
mod apart;
mod due;
mod edges;
mod keys;
mod lanes;
mod occurrences;
mod people;
mod place;
mod request;
mod room;
mod slugs;
mod targets;
#[cfg(test)]
mod tests;
mod whereabouts;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use braze::{Clause, Identifier};
use slab::Slab;

pub use self::answers::Answer;
use self::answers::Answers;
use self::due::Due;
use self::edges::Edges;
use self::keys::keys_of;
pub(crate) use self::keys::user_key;
pub use self::keys::{KEY_VERSION, key_of_profile, keys, profile_key};
pub use self::lanes::LaneId;
use self::lanes::{LaneIndex, Lanes};
use self::people::{People, PersonId};
use self::request::InFlight;
pub use self::request::{Backoff, End, Ending, Object, Outcome, Rejection, RequestId, Settled};
use self::slugs::{SlugId, Slugs};
use self::targets::{TargetId, Targets};
pub use self::whereabouts::Whereabouts;
use crate::clock::Time;
use crate::hash::Map;
use crate::order::{Key, Order};

/// The bounds of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// How long changes wait that Braze does not take.
    pub backoff: Backoff,
    /// Objects in one request.
    pub objects_max: usize,
    /// Bytes of one request body.
    pub body_bytes_max: usize,
    /// Changes taken and not settled.
    pub pending_max: usize,
    /// The same in bytes.
    pub pending_bytes_max: usize,
}

/// One change on its way to Braze. `T` is the caller's: what it needs to settle the change.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// The user at Braze.
    pub identifier: Identifier,
    /// The profile at Lytics, as a [`profile_key`].
    pub profile: u64,
    /// Whose it is: requests are shared fairly between lanes.
    pub lane: LaneId,
    /// The attribute that it is about.
    pub attribute: Arc<str>,
    /// What is added or removed.
    pub slug: Arc<str>,
    /// What its object says if it is an event, or another of those that are no values of an attribute: it goes out as it is, never
    /// folded with another. Then `attribute` tells its place apart from attributes, and every edge is wanted.
    pub occurrence: Option<Box<Clause>>,
    /// Whether it is added.
    pub add: bool,
    /// It creates no user, also if it adds. Removing never does.
    pub existing_only: bool,
    /// Every change of this slug is sent, one after the other: it takes no other's place, and none takes its.
    pub every_edge: bool,
    /// When its request must close at the latest.
    pub flush_at: Time,
    /// What it costs to remember it, in bytes.
    pub bytes: usize,
    /// The caller's.
    pub origin: T,
}

/// A change in a target or in a request.
#[derive(Debug)]
struct Pending<T> {
    origin: T,
    keys: [Key; 2],
    /// Grows with every change taken; kept when it is retried.
    turn: u64,
    flush_at: Time,
    /// Until when it waits because of the last refusal, or the last unknown end.
    held_until: Time,
    target: TargetId,
    person: PersonId,
    slug: SlugId,
    lane: LaneIndex,
    bytes: usize,
    attempts: u32,
    /// Attempts in a row that ended unknown.
    unknowns: u32,
    /// Those of them after which nobody else could be at fault: once there is one, it travels alone.
    alone: u32,
    /// How often Braze has refused it in words we do not know.
    refusals: u32,
    occurrence: Option<Box<Clause>>,
    add: bool,
    existing_only: bool,
    every_edge: bool,
    /// Its feed has ended or is detached: never retried, and nobody is told.
    abandoned: bool,
    /// It found another profile's change of its user and slug.
    contested: bool,
}

/// Names a change for as long as it is in the batch; then the number serves another one.
type ChangeId = usize;

/// All changes, pending and in flight: they stay where they are, and their numbers go about.
type Changes<T> = Slab<Pending<T>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing pending, or just being looked at.
    Nowhere,
    /// In the open batch.
    Open,
    /// Every change of it is too early.
    Waiting(Time),
    /// Every change of it waits for an earlier one of its profile under another identifier.
    Behind,
    /// It, or a profile of it, is in this request.
    Fenced(RequestId),
    /// In a group that will be a request of its own.
    Grouped,
}

/// The batch of one Braze workspace.
#[derive(Debug)]
pub struct Batch<T> {
    limits: BatchLimits,
    next_turn: u64,
    changes: Changes<T>,
    slugs: Slugs,
    people: People,
    edges: Edges,
    /// Changes that are no values of an attribute.
    occurrences: usize,
    targets: Targets,
    /// The open batch. An entry counts only while its target's place is `Open`.
    lanes: Lanes,
    open_len: usize,
    open_bytes: usize,
    due: Due,
    /// When waiting targets must be looked at; an entry counts only while its target waits for that time.
    wake: BinaryHeap<Reverse<(Time, TargetId)>>,
    /// Parts of requests that Braze refused without saying which object was meant.
    groups: VecDeque<Vec<TargetId>>,
    requests: Map<RequestId, InFlight>,
    /// What Braze said last to those that it has not taken.
    answers: Answers,
    next_request: RequestId,
    in_flight: usize,
    pending_bytes: usize,
    draining: bool,
}

impl<T> Batch<T> {
    /// An empty batch.
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            next_turn: 0,
            changes: Slab::new(),
            slugs: Slugs::default(),
            people: People::default(),
            edges: Edges::default(),
            occurrences: 0,
            targets: Targets::default(),
            lanes: Lanes::default(),
            open_len: 0,
            open_bytes: 0,
            due: Due::default(),
            wake: BinaryHeap::new(),
            groups: VecDeque::new(),
            requests: Map::default(),
            answers: Answers::default(),
            next_request: 0,
            in_flight: 0,
            pending_bytes: 0,
            draining: false,
        }
    }

    /// Changes how many objects a request may hold; what is in flight stays as it is.
    pub fn set_objects_max(&mut self, objects_max: usize) {
        self.limits.objects_max = objects_max.max(1);
    }

    /// Changes how many bytes a request may hold; an object that is larger by itself travels alone.
    pub fn set_body_bytes_max(&mut self, body_bytes_max: usize) {
        self.limits.body_bytes_max = body_bytes_max;
    }

    /// How many bytes a request may hold.
    pub fn body_bytes_max(&self) -> usize {
        self.limits.body_bytes_max
    }

    /// How many objects a request may hold.
    pub fn objects_max(&self) -> usize {
        self.limits.objects_max
    }

    /// Changes taken and not settled.
    pub fn pending(&self) -> usize {
        self.changes.len()
    }

    /// The caller's part of every change taken and not settled.
    pub fn pending_origins(&self) -> impl Iterator<Item = &T> {
        self.changes.iter().map(|(_, change)| &change.origin)
    }

    /// The same of one lane.
    pub fn pending_of(&self, lane: LaneId) -> usize {
        self.lanes.pending(lane)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// Changes in those requests.
    pub fn changes_in_flight(&self) -> usize {
        self.in_flight
    }

    /// From now on a request closes with whatever there is.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Takes a change. A pending one of the same slug is superseded: it comes back, to be settled as omitted, for this one
    /// now says what Braze must end with. Not if every edge is to be sent.
    pub fn push(&mut self, change: Change<T>, order: &Order, now: Time) -> Option<Settled<T>> {
        self.next_turn += 1;
        self.pending_bytes += change.bytes;
        let user = user_key(&change.identifier);
        let slug = self.slugs.id(&change.attribute, &change.slug);
        let alone = change.occurrence.is_some().then(|| (slug, self.slugs.key(slug)));
        let target = self.targets.find(change.identifier, user, alone);
        let person = self.people.enter(change.profile);
        let contested = self.is_contested(target, slug, person);
        let id = self.changes.insert(Pending {
            origin: change.origin,
            keys: keys_of(user, change.profile, self.slugs.key(slug)),
            turn: self.next_turn,
            flush_at: change.flush_at,
            held_until: Time::MIN,
            target,
            person,
            slug,
            lane: self.lanes.enter(change.lane, change.bytes),
            bytes: change.bytes,
            attempts: 0,
            unknowns: 0,
            alone: 0,
            refusals: 0,
            occurrence: change.occurrence,
            add: change.add,
            existing_only: change.existing_only,
            every_edge: change.every_edge,
            abandoned: false,
            contested,
        });
        self.people.claim(person, id);
        let known = &mut self.targets[target];
        if change.every_edge {
            self.edges.enter(self.changes[id].keys, self.slugs.key(slug));
            self.occurrences += usize::from(alone.is_some());
            known.behind.push(id);
            self.settle_place(target, order, now);
            return None;
        }
        let changes = &mut self.changes;
        let superseded = match known.changes.iter_mut().find(|other| changes[**other].slug == slug) {
            Some(other) => {
                // The batch that the first change began does not get more time because of the second.
                changes[id].flush_at = changes[*other].flush_at.min(change.flush_at);
                Some(std::mem::replace(other, id))
            }
            None => {
                known.changes.push(id);
                None
            }
        };
        self.settle_place(target, order, now);
        superseded.map(|old| {
            self.unclaim(old, order, now);
            self.answers.forget(&[old]);
            self.settled(old, Outcome::Superseded)
        })
    }

    /// Forgets the pending changes that `whose` picks and gives them back; those in flight are forgotten when their request
    /// ends, unless Braze accepts or rejects them.
    pub fn abandon(&mut self, whose: impl Fn(&T) -> bool, order: &Order, now: Time) -> Vec<T> {
        for id in self.requests.values().flat_map(InFlight::changes) {
            let change = &mut self.changes[*id];
            change.abandoned |= whose(&change.origin);
        }
        let mut abandoned = Vec::new();
        for id in self.targets.ids().collect::<Vec<_>>() {
            let Some(target) = self.targets.get_mut(id) else {
                continue;
            };
            let changes = &self.changes;
            let mut gone = Vec::new();
            let mut stays = |id: &mut ChangeId| {
                let goes = whose(&changes[*id].origin);
                gone.extend(goes.then_some(*id));
                !goes
            };
            target.changes.retain(&mut stays);
            target.behind.retain_mut(stays);
            if !gone.is_empty() {
                self.settle_place(id, order, now);
                self.answers.forget(&gone);
                for change in gone {
                    self.unclaim(change, order, now);
                    abandoned.push(self.release(change).origin);
                }
            }
        }
        abandoned
    }

    /// Of the changes in flight those that were abandoned: nobody may ever read them again, and Braze may still apply them.
    pub fn abandoned(&self) -> impl Iterator<Item = ([Key; 2], bool)> {
        let sent = self.requests.values().flat_map(InFlight::changes);
        let sent = sent.map(|id| &self.changes[*id]);
        sent.filter(|change| change.abandoned)
            .map(|change| (change.keys, change.add))
    }

    /// Whether a request should close now.
    pub fn is_ready(&self, now: Time) -> bool {
        !self.groups.is_empty()
            || self.open_len >= self.limits.objects_max
            || self.open_bytes >= self.limits.body_bytes_max
            || (self.draining && self.open_len > 0)
            || self.due.first().is_some_and(|time| time <= now)
    }

    /// The caller's part of the first change that the next request would hold.
    pub fn peek(&mut self) -> Option<&T> {
        while let Some(id) = self.lanes.front()
            && self.targets.place(id) != Place::Open
        {
            self.targets.set_queued(id, false);
            self.lanes.pop(false);
        }
        let is_grouped = |id: &&TargetId| self.targets.place(**id) == Place::Grouped;
        let grouped = self.groups.front().and_then(|group| group.iter().find(is_grouped));
        let id = grouped.copied().or(self.lanes.front())?;
        let first = self.targets.get(id)?.changes.first()?;
        Some(&self.changes[*first].origin)
    }

    /// Whether another profile's change of the same user and slug waits or is in flight: two profiles with one identifier, of
    /// which the later change decides.
    #[inline(always)]
    fn is_contested(&self, id: TargetId, slug: SlugId, person: PersonId) -> bool {
        let target = &self.targets[id];
        if target.is_empty() {
            return false;
        }
        let sent = target.in_flight.and_then(|request| self.requests.get(&request));
        let sent = sent.into_iter().flat_map(InFlight::changes);
        let mut known = target.changes.iter().chain(&target.behind).chain(sent);
        known.any(|known| {
            let known = &self.changes[*known];
            known.target == id && known.slug == slug && known.person != person
        })
    }

    /// A change is not pending any more: whoever waited for it is looked at.
    #[inline(always)]
    fn unclaim(&mut self, id: ChangeId, order: &Order, now: Time) {
        let change = &self.changes[id];
        let Some(others) = self.people.unclaim(change.person, id, change.slug, &self.changes) else {
            return;
        };
        for target in others {
            self.settle_place(target, order, now);
        }
    }

    /// A change leaves the batch, for the caller to settle.
    fn settled(&mut self, id: ChangeId, outcome: Outcome) -> Settled<T> {
        let change = self.release(id);
        Settled {
            add: change.add,
            attempts: change.attempts,
            contested: change.contested,
            outcome,
            origin: change.origin,
        }
    }

    /// A change leaves the batch.
    fn release(&mut self, id: ChangeId) -> Pending<T> {
        let change = self.changes.remove(id);
        if change.every_edge {
            self.edges.leave(change.keys, self.slugs.key(change.slug));
            self.occurrences -= usize::from(change.occurrence.is_some());
        }
        self.people.leave(change.person);
        self.lanes.leave(change.lane, change.bytes);
        self.pending_bytes -= change.bytes;
        change
    }
}
