//! Delivery reports: one latch per request, shared by all its records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext};
use tokio::sync::oneshot;

use crate::metrics::{QUEUE_BYTES, QUEUE_RECORDS};
use crate::{Ack, Error, RecordOut, client};

type Results = Vec<Result<Ack, Error>>;

/// Collects the results of one request's records and hands them over when the last has come.
pub(crate) struct Latch {
    state: Mutex<State>,
    bytes: f64,
}

struct State {
    results: Vec<Option<Result<Ack, Error>>>,
    missing: usize,
    done: Option<oneshot::Sender<Results>>,
}

/// The place of one record in its request's latch; librdkafka carries it from produce to delivery report.
pub(crate) struct Slot {
    latch: Arc<Latch>,
    index: usize,
}

impl Latch {
    /// A latch for these records, and where its results arrive. The records count as queued until all have a result.
    pub(crate) fn new(records: &[RecordOut]) -> (Arc<Self>, oneshot::Receiver<Results>) {
        let (done, results) = oneshot::channel();
        let bytes = records.iter().map(RecordOut::bytes).sum::<usize>() as f64;
        metrics::gauge!(QUEUE_RECORDS).increment(records.len() as f64);
        metrics::gauge!(QUEUE_BYTES).increment(bytes);
        let state = State {
            results: records.iter().map(|_| None).collect(),
            missing: records.len(),
            done: Some(done),
        };
        (
            Arc::new(Self {
                state: Mutex::new(state),
                bytes,
            }),
            results,
        )
    }

    pub(crate) fn slot(self: &Arc<Self>, index: usize) -> Box<Slot> {
        Box::new(Slot {
            latch: self.clone(),
            index,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread cannot leave the state half-written: every write below is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(crate) fn fill(&self, result: Result<Ack, Error>) {
        let mut state = self.latch.state();
        state.results[self.index] = Some(result);
        state.missing -= 1;
        if state.missing == 0
            && let Some(done) = state.done.take()
        {
            let results: Results = state.results.drain(..).flatten().collect();
            drop(state);
            metrics::gauge!(QUEUE_RECORDS).decrement(results.len() as f64);
            metrics::gauge!(QUEUE_BYTES).decrement(self.latch.bytes);
            // The caller may have gone away; the records are written all the same.
            drop(done.send(results));
        }
    }
}

/// The context of every producer: fills slots.
pub(crate) struct Delivery;

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Box<Slot>) {
        slot.fill(match result {
            Ok(message) => Ok(Ack {
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, message)) => {
                let bytes = message.key_len() + message.payload_len();
                Err(Error::of_produce(error.clone(), message.topic(), bytes))
            }
        });
    }
}

/// The record as librdkafka wants it.
pub(crate) fn base_record(record: &RecordOut, slot: Box<Slot>) -> BaseRecord<'_, [u8], [u8], Box<Slot>> {
    let mut base = BaseRecord::with_opaque_to(&record.topic, slot);
    base.partition = record.partition;
    base.key = record.key.as_deref();
    base.payload = record.payload.as_deref();
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        base.headers = Some(record.headers.iter().fold(headers, |all, (name, value)| {
            all.insert(Header {
                key: name,
                value: Some(value.as_ref()),
            })
        }));
    }
    base
}
