//! Folds changes into Braze requests. Pure; time is an argument; one per Braze workspace.
//!
//! ```text
//! push ─▶ a target per identifier ─┬─ ready ──────▶ open ─▶ close ─▶ in flight ─▶ complete ─▶ outcome per change
//!                                  ├─ too early ──▶ waiting (woken by time)            │
//!                                  └─ in flight ──▶ fenced (woken by complete)  ◀──────┘ retried
//! ```
//!
//! A *target* is one user of Braze under one identifier: one object of a request, with at most one pending change per slug –
//! the last one, which is always sent, even if it undoes what has not been sent yet, because Braze may hold that already. A
//! request closes at `objects_max` objects, at `body_bytes_max`, or when the first of its changes is due. A person (profile
//! *and* identifier) is in at most one request in flight; whoever conflicts waits beside and blocks nobody. Opposite changes of
//! one profile and slug under two identifiers go in the order in which they came. Where every change of a slug is to be sent
//! (`edges`), the later ones of a target are behind the first.
//!
//! A request that ends unknown again and again is halved, one at a time, until the object that may be at fault is alone; from
//! then on it travels alone and waits longer each time, so that it does not hold the others back. It is never given up: an
//! unknown end says nothing against it.

mod claims;
mod edges;
mod keys;
mod lanes;
mod place;
mod request;
mod room;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use braze::Identifier;

use self::claims::{Claim, Claims};
use self::edges::Edges;
pub use self::keys::keys;
use self::keys::{identifier_json_bytes, keys_of, profile_key};
pub use self::lanes::LaneId;
use self::lanes::Lanes;
use self::request::InFlight;
pub use self::request::{Backoff, End, Ending, Object, Outcome, RequestId, Settled};
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
    /// The profile at Lytics.
    pub profile_id: String,
    /// Whose it is: requests are shared fairly between lanes.
    pub lane: LaneId,
    /// What is added or removed.
    pub slug: Arc<str>,
    /// Whether it is added.
    pub add: bool,
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
    slug: Arc<str>,
    add: bool,
    every_edge: bool,
    lane: LaneId,
    profile: u64,
    keys: [Key; 2],
    flush_at: Time,
    bytes: usize,
    /// Grows with every change taken; kept when it is retried.
    turn: u64,
    attempts: u32,
    /// Attempts in a row that ended unknown.
    unknowns: u32,
    /// Those of them after which nobody else could be at fault: once there is one, it travels alone.
    alone: u32,
    /// How often Braze has refused it in words we do not know, and until when it waits because of the last time.
    refusals: u32,
    held_until: Time,
    /// Its feed has ended or is detached: never retried, and nobody is told.
    abandoned: bool,
    /// It found another profile's change of its user and slug.
    contested: bool,
    origin: T,
}

impl<T> Pending<T> {
    /// When it may be sent; [`Time::MAX`] while somebody else must go first.
    fn not_before(&self, order: &Order, claims: &Claims) -> Time {
        let free = if self.every_edge {
            claims.is_next(self.keys[0], self.turn)
        } else {
            claims.may_go(self.keys[0], self.turn, self.add)
        };
        if free {
            order.not_before(self.keys, self.add).max(self.held_until)
        } else {
            Time::MAX
        }
    }
}

/// Names a target for as long as it lives; then the number serves another one.
type TargetId = usize;

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

#[derive(Debug)]
struct Target<T> {
    identifier: Identifier,
    identifier_json_bytes: usize,
    /// At most one per slug.
    changes: Vec<Pending<T>>,
    /// Edges that come after another one of their slug, in the order in which they came.
    behind: Vec<Pending<T>>,
    in_flight: Option<RequestId>,
    place: Place,
    /// Of the open batch: when it is due, and what it adds to the body.
    flush_at: Time,
    body_bytes: usize,
}

