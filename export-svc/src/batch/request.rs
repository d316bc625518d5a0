//! Closing a request, and what becomes of its changes when it ends.

use std::ops::Range;
use std::time::Duration;

use braze::{Clause, Full, Identifier, Track, TrackBuilder, Verdict};
use smallvec::SmallVec;

use super::slugs::AttributeId;
use super::{Answer, Batch, ChangeId, Place, TargetId};
use crate::clock::Time;
use crate::order::Order;

/// A change that Braze has refused this often in words we do not know is rejected: they may mean a passing trouble, but hardly
/// every time.
const REFUSALS_MAX: u32 = 5;

/// Attempts in a row that end unknown before the request is halved: a Braze in trouble is seen by then, and everybody waits.
const UNKNOWNS_MAX: u32 = 3;

/// Names a request for as long as the batch lives.
pub type RequestId = u64;

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    objects: Vec<Sent>,
    changes: Vec<ChangeId>,
    /// It is a part of a request that failed.
    part: bool,
    /// Targets that wait for the end of this request because of a profile.
    fenced: Vec<TargetId>,
    /// How it ended.
    pub(super) answer: Option<Answer>,
}

/// One object of a request: which of its changes add and which remove.
#[derive(Debug)]
struct Sent {
    target: TargetId,
    add: Range<usize>,
    remove: Range<usize>,
}

impl InFlight {
    pub(super) fn changes(&self) -> impl Iterator<Item = &ChangeId> {
        self.changes.iter()
    }

    /// Sorts the objects by something of their first change; those of the same stay in their order.
    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl Fn(Option<&ChangeId>) -> K) {
        let changes = &self.changes;
        self.objects
            .sort_by_key(|sent| key(changes[sent.add.start..sent.remove.end].first()));
    }
}

/// One object to be written into the body.
#[derive(Debug)]
pub struct Object<'a, S> {
    /// Whom it is about.
    pub identifier: &'a Identifier,
    /// Slugs to add.
    pub add: S,
    /// Slugs to remove.
    pub remove: S,
}

/// How the attempt to send a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Braze has queued what it did not refuse.
    Accepted,
    /// Nothing of it was or will be applied.
    Refused,
    /// It may still be applied.
    Unknown,
}

/// How long a change waits that Braze refused in words we do not know, or that ended unknown alone: the wait doubles each time.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after the last of so many failures.
    fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }
}

/// What Braze said to a request.
#[derive(Debug)]
pub struct Ending {
    /// How the attempt ended.
    pub end: End,
    /// One verdict per object, in order; an object without one is retried.
    pub verdicts: Vec<Verdict>,
    /// Retried objects go into smaller requests, since one of them is at fault.
    pub split: bool,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Braze has accepted it.
    Accepted,
    /// Braze refuses it for good.
    Rejected(Box<Rejection>),
    /// It was to be retried, and a newer change of the same slug has taken its place.
    Superseded,
}

/// What Braze refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Whom it was about.
    pub identifier: Identifier,
    /// The kind of fault.
    pub reason: braze::Reason,
    /// Braze's words.
    pub message: String,
}

/// A change that has left the batch.
#[derive(Debug)]
pub struct Settled<T> {
    /// The caller's.
    pub origin: T,
    /// Whether the slug was added.
    pub add: bool,
    /// In how many requests it was.
    pub attempts: u32,
    /// When it came, another profile's change of the same user and slug was waiting or in flight.
    pub contested: bool,
    /// What became of it.
    pub outcome: Outcome,
}

impl<T> Batch<T> {
    /// Closes a request, if anything can be sent now. It is in flight from then on, until [`Batch::complete`].
    pub fn close(&mut self, order: &Order, now: Time) -> Option<RequestId> {
        let id = self.next_request;
        let room = self.limits.objects_max.min(self.open_len);
        let mut request = InFlight {
            objects: Vec::with_capacity(room),
            changes: Vec::with_capacity(room),
            part: false,
            fenced: Vec::new(),
            answer: None,
        };
        while request.objects.is_empty()
            && let Some(group) = self.groups.pop_front()
        {
            for target in group {
                if self.targets.place(target) == Place::Grouped {
                    self.board(target, id, &mut request, order, now);
                }
            }
        }
        // A part of a failed request travels alone, or it would not show which object was at fault.
        request.part = !request.objects.is_empty();
        if !request.part {
            self.board_open(id, &mut request, order, now);
        }
        if request.objects.is_empty() {
            return None;
        }
        if self.occurrences > 0 {
            self.sort_by_array(&mut request);
        }
        self.next_request += 1;
        self.in_flight += request.changes.len();
        self.requests.insert(id, request);
        Some(id)
    }

