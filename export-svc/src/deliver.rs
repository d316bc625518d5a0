//! Requests out, and how they ended.
//!
//! A request starts if its batch is ready, the budget allows it, the lease holds and there is room in `order`. It is one task
//! on the runtime; its end comes back as an event. It goes out under the authorization of its oldest change; the changes of
//! other jobs travel with it, since all authorizations of a Braze workspace are keys of that workspace. A refused authorization
//! puts the jobs that name it to sleep (`probe`): only they wait.

mod keep;
mod probe;

pub(crate) use self::probe::{REFUSES, shown};

use std::sync::Arc;

use braze::{Attempt, Client, Identifier, Refusal, Track, Verdict};
use kafka::Publisher;
use opentelemetry::trace::SpanContext;
use proto::export::v1::{RejectedChange, UserAlias, rejected_change};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::batch::{Answer, End, Ending, Outcome, RequestId, Settled};
use crate::clock::Time;
use crate::feed::{Credential, Used};
use crate::health::Health;
use crate::lease::Lease;
use crate::measure;
use crate::pipeline::Event;
use crate::workspace::{Fate, Place, Request, Workspace};

pub(crate) use self::keep::ToKeep;

/// Spans of changes that the span of a request links to.
pub(crate) const LINKS_MAX: usize = 16;

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) used: Used,
    pub(crate) body_bytes: usize,
}

/// Makes the calls, as tasks whose ends come back as events.
#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) client: Client,
    pub(crate) health: Health,
    pub(crate) publisher: Publisher,
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) lease: Lease,
}

impl Deliverer {
    fn deliver(
        &self,
        request: RequestId,
        (used, credential): (Used, Arc<Credential>),
        track: Track,
        links: Vec<SpanContext>,
    ) {
        let span = tracing::info_span!(
            "deliver",
            otel.kind = "client",
            braze.updates = track.objects(),
            braze.body_bytes = track.body().len(),
            braze.end = tracing::field::Empty,
        );
        for link in links {
            span.add_link(link);
        }
        metrics::histogram!(measure::REQUEST_UPDATES).record(track.objects() as f64);
        let (client, events, lease) = (self.client.clone(), self.events.clone(), self.lease.clone());
        let health = self.health.clone();
        let call = async move {
            let begun = tokio::time::Instant::now();
            let call = client.track_while(&credential.endpoint, &credential.key, &track, move || lease.holds());
            let attempt = call.await;
            health.observe(&used, &attempt);
            let end = match &attempt.end {
                braze::End::Accepted { .. } => "accepted",
                braze::End::Refused { .. } => "refused",
                braze::End::Unknown { .. } => "unknown",
            };
            tracing::Span::current().record("braze.end", end);
            metrics::histogram!(measure::ATTEMPT_SECONDS).record(begun.elapsed().as_secs_f64());
            metrics::counter!(measure::ATTEMPTS_TOTAL, "end" => end).increment(1);
            // Nobody listens any more: the workspace was abandoned, and the change is not settled.
            drop(events.send(Event::Attempt { request, attempt }).await);
        };
        self.tasks.spawn_on(call.instrument(span), &self.runtime);
    }
}

impl Workspace {
    /// Starts what may be started. `leased`: a progress transaction that began less than the lease ago has committed. Gives
    /// back whether only the lease is missing.
    pub(crate) fn start_requests(&mut self, deliverer: &Deliverer, leased: bool, now: Time) -> bool {
        while self.batch.is_ready(now) && self.may_start(now) {
            if !leased {
                return true;
            }
            let Some((used, credential)) = self.caller() else {
                return false;
            };
            let Some(request) = self.batch.close(&self.order, now) else {
                return false;
            };
            match self.batch.body(request) {
                Ok(track) => {
                    let paid = self.budget.take(now);
                    debug_assert!(paid, "`may_start` has seen that the budget allows it");
                    let body_bytes = track.body().len();
                    let sent = Sent {
                        used: used.clone(),
                        body_bytes,
                    };
                    self.in_flight.insert(request, sent);
                    let links = self.links(request);
                    deliverer.deliver(request, (used, credential), track, links);
                }
                Err(_) => self.refuse_too_large(request, deliverer, now),
            }
        }
        false
    }

