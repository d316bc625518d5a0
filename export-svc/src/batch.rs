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
//! *and* identifier) is in at most one request in flight; whoever conflicts waits beside and blocks nobody.

mod request;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use braze::Identifier;

use self::request::InFlight;
pub use self::request::{Backoff, End, Ending, Object, Outcome, RequestId, Settled};
use crate::clock::Time;
use crate::hash::stable_hash;
use crate::order::{Key, Order};

/// The bounds of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
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
    /// What is added or removed.
    pub slug: Arc<str>,
    /// Whether it is added.
    pub add: bool,
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
    profile: u64,
    keys: [Key; 2],
    flush_at: Time,
    bytes: usize,
    attempts: u32,
    /// How often Braze has refused it in words we do not know, and until when it waits because of the last time.
    refusals: u32,
    held_until: Time,
    /// Its feed has ended or is detached: never retried, and nobody is told.
    abandoned: bool,
    origin: T,
}

impl<T> Pending<T> {
    /// When it may be sent.
    fn not_before(&self, order: &Order) -> Time {
        order.not_before(self.keys, self.add).max(self.held_until)
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
    /// It, or a profile of it, is in this request.
    Fenced(RequestId),
    /// In a group that will be a request of its own.
    Grouped,
}

#[derive(Debug)]
struct Target<T> {
    identifier: Identifier,
    identifier_json_bytes: usize,
    changes: Vec<Pending<T>>,
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
    backoff: Backoff,
    targets: Vec<Option<Target<T>>>,
    /// Whether `open` has an entry of this target; parallel to `targets`.
    queued: Vec<bool>,
    free: Vec<TargetId>,
    by_identifier: HashMap<Identifier, TargetId>,
    /// The open batch, first come first served. An entry counts only while its target's place is `Open`.
    open: VecDeque<TargetId>,
    open_len: usize,
    open_bytes: usize,
    /// When the open batch is due; an entry counts only while its target is open with that time.
    due: BinaryHeap<Reverse<(Time, TargetId)>>,
    /// When waiting targets must be looked at; an entry counts only while its target waits for that time.
    wake: BinaryHeap<Reverse<(Time, TargetId)>>,
    /// Parts of requests that Braze refused without saying which object was meant.
    groups: VecDeque<Vec<TargetId>>,
    requests: HashMap<RequestId, InFlight<T>>,
    /// Profiles in flight.
    profiles: HashMap<u64, RequestId>,
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
            backoff: Backoff::default(),
            targets: Vec::new(),
            queued: Vec::new(),
            free: Vec::new(),
            by_identifier: HashMap::new(),
            open: VecDeque::new(),
            open_len: 0,
            open_bytes: 0,
            due: BinaryHeap::new(),
            wake: BinaryHeap::new(),
            groups: VecDeque::new(),
            requests: HashMap::new(),
            profiles: HashMap::new(),
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

    /// Changes how long refused changes wait; those that wait already go on as they are.
    pub fn set_backoff(&mut self, backoff: Backoff) {
        self.backoff = backoff;
    }

    /// How many objects a request may hold.
    pub fn objects_max(&self) -> usize {
        self.limits.objects_max
    }

    /// Whether no more changes should be pushed for now.
    pub fn is_full(&self) -> bool {
        self.pending >= self.limits.pending_max || self.pending_bytes >= self.limits.pending_bytes_max
    }

    /// Changes taken and not settled.
    pub fn pending(&self) -> usize {
        self.pending
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
    /// now says what Braze must end with.
    pub fn push(&mut self, change: Change<T>, order: &Order, now: Time) -> Option<T> {
        let pending = Pending {
            profile: profile_key(&change.profile_id),
            keys: keys(&change.identifier, &change.profile_id, &change.slug),
            slug: change.slug,
            add: change.add,
            flush_at: change.flush_at,
            bytes: change.bytes,
            attempts: 0,
            refusals: 0,
            held_until: Time::MIN,
            abandoned: false,
            origin: change.origin,
        };
        self.pending += 1;
        self.pending_bytes += pending.bytes;
        let id = self.target(change.identifier);
        let target = self.targets[id].as_mut().expect("just found or made");
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
        superseded.map(|old| self.release(old))
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
            let gone: Vec<_> = target.changes.extract_if(.., |change| whose(&change.origin)).collect();
            if !gone.is_empty() {
                self.settle_place(id, order, now);
                abandoned.extend(gone.into_iter().map(|change| self.release(change)));
            }
        }
        abandoned
    }

    /// Looks again at whoever waited until `now`.
    pub fn wake(&mut self, order: &Order, now: Time) {
        while let Some(Reverse((time, id))) = self.wake.peek().copied()
            && time <= now
        {
            self.wake.pop();
            if self.place(id) == Place::Waiting(time) {
                self.settle_place(id, order, now);
            }
        }
    }

