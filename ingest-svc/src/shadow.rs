//! Candidates that run beside live mappings: what they would have made of the same records, and nothing of it published.
//!
//! ```text
//! request ─▶ live mapping ─▶ publish
//!    └▶ a copy of its records, if there is room ─▶ queue ─▶ one worker: both mappings, compared ─▶ counts, examples
//! ```
//!
//! A request never waits for a candidate. It copies at most [`OFFER_BYTES_MAX`], and what the queue has no room for is passed over
//! and counted. The worker rests 19 times as long as it works, so that all candidates together take a twentieth of a processor,
//! however expensive they are.

mod compare;
mod report;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc::{Permit, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub(crate) use self::worker::Worker;

use self::compare::Tally;
use crate::metrics;
use crate::normalize::{Mapping, RawRecord, normalize};
use crate::publish::Refusal;
use crate::source::{Origin, Raw};

/// Offers that wait for the worker.
const OFFERS_MAX: usize = 64;
/// Bytes of records that wait for the worker, or are with it.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Bytes of records that one request, or one window of it, may offer.
const OFFER_BYTES_MAX: usize = 256 << 10;
/// What a record takes beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Where records wait for the worker. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    offers: Sender<Offer>,
    room: Arc<Semaphore>,
}

/// Records of one request, to be compared.
#[derive(Debug)]
struct Offer {
    shadow: Arc<Shadow>,
    account: u64,
    stream: String,
    timestamp_field: Option<String>,
    received: Timestamp,
    records: Vec<Bytes>,
    /// Their room in the queue.
    _room: OwnedSemaphorePermit,
}

impl Queue {
    /// A place and room for an offer of so many bytes, if there is.
    fn enter(&self, bytes: usize) -> Option<(Permit<'_, Offer>, OwnedSemaphorePermit)> {
        let place = self.offers.try_reserve().ok()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(u32::try_from(bytes).ok()?);
        Some((place, room.ok()?))
    }
}

/// The queue and its worker.
pub(crate) fn queue() -> (Queue, Worker) {
    let (offers, inbox) = mpsc::channel(OFFERS_MAX);
    let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
    (Queue { offers, room }, Worker::new(inbox))
}

/// A candidate beside one version of a live mapping, and what was counted since.
#[derive(Debug)]
pub(crate) struct Shadow {
    candidate: Arc<Mapping>,
    revision: u64,
    live: Result<Arc<Mapping>, Refusal>,
    queue: Queue,
    start: Timestamp,
    tally: Mutex<Tally>,
    passed_over: AtomicU64,
}

impl Shadow {
    pub(crate) fn new(
        candidate: Arc<Mapping>,
        revision: u64,
        live: Result<Arc<Mapping>, Refusal>,
        queue: Queue,
        start: Timestamp,
    ) -> Self {
        Self {
            candidate,
            revision,
            live,
            queue,
            start,
            tally: Mutex::default(),
            passed_over: AtomicU64::new(0),
        }
    }

    /// The mapping that is tried out.
    pub(crate) fn candidate(&self) -> &Arc<Mapping> {
        &self.candidate
    }

    /// Which edit of the shadow this is.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether it is compared with this mapping.
    pub(crate) fn is_beside(&self, live: &Result<Arc<Mapping>, Refusal>) -> bool {
        match (&self.live, live) {
            (Ok(one), Ok(other)) => Arc::ptr_eq(one, other),
            (Err(one), Err(other)) => one.code() == other.code(),
            _ => false,
        }
    }

    /// Offers the records of a request to be compared. Waits for nothing; what finds no room is passed over.
    pub(crate) fn offer(self: &Arc<Self>, origin: &Origin, records: &[Raw], received: Timestamp) {
        // What is no record is no matter of mappings.
        let usable = records.iter().filter(|record| record.unusable.is_none());
        let mut bytes = 0;
        let fit = usable.clone().take_while(|record| {
            bytes += record.json.len() + RECORD_OVERHEAD_BYTES;
            bytes <= OFFER_BYTES_MAX
        });
        let (all, mut fit) = (usable.clone().count(), fit.count());
        let entered = (fit > 0).then(|| self.queue.enter(bytes.min(OFFER_BYTES_MAX)));
        if let Some((place, room)) = entered.flatten() {
            place.send(Offer {
                shadow: Arc::clone(self),
                account: origin.account.get(),
                stream: origin.stream.clone(),
                timestamp_field: origin.timestamp_field.clone(),
                received,
                // Copies: these are parts of a request's body, which must not be held for this.
                records: usable
                    .take(fit)
                    .map(|record| Bytes::copy_from_slice(&record.json))
                    .collect(),
                _room: room,
            });
        } else {
            fit = 0;
        }
        self.pass_over(all - fit);
    }

    fn pass_over(&self, records: usize) {
        if records > 0 {
            self.passed_over.fetch_add(records as u64, Ordering::Relaxed);
            ::metrics::counter!(metrics::SHADOW_RECORDS, "outcome" => "passed_over").increment(records as u64);
        }
    }

    /// Compares what both mappings make of a record.
    fn compare(&self, raw: &RawRecord<'_>, received: Timestamp) {
        let live = match &self.live {
            Ok(live) => normalize(live, raw, received).map_err(Refusal::from),
            Err(refusal) => Err(refusal.clone()),
        };
        let candidate = normalize(&self.candidate, raw, received).map_err(Refusal::from);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if tally.add(&live, &candidate) {
            "same"
        } else {
            "different"
        };
        ::metrics::counter!(metrics::SHADOW_RECORDS, "outcome" => outcome).increment(1);
    }
}

#[cfg(test)]
mod tests;