    fn board_open(&mut self, id: RequestId, request: &mut InFlight, order: &Order, now: Time) {
        let mut bytes = 0;
        while request.objects.len() < self.limits.objects_max
            && let Some(target) = self.lanes.front()
        {
            let known = self.targets.get(target).filter(|known| known.place == Place::Open);
            if let Some(known) = known {
                if bytes > 0 && bytes + known.body_bytes > self.limits.body_bytes_max {
                    break;
                }
                bytes += known.body_bytes;
            }
            let open = known.is_some();
            self.lanes.pop(open);
            self.targets.set_queued(target, false);
            if open {
                self.board(target, id, request, order, now);
            }
        }
    }

    /// Moves what may be sent now of an open or grouped target into the request; the rest waits beside.
    #[inline(always)]
    fn board(&mut self, id: TargetId, request_id: RequestId, request: &mut InFlight, order: &Order, now: Time) {
        self.take_out(id);
        let target = &self.targets[id];
        let mut removing = SmallVec::<[ChangeId; 2]>::new();
        let start = request.changes.len();
        let (mut fence, mut only) = (None, None);
        for change in &target.changes {
            let known = &self.changes[*change];
            if self.not_before(known, order) > now {
                continue;
            }
            if target.apart {
                let attribute = self.slugs.attribute(known.slug);
                if *only.get_or_insert(attribute) != attribute {
                    continue;
                }
            }
            // Of this very request too: a profile under two identifiers may be one user, and Braze promises no order inside a body.
            let in_flight = self.people.in_flight(known.person);
            fence = fence.or(in_flight
                .filter(|other| *other != request_id || !self.may_travel_along(known, &request.changes[..start])));
            if known.add {
                request.changes.push(*change);
            } else {
                removing.push(*change);
            }
        }
        if let Some(other) = fence {
            request.changes.truncate(start);
            self.targets[id].place = Place::Fenced(other);
            if other == request_id {
                request.fenced.push(id);
            } else if let Some(other) = self.requests.get_mut(&other) {
                other.fenced.push(id);
            }
            return;
        }
        let middle = request.changes.len();
        request.changes.extend_from_slice(&removing);
        let boarded = &request.changes[start..];
        let target = &mut self.targets[id];
        target.place = Place::Nowhere;
        if boarded.is_empty() {
            self.settle_place(id, order, now);
            return;
        }
        if boarded.len() == target.changes.len() {
            target.changes.clear();
        } else {
            target.changes.retain(|change| !boarded.contains(change));
        }
        target.in_flight = Some(request_id);
        let stays = !target.is_done();
        target.apart &= stays;
        for change in boarded {
            let known = &mut self.changes[*change];
            known.attempts += 1;
            self.people.board(known.person, request_id);
        }
        for change in boarded {
            self.unclaim(*change, order, now);
        }
        request.objects.push(Sent {
            target: id,
            add: start..middle,
            remove: middle..request.changes.len(),
        });
        if stays {
            self.settle_place(id, order, now);
        }
    }

    /// The body of a request in flight.
    ///
    /// # Errors
    /// [`Full`] if it is larger than Braze takes.
    pub fn body(&self, id: RequestId) -> Result<Track, Full> {
        let mut body = TrackBuilder::new(braze::OBJECTS_MAX, braze::BODY_BYTES_MAX);
        let Some(request) = self.requests.get(&id) else {
            return Ok(body.finish());
        };
        for sent in &request.objects {
            let identifier = &self.targets[sent.target].identifier;
            // What one change says is ready-made, and nearly every object is one.
            match &request.changes[sent.add.start..sent.remove.end] {
                [only] => {
                    let only = &self.changes[*only];
                    let clause = match &only.occurrence {
                        None => self.slugs.clause(only.slug, only.add, only.existing_only),
                        Some(clause) => clause,
                    };
                    body.push(identifier, clause)?;
                }
                several => body.push(identifier, &self.clause(several))?,
            }
        }
        Ok(body.finish())
    }