    /// When [`Batch::wake`] or [`Batch::is_ready`] may have something new to say, if nothing else happens.
    pub fn next_wake(&mut self) -> Option<Time> {
        self.prune_due();
        let due = self.due.peek().map(|Reverse((time, _))| *time);
        let wake = self.wake.peek().map(|Reverse((time, _))| *time);
        due.into_iter().chain(wake).min()
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
        while let Some(id) = self.open.front()
            && self.place(*id) != Place::Open
        {
            self.queued[*id] = false;
            self.open.pop_front();
        }
        let grouped = self
            .groups
            .front()
            .and_then(|group| group.iter().find(|id| self.place(**id) == Place::Grouped));
        let id = *grouped.or(self.open.front())?;
        self.targets[id].as_ref()?.changes.first().map(|change| &change.origin)
    }

    fn prune_due(&mut self) {
        while let Some(Reverse((time, id))) = self.due.peek().copied()
            && !self.targets[id]
                .as_ref()
                .is_some_and(|target| target.place == Place::Open && target.flush_at == time)
        {
            self.due.pop();
        }
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
            changes: Vec::new(),
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

    /// Puts a target where it belongs now.
    fn settle_place(&mut self, id: TargetId, order: &Order, now: Time) {
        let Some(target) = self.targets[id].as_mut() else {
            return;
        };
        let was_open = target.place == Place::Open;
        if was_open {
            self.open_len -= 1;
            self.open_bytes -= target.body_bytes;
        }
        if target.changes.is_empty() {
            target.place = Place::Nowhere;
            if target.in_flight.is_none() {
                self.by_identifier.remove(&target.identifier);
                self.targets[id] = None;
                self.free.push(id);
            }
            return;
        }
        if let Some(request) = target.in_flight {
            target.place = Place::Fenced(request);
            return;
        }
        if matches!(target.place, Place::Fenced(_) | Place::Grouped) {
            return;
        }
        let earliest = target.changes.iter().map(|change| change.not_before(order)).min();
        if let Some(time) = earliest.filter(|time| *time > now) {
            target.place = Place::Waiting(time);
            self.wake.push(Reverse((time, id)));
            self.shrink();
            return;
        }
        let flush_at = target.changes.iter().map(|change| change.flush_at).min().unwrap_or(now);
        target.body_bytes =
            target.identifier_json_bytes + target.changes.iter().map(|c| json_bytes(&c.slug)).sum::<usize>();
        target.place = Place::Open;
        if !std::mem::replace(&mut self.queued[id], true) {
            self.open.push_back(id);
        }
        if !was_open || flush_at != target.flush_at {
            self.due.push(Reverse((flush_at, id)));
        }
        target.flush_at = flush_at;
        self.open_len += 1;
        self.open_bytes += target.body_bytes;
        self.shrink();
    }

    /// Drops what no longer counts from the heaps before it outweighs what does.
    fn shrink(&mut self) {
        let targets = &self.targets;
        let bound = 2 * self.by_identifier.len() + 64;
        if self.due.len() > bound {
            self.due.retain(|Reverse((time, id))| {
                targets[*id]
                    .as_ref()
                    .is_some_and(|target| target.place == Place::Open && target.flush_at == *time)
            });
        }
        if self.wake.len() > bound {
            self.wake.retain(|Reverse((time, id))| {
                targets[*id]
                    .as_ref()
                    .is_some_and(|target| target.place == Place::Waiting(*time))
            });
        }
    }

    /// A change leaves the batch.
    fn release(&mut self, change: Pending<T>) -> T {
        self.pending -= 1;
        self.pending_bytes -= change.bytes;
        change.origin
    }
}

/// What [`Order`] knows a change by: its profile and its user, each with the slug.
pub fn keys(identifier: &Identifier, profile_id: &str, slug: &str) -> [Key; 2] {
    let slug = slug.as_bytes();
    [
        stable_hash(&[&profile_key(profile_id).to_le_bytes(), slug]),
        identifier_key(identifier, slug),
    ]
}

fn profile_key(profile_id: &str) -> u64 {
    stable_hash(&[b"profile", profile_id.as_bytes()])
}

/// The (user, slug) of an identifier: kinds of identifiers do not share a name.
fn identifier_key(identifier: &Identifier, slug: &[u8]) -> Key {
    match identifier {
        Identifier::ExternalId(id) => stable_hash(&[b"external_id", id.as_bytes(), slug]),
        Identifier::BrazeId(id) => stable_hash(&[b"braze_id", id.as_bytes(), slug]),
        Identifier::Alias { label, name } => stable_hash(&[b"alias", label.as_bytes(), name.as_bytes(), slug]),
    }
}

/// What an object adds to the body besides its slugs, at most.
fn identifier_json_bytes(identifier: &Identifier) -> usize {
    const REST: usize = br#","_update_existing_only":true,"lytics_segments":{"add":[],"remove":[]}},"#.len();
    REST + match identifier {
        Identifier::ExternalId(id) => br#"{"external_id":"#.len() + json_bytes(id),
        Identifier::BrazeId(id) => br#"{"braze_id":"#.len() + json_bytes(id),
        Identifier::Alias { label, name } => {
            br#"{"user_alias":{"alias_name":"alias_label":}"#.len() + json_bytes(label) + json_bytes(name)
        }
    }
}

/// Length of a text as a JSON string with a comma: quotes and escapes included, never too short.
fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    3 + text.bytes().map(escaped).sum::<usize>()
}