    /// Takes over what the authorizations say of the rate.
    pub(crate) fn limit(&mut self, said: control::Budget, now: Time) {
        let rate = said.requests_per_second.or(self.config.requests_per_second);
        self.budget.set(rate, said.limit_share, now);
    }

    fn may_start(&mut self, now: Time) -> bool {
        self.batch.in_flight() < self.config.in_flight_max
            && self.keeping < self.config.in_flight_max
            && !self.order.is_full(2 * self.batch.changes_in_flight())
            && self
                .takeover
                .as_ref()
                .is_none_or(|takeover| takeover.ends.is_some() && now >= takeover.send_from)
            && self.budget.next() <= now
    }

    /// What to send the next request with.
    fn caller(&mut self) -> Option<(Used, Arc<Credential>)> {
        let feed = self.batch.peek()?.feed;
        let preferred = self.feeds.get(feed).map(|feed| feed.job.authorization.as_str());
        self.feeds.caller(preferred.unwrap_or_default())
    }

    fn links(&mut self, request: RequestId) -> Vec<SpanContext> {
        if self.links_max == 0 {
            return Vec::new();
        }
        self.links_left = self.links_max;
        let traces = self.batch.origins(request).filter_map(|origin| origin.trace.as_deref());
        traces.take(self.links_max).cloned().collect()
    }

    /// The body would be larger than Braze takes: as if Braze had said so.
    fn refuse_too_large(&mut self, request: RequestId, deliverer: &Deliverer, now: Time) {
        let objects = self.batch.objects(request).count();
        let verdict = if objects > 1 {
            Verdict::Retry { message: None }
        } else {
            let message = format!("the update is larger than {} bytes", braze::BODY_BYTES_MAX);
            Verdict::Rejected {
                reason: braze::Reason::Unusable,
                message,
            }
        };
        let ending = Ending {
            end: End::Refused,
            verdicts: vec![verdict; objects],
            split: objects > 1,
        };
        self.complete(request, ending, deliverer, now);
    }

    /// An attempt has ended. `jitter`: from 0 to 1.
    pub(crate) fn end_attempt(
        &mut self,
        request: RequestId,
        attempt: Attempt,
        deliverer: &Deliverer,
        jitter: f64,
        now: Time,
    ) {
        let Some(sent) = self.in_flight.remove(&request) else {
            return;
        };
        self.budget.learn(&attempt.rate);
        let answer = Answer {
            time: now,
            status: attempt.status,
            message: words(&attempt.end),
        };
        self.batch.answered(request, answer);
        match attempt.end {
            braze::End::Accepted { verdicts, split } => {
                self.budget.succeeded();
                self.went_well(request);
                self.feeds.trust(&sent.used);
                if split {
                    tracing::warn!("{NOT_ALL}: those that it may not have taken are sent again, in halves");
                }
                let ending = Ending {
                    end: End::Accepted,
                    verdicts,
                    split,
                };
                self.complete(request, ending, deliverer, now);
            }
            braze::End::Refused {
                refusal,
                verdicts,
                split,
                message,
            } => {
                let (objects, feeds) = (verdicts.len(), self.feeds_of(request));
                if is_about_updates(refusal) {
                    self.went_well(request);
                }
                let ending = Ending {
                    end: End::Refused,
                    verdicts,
                    split,
                };
                self.complete(request, ending, deliverer, now);
                self.refused(&sent, refusal, objects, &message, jitter, now);
                match refusal {
                    Refusal::NotSent => self.err(&feeds, &format!("Braze cannot be reached: {message}"), now),
                    Refusal::RateLimited { .. } => self.err(&feeds, "Braze takes no more requests for now", now),
                    _ => {}
                }
            }
            braze::End::Unknown { status, message } => {
                tracing::warn!(
                    status,
                    "a call to Braze ended unknown, its updates are sent again: {message}"
                );
                let ending = Ending {
                    end: End::Unknown,
                    verdicts: Vec::new(),
                    split: false,
                };
                let (suspect, feeds) = (self.batch.is_suspect(request), self.feeds_of(request));
                self.complete(request, ending, deliverer, now);
                if !suspect {
                    self.budget.failed(now, jitter);
                }
                let status = status.map_or_else(String::new, |status| format!(" (status {status})"));
                self.err(&feeds, &format!("Braze gives no usable answer{status}: {message}"), now);
            }
        }
    }