/// The batch of one Braze workspace.
#[derive(Debug)]
pub struct Batch<T> {
    limits: BatchLimits,
    next_turn: u64,
    claims: Claims,
    edges: Edges,
    targets: Vec<Option<Target<T>>>,
    /// Whether `lanes` has an entry of this target; parallel to `targets`.
    queued: Vec<bool>,
    free: Vec<TargetId>,
    by_identifier: Map<Identifier, TargetId>,
    /// The open batch. An entry counts only while its target's place is `Open`.
    lanes: Lanes,
    open_len: usize,
    open_bytes: usize,
    /// When the open batch is due; an entry counts only while its target is open with that time.
    due: BinaryHeap<Reverse<(Time, TargetId)>>,
    /// When waiting targets must be looked at; an entry counts only while its target waits for that time.
    wake: BinaryHeap<Reverse<(Time, TargetId)>>,
    /// Parts of requests that Braze refused without saying which object was meant.
    groups: VecDeque<Vec<TargetId>>,
    requests: Map<RequestId, InFlight<T>>,
    /// Profiles in flight.
    profiles: Map<u64, RequestId>,
    next_request: RequestId,
    in_flight: usize,
    pending: usize,
    pending_bytes: usize,
    draining: bool,
}

impl<T> Batch<T> {
    /// An empty batch.
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            next_turn: 0,
            claims: Claims::default(),
            edges: Edges::default(),
            targets: Vec::new(),
            queued: Vec::new(),
            free: Vec::new(),
            by_identifier: Map::default(),
            lanes: Lanes::default(),
            open_len: 0,
            open_bytes: 0,
            due: BinaryHeap::new(),
            wake: BinaryHeap::new(),
            groups: VecDeque::new(),
            requests: Map::default(),
            profiles: Map::default(),
            next_request: 0,
            in_flight: 0,
            pending: 0,
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
        self.pending
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
        let profile = profile_key(&change.profile_id);
        let mut pending = Pending {
            lane: change.lane,
            profile,
            keys: keys_of(&change.identifier, profile, &change.slug),
            slug: change.slug,
            add: change.add,
            every_edge: change.every_edge,
            flush_at: change.flush_at,
            bytes: change.bytes,
            turn: self.next_turn,
            attempts: 0,
            unknowns: 0,
            alone: 0,
            refusals: 0,
            held_until: Time::MIN,
            abandoned: false,
            contested: false,
            origin: change.origin,
        };
        self.pending += 1;
        self.lanes.enter(pending.lane, pending.bytes);
        self.pending_bytes += pending.bytes;
        let id = self.target(change.identifier);
        self.claim(id, &pending);
        pending.contested = self.is_contested(id, &pending);
        let target = self.targets[id].as_mut().expect("just found or made");
        if pending.every_edge {
            self.edges.enter(pending.keys, &pending.slug);
            target.behind.push(pending);
            self.settle_place(id, order, now);
            return None;
        }
        let superseded = match target.changes.iter_mut().find(|known| known.slug == pending.slug) {
            Some(known) => {
                // The batch that the first change began does not get more time because of the second.
                let flush_at = known.flush_at.min(pending.flush_at);
                let old = std::mem::replace(known, Pending { flush_at, ..pending });
                Some(old)
            }
            None => {
                target.changes.push(pending);
                None
            }
        };
        self.settle_place(id, order, now);
        superseded.map(|old| {
            self.unclaim(&old, order, now);
            self.settled(old, Outcome::Superseded)
        })
    }

    /// Forgets the pending changes that `whose` picks and gives them back; those in flight are forgotten when their request
    /// ends, unless Braze accepts or rejects them.
    pub fn abandon(&mut self, whose: impl Fn(&T) -> bool, order: &Order, now: Time) -> Vec<T> {
        for sent in self.requests.values_mut().flat_map(InFlight::changes_mut) {
            sent.abandoned |= whose(&sent.origin);
        }
        let mut abandoned = Vec::new();
        for id in 0..self.targets.len() {
            let Some(target) = self.targets[id].as_mut() else {
                continue;
            };
            let mut gone: Vec<_> = target.changes.extract_if(.., |change| whose(&change.origin)).collect();
            gone.extend(target.behind.extract_if(.., |change| whose(&change.origin)));
            if !gone.is_empty() {
                self.settle_place(id, order, now);
                for change in gone {
                    self.unclaim(&change, order, now);
                    abandoned.push(self.release(change));
                }
            }
        }
        abandoned
    }

    /// Of the changes in flight those that were abandoned: nobody may ever read them again, and Braze may still apply them.
    pub fn abandoned(&self) -> impl Iterator<Item = ([Key; 2], bool)> {
        let sent = self.requests.values().flat_map(InFlight::changes);
        sent.filter(|change| change.abandoned)
            .map(|change| (change.keys, change.add))
    }

    /// Whether a request should close now.
    pub fn is_ready(&mut self, now: Time) -> bool {
        self.prune_due();
        !self.groups.is_empty()
            || self.open_len >= self.limits.objects_max
            || self.open_bytes >= self.limits.body_bytes_max
            || (self.draining && self.open_len > 0)
            || self.due.peek().is_some_and(|Reverse((time, _))| *time <= now)
    }

    /// The caller's part of the first change that the next request would hold.
    pub fn peek(&mut self) -> Option<&T> {
        while let Some(id) = self.lanes.front()
            && self.place(id) != Place::Open
        {
            self.queued[id] = false;
            self.lanes.pop(false);
        }
        let grouped = self
            .groups
            .front()
            .and_then(|group| group.iter().find(|id| self.place(**id) == Place::Grouped));
        let id = grouped.copied().or(self.lanes.front())?;
        self.targets[id].as_ref()?.changes.first().map(|change| &change.origin)
    }

    fn place(&self, id: TargetId) -> Place {
        self.targets[id].as_ref().map_or(Place::Nowhere, |target| target.place)
    }

    /// The target of an identifier, new if need be.
    fn target(&mut self, identifier: Identifier) -> TargetId {
        if let Some(id) = self.by_identifier.get(&identifier) {
            return *id;
        }
        let target = Target {
            identifier_json_bytes: identifier_json_bytes(&identifier),
            identifier: identifier.clone(),
            // Nearly every target has one, and a grown vector would have room for four.
            changes: Vec::with_capacity(1),
            behind: Vec::new(),
            in_flight: None,
            place: Place::Nowhere,
            flush_at: Time::MAX,
            body_bytes: 0,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.targets.push(None);
            self.queued.push(false);
            self.targets.len() - 1
        });
        self.targets[id] = Some(target);
        self.by_identifier.insert(identifier, id);
        id
    }

    /// Whether another profile's change of the same user and slug waits or is in flight: two profiles with one identifier, of
    /// which the later change decides.
    fn is_contested(&self, id: TargetId, change: &Pending<T>) -> bool {
        let Some(target) = self.targets[id].as_ref() else {
            return false;
        };
        let sent = target.in_flight.and_then(|request| self.requests.get(&request));
        let mut known = target
            .changes
            .iter()
            .chain(&target.behind)
            .chain(sent.into_iter().flat_map(InFlight::changes));
        known.any(|known| known.keys[1] == change.keys[1] && known.profile != change.profile)
    }

    /// A change is pending in a target.
    fn claim(&mut self, target: TargetId, change: &Pending<T>) {
        let (turn, add) = (change.turn, change.add);
        self.claims.enter(change.keys[0], Claim { turn, target, add });
    }

    /// A change is not pending any more: whoever waited for it is looked at.
    fn unclaim(&mut self, change: &Pending<T>, order: &Order, now: Time) {
        for target in self.claims.leave(change.keys[0], change.turn) {
            self.settle_place(target, order, now);
        }
    }

    /// A change leaves the batch, for the caller to settle.
    fn settled(&mut self, change: Pending<T>, outcome: Outcome) -> Settled<T> {
        Settled {
            add: change.add,
            attempts: change.attempts,
            contested: change.contested,
            outcome,
            origin: self.release(change),
        }
    }

    /// A change leaves the batch.
    fn release(&mut self, change: Pending<T>) -> T {
        if change.every_edge {
            self.edges.leave(change.keys, &change.slug);
        }
        self.pending -= 1;
        self.lanes.leave(change.lane, change.bytes);
        self.pending_bytes -= change.bytes;
        change.origin
    }
}