    /// The objects of a request in flight, in the order in which verdicts name them.
    pub fn objects(&self, id: RequestId) -> impl Iterator<Item = Object<'_, impl ExactSizeIterator<Item = &str>>> {
        self.requests.get(&id).into_iter().flat_map(|request| {
            request.objects.iter().map(|sent| {
                let text = |change: &ChangeId| &**self.slugs.text(self.changes[*change].slug);
                Object {
                    identifier: &self.targets[sent.target].identifier,
                    add: request.changes[sent.add.clone()].iter().map(text),
                    remove: request.changes[sent.remove.clone()].iter().map(text),
                }
            })
        })
    }

    /// What an object says that holds these changes. It creates its user if any of them may do so.
    fn clause(&self, changes: &[ChangeId]) -> Clause {
        let changes = || changes.iter().map(|id| &self.changes[*id]);
        let mut clause = Clause::of(!changes().any(|change| change.add && !change.existing_only));
        let mut attributes = SmallVec::<[AttributeId; 2]>::new();
        for attribute in changes().map(|change| self.slugs.attribute(change.slug)) {
            if attributes.contains(&attribute) {
                continue;
            }
            attributes.push(attribute);
            let of_it = |add: bool| {
                let changes = changes().filter(move |change| change.add == add);
                let slugs = changes.map(|change| change.slug);
                let slugs = slugs.filter(move |slug| self.slugs.attribute(*slug) == attribute);
                slugs.map(|slug| &**self.slugs.text(slug))
            };
            clause = clause.and(self.slugs.attribute_name(attribute), of_it(true), of_it(false));
        }
        clause
    }

    /// Whether a request holds only what ended unknown once too often, alone: its end says nothing about Braze.
    pub fn is_suspect(&self, id: RequestId) -> bool {
        let request = self.requests.get(&id);
        request.is_some_and(|request| request.changes().any(|change| self.changes[*change].alone > 0))
    }

    /// The caller's parts of the changes of a request in flight.
    pub fn origins(&self, id: RequestId) -> impl Iterator<Item = &T> {
        let request = self.requests.get(&id).into_iter();
        request.flat_map(|request| request.changes().map(|change| &self.changes[*change].origin))
    }

    /// A request has ended. What is accepted or rejected leaves the batch; what must be retried goes back into it, unless a
    /// newer change has taken its place. `order` learns what Braze may still apply.
    pub fn complete(&mut self, id: RequestId, ending: Ending, order: &mut Order, now: Time) -> Vec<Settled<T>> {
        let Some(request) = self.requests.remove(&id) else {
            return Vec::new();
        };
        self.in_flight -= request.changes.len();
        self.answers.forget(&request.changes);
        let halving = !self.groups.is_empty() || self.requests.values().any(|other| other.part);
        let mut settled = Vec::with_capacity(request.changes.len());
        let mut verdicts = ending.verdicts.into_iter();
        let (mut retried, mut suspects) = (Vec::new(), Vec::new());
        let alone = request.objects.len() == 1;
        for sent in &request.objects {
            let mut verdict = verdicts.next().unwrap_or(Verdict::Retry { message: None });
            if let Verdict::Retry { message } = &mut verdict {
                if message.is_none() && alone && ending.end == End::Accepted {
                    *message = Some("the request was accepted, its only update was not processed".to_owned());
                }
                // Whoever is named at fault waits by itself; the fault is looked for among the others.
                if message.is_none() {
                    retried.push(sent.target);
                }
            }
            let changes = &request.changes[sent.add.start..sent.remove.end];
            let (apart, again) = (self.is_taken_apart(&verdict, changes), Verdict::Retry { message: None });
            if apart {
                self.targets[sent.target].apart = true;
            }
            for change_id in changes {
                let change = &mut self.changes[*change_id];
                self.people.land(change.person);
                match (&ending.end, &verdict) {
                    (_, Verdict::Rejected { .. }) | (End::Refused, _) => {}
                    (End::Accepted, _) => order.accepted(change.keys, change.add, now),
                    (End::Unknown, _) => order.unknown(change.keys, change.add, now),
                }
                match ending.end {
                    End::Accepted => (change.unknowns, change.alone) = (0, 0),
                    End::Refused => {}
                    End::Unknown => {
                        change.unknowns += 1;
                        if change.unknowns >= UNKNOWNS_MAX && suspects.last() != Some(&sent.target) {
                            suspects.push(sent.target);
                        }
                        if change.unknowns >= UNKNOWNS_MAX && alone {
                            change.alone += 1;
                            change.held_until = now + self.limits.backoff.after(change.alone);
                        }
                    }
                }
                let verdict = match &verdict {
                    Verdict::Rejected { .. } if apart => &again,
                    verdict => verdict,
                };
                settled.extend(self.settle_change(*change_id, verdict, request.answer.as_ref(), now));
            }
        }
        let sent = request.objects.iter().map(|sent| sent.target);
        for target in sent.clone().chain(request.fenced.iter().copied()) {
            let Some(target) = self.targets.get_mut(target) else {
                continue;
            };
            target.in_flight = target.in_flight.filter(|request| *request != id);
            if target.place == Place::Fenced(id) {
                target.place = Place::Nowhere;
            }
        }
        // One request at a time, or an outage would tear everything into single updates.
        if ending.split {
            self.group(&retried);
        } else if !alone && (request.part || !halving) {
            self.group(&suspects);
        }
        for target in sent.chain(request.fenced.iter().copied()) {
            self.settle_place(target, order, now);
        }
        settled
    }

    /// Two halves, each a request of its own: sooner or later the object at fault is alone.
    fn group(&mut self, targets: &[TargetId]) {
        for part in targets.chunks(targets.len().div_ceil(2).max(1)) {
            for id in part {
                let target = self.targets.get_mut(*id);
                if let Some(target) = target.filter(|target| target.place == Place::Nowhere) {
                    target.place = Place::Grouped;
                }
            }
            self.groups.push_back(part.to_vec());
        }
    }

    /// What becomes of a change whose request has ended; `None` if it is retried or nobody is to be told.
    fn settle_change(
        &mut self,
        id: ChangeId,
        verdict: &Verdict,
        answer: Option<&Answer>,
        now: Time,
    ) -> Option<Settled<T>> {
        let change = &mut self.changes[id];
        let outcome = match verdict {
            Verdict::Accepted => Outcome::Accepted,
            Verdict::Rejected { reason, message } => self.rejected(id, *reason, message),
            Verdict::Retry { .. } if change.abandoned => {
                self.release(id);
                return None;
            }
            Verdict::Retry { message } => {
                change.refusals += u32::from(message.is_some());
                let (slug, target, refusals) = (change.slug, change.target, change.refusals);
                let newer = &self.targets[target].changes;
                match message {
                    _ if newer.iter().any(|newer| self.changes[*newer].slug == slug) => Outcome::Superseded,
                    Some(message) if refusals >= REFUSALS_MAX => self.rejected(id, braze::Reason::Unusable, message),
                    _ => {
                        let change = &mut self.changes[id];
                        change.flush_at = now;
                        if message.is_some() {
                            change.held_until = now + self.limits.backoff.after(refusals);
                        }
                        if let Some(answer) = answer {
                            self.answers.keep(id, answer, message.as_deref());
                        }
                        self.people.claim(change.person, id);
                        self.targets[target].changes.push(id);
                        return None;
                    }
                }
            }
        };
        Some(self.settled(id, outcome))
    }

    fn rejected(&self, id: ChangeId, reason: braze::Reason, message: &str) -> Outcome {
        Outcome::Rejected(Box::new(Rejection {
            identifier: self.targets[self.changes[id].target].identifier.clone(),
            reason,
            message: message.to_owned(),
        }))
    }
}