    fn refused(&mut self, sent: &Sent, refusal: Refusal, objects: usize, message: &str, jitter: f64, now: Time) {
        match refusal {
            Refusal::NotSent => {
                tracing::warn!("Braze cannot be reached, the updates are sent again: {message}");
                self.budget.failed(now, jitter);
            }
            Refusal::RateLimited { retry_after } => match retry_after {
                Some(wait) => self.budget.freeze(now + wait),
                None => self.budget.failed(now, jitter),
            },
            Refusal::Unauthorized { .. } | Refusal::Other { .. } => {
                self.sleep(&sent.used, &probe::reason(refusal, message), now);
            }
            Refusal::TooManyObjects => {
                // Half of what was sent: requests in flight together that are refused together say it once.
                let objects_max = objects.div_ceil(2).max(1);
                if objects_max < self.objects_max_learnt {
                    tracing::warn!(
                        objects_max,
                        "Braze gets at most {objects_max} updates in a request from now on"
                    );
                    self.objects_max_learnt = objects_max;
                    self.batch.set_objects_max(objects_max.min(self.batch.objects_max()));
                }
            }
            // A lone update that is too large says nothing about the others.
            Refusal::TooLarge if objects > 1 => {
                let bytes_max = sent.body_bytes.div_ceil(2);
                if bytes_max < self.batch.body_bytes_max() {
                    tracing::warn!(
                        bytes_max,
                        "Braze gets at most {bytes_max} bytes in a request from now on"
                    );
                    self.batch.set_body_bytes_max(bytes_max);
                }
            }
            Refusal::TooLarge | Refusal::Objects | Refusal::Malformed => {}
        }
    }

    fn complete(&mut self, request: RequestId, ending: Ending, deliverer: &Deliverer, now: Time) {
        let (mut to_keep, mut taken) = (ToKeep::default(), Vec::new());
        for Settled {
            origin,
            add,
            attempts,
            contested,
            outcome,
        } in self.batch.complete(request, ending, &mut self.order, now)
        {
            let place = Place {
                contested,
                ..origin.place()
            };
            match outcome {
                Outcome::Accepted => {
                    taken.push((place.feed, place.partition, place.offset));
                    self.settle(place, if add { Fate::Added } else { Fate::Removed });
                }
                Outcome::Superseded => self.settle(place, Fate::Omitted),
                Outcome::Rejected(rejection) => {
                    let rejected = RejectedChange {
                        reason: rejection.reason.as_str().to_owned(),
                        braze_message: rejection.message,
                        attempts,
                        identifier: Some(to_wire(rejection.identifier)),
                        ..RejectedChange::default()
                    };
                    if let Some(record) = self.rejected(&origin, rejected) {
                        to_keep.add(place, Fate::Rejected, record);
                    }
                }
            }
        }
        self.taken.keep(Request {
            time: now,
            changes: taken,
        });
        self.keep(to_keep, deliverer);
    }
}

/// A 2xx that counts fewer objects than were sent, or whose errors name none.
const NOT_ALL: &str = "not every update was processed, and Braze does not say which";

/// What was said to a request as a whole.
fn words(end: &braze::End) -> Arc<str> {
    match end {
        // Each update that it has not taken has its own.
        braze::End::Accepted { split: false, .. } => Arc::default(),
        braze::End::Accepted { .. } => NOT_ALL.into(),
        braze::End::Refused { message, .. } | braze::End::Unknown { message, .. } => message.as_str().into(),
    }
}

/// Braze has read the updates, and says what is wrong with them: it is there.
fn is_about_updates(refusal: Refusal) -> bool {
    match refusal {
        Refusal::TooManyObjects | Refusal::TooLarge | Refusal::Objects | Refusal::Malformed => true,
        Refusal::NotSent | Refusal::RateLimited { .. } | Refusal::Unauthorized { .. } | Refusal::Other { .. } => false,
    }
}

pub(crate) fn to_wire(identifier: Identifier) -> rejected_change::Identifier {
    match identifier {
        Identifier::ExternalId(id) => rejected_change::Identifier::ExternalId(id),
        Identifier::BrazeId(id) => rejected_change::Identifier::BrazeId(id),
        Identifier::Alias { label, name } => rejected_change::Identifier::UserAlias(UserAlias { label, name }),
        Identifier::Email(address) => rejected_change::Identifier::Email(address),
        Identifier::Phone(number) => rejected_change::Identifier::Phone(number),
    }
}
