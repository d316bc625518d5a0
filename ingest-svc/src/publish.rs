//! Publishes what normalization gave: events to `profile-events`, refusals as received to `profile-events.rejected`. Nobody is
//! answered before Kafka has acknowledged.

#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kafka::rejected::Rejected;
use kafka::{Publisher, RecordOut, Topics};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::metrics;
use crate::normalize::{Encoded, EventId, RawRecord, Reason, encode};
use crate::source::{Origin, Raw};

/// Header of a rejected record: the account it was sent to.
const ACCOUNT: &str = "account";
/// Header of a rejected record: the stream it was sent to.
const STREAM: &str = "stream";
/// Header of a rejected record: the key of the file that it is a row of.
const FILE: &str = "file";
/// Header of a rejected record: which row of the file.
const ROW: &str = "row";
/// Header of a rejected record: when it was received, RFC 3339.
const RECEIVED: &str = "received";
/// Header of a rejected record: the reason as a short, stable word.
const REASON_CODE: &str = "rejected-code";

const EVENT_TYPE: &str = "lytics.profile.v1.ProfileEvent";

/// Why a raw record was not published as an event; it is kept on the rejected topic.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    /// The body holds no records.
    #[error("{0}")]
    Body(String),
    /// It could not be read as a record.
    #[error("{0}")]
    Unreadable(String),
    /// No mapping reads the stream. Not a 404: Braze drops a message for good after any 4xx.
    #[error("no mapping reads the stream {0:?}")]
    NoMapping(String),
    /// This version of the service cannot compile that of the account's mapping; it may be older than the one that took it.
    #[error("{0} does not compile here")]
    BrokenMapping(String),
    /// The mapping gave no event.
    #[error(transparent)]
    Record(#[from] Reason),
    /// The event is larger than a record may be.
    #[error("the event is too large to publish ({0} bytes)")]
    TooLarge(usize),
}

impl Refusal {
    /// A short, stable word for metrics and headers.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "broken_body",
            Self::Unreadable(_) => "unreadable",
            Self::NoMapping(_) => "no_mapping",
            Self::BrokenMapping(_) => "broken_mapping",
            Self::Record(reason) => reason.code(),
            Self::TooLarge(_) => "too_large",
        }
    }
}

/// What became of one raw record, once Kafka has acknowledged it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// On `profile-events`.
    Published { event_id: EventId },
    /// Nowhere: the mapping's `WHERE` is not true of it, so its author does not want it.
    NotWanted,
    /// On `profile-events.rejected`.
    Rejected(Refusal),
}

impl Outcome {
    /// What becomes of a record once Kafka takes what there is to write of it.
    pub(crate) fn of(event: Result<Encoded, Refusal>) -> Self {
        match event {
            Ok(event) => Self::Published {
                event_id: event.event_id,
            },
            Err(Refusal::Record(Reason::NotWanted)) => Self::NotWanted,
            Err(refusal) => Self::Rejected(refusal),
        }
    }
}

/// Normalizes and publishes raw records. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Publish {
    publisher: Publisher,
    events: Arc<str>,
    rejected: Arc<str>,
    ack_timeout: Duration,
    failing: Arc<AtomicBool>,
}

impl Publish {
    pub(crate) fn new(publisher: Publisher, topics: &Topics, ack_timeout: Duration) -> Self {
        Self {
            publisher,
            events: topics.profile_events().into(),
            rejected: topics.profile_events_rejected().into(),
            ack_timeout,
            failing: Arc::default(),
        }
    }

    /// Publishes `records` in order and waits for all acknowledgements: one outcome per record. At most
    /// for the acknowledgement timeout, and not beyond `deadline`.
    ///
    /// # Errors
    /// When Kafka did not acknowledge one of them in time. Some may be written then; event ids make a repeat recognisable.
    pub(crate) async fn records(
        &self,
        origin: &Origin,
        records: Vec<Raw>,
        received: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Vec<Outcome>, kafka::Error> {
        if let Some(shadow) = &origin.chosen.shadow {
            shadow.offer(origin, &records, received);
        }
        let events: Vec<_> = records
            .iter()
            .map(|record| self::event(origin, record, received))
            .collect();
        let raw = records.into_iter().map(|record| record.json).collect();
        self.write(origin, raw, events, received, deadline).await
    }

    /// Keeps a body that holds no records, as it was received; waits as [`Publish::records`] does.
    ///
    /// # Errors
    /// When Kafka did not acknowledge it in time.
    pub(crate) async fn refused_body(
        &self,
        origin: &Origin,
        body: Bytes,
        refusal: Refusal,
        received: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<(), kafka::Error> {
        let outcomes = self.write(origin, vec![body], vec![Err(refusal)], received, deadline);
        outcomes.await.map(drop)
    }

    /// Ends when the producer has failed for good, see [`Publisher::failed`].
    pub(crate) async fn failed(&self) -> kafka::Error {
        self.publisher.failed().await
    }

    /// Waits until everything handed to the producer is acknowledged or given up.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub(crate) async fn flush(&self, timeout: Duration) -> Result<(), kafka::Error> {
        self.publisher.flush(timeout).await
    }

    async fn write(
        &self,
        origin: &Origin,
        raw: Vec<Bytes>,
        events: Vec<Result<Encoded, Refusal>>,
        received: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Vec<Outcome>, kafka::Error> {
        let (started, records) = (Instant::now(), raw.len());
        let by = started + self.ack_timeout;
        let by = deadline.map_or(by, |deadline| deadline.min(by));
        let span = if Span::current().is_none() {
            Span::none()
        } else {
            tracing::info_span!("publish", otel.kind = "producer", messaging.system = "kafka", records)
        };
        // librdkafka looks for records past their time once a second; the sender is not kept waiting for that.
        let publish = tokio::time::timeout_at(by, self.publish(origin, raw, events, received));
        let outcomes = publish.instrument(span).await.unwrap_or_else(|_| {
            let topic = self.events.to_string();
            Err(kafka::Error::Timeout { topic })
        });
        ::metrics::histogram!(metrics::PUBLISH_SECONDS).record(started.elapsed());
        count(origin, &outcomes, records);
        self.note(outcomes.as_ref().err());
        outcomes
    }

    /// Says once that Kafka stopped acknowledging, and once that it does again: an outage is not a log line per request.
    fn note(&self, error: Option<&kafka::Error>) {
        match (self.failing.swap(error.is_some(), Ordering::Relaxed), error) {
            (false, Some(error)) => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "kafka does not acknowledge: senders are told to come again");
            }
            (true, None) => tracing::info!("kafka acknowledges again"),
            _ => {}
        }
    }

    async fn publish(
        &self,
        origin: &Origin,
        raw: Vec<Bytes>,
        events: Vec<Result<Encoded, Refusal>>,
        received: Timestamp,
    ) -> Result<Vec<Outcome>, kafka::Error> {
        let context = runtime::trace::current_or_new();
        let keep = |index: usize, bytes: &Bytes, refusal: &Refusal| {
            let mut record = self.rejected_record(origin, bytes.clone(), refusal, received);
            if let Some(file) = &origin.file {
                record.headers.push((FILE.into(), file.key.clone().into()));
                let row = file.rows.get(index).map(ToString::to_string);
                record.headers.extend(row.map(|row| (ROW.into(), row.into())));
            }
            kafka::headers::inject(&context, &mut record.headers);
            record
        };
        let (mut out, mut outcomes) = (Vec::with_capacity(raw.len()), Vec::with_capacity(raw.len()));
        // Where the outcome of each record to write stands.
        let mut places = Vec::with_capacity(raw.len());
        let headers = kafka::headers::standard(EVENT_TYPE, &context);
        let mut identities_dropped = 0;
        for (index, (bytes, mut event)) in raw.iter().zip(events).enumerate() {
            let record = match &mut event {
                Ok(event) => {
                    identities_dropped += event.identities_dropped as u64;
                    let mut record = RecordOut::new(&*self.events)
                        .key(mem::take(&mut event.key))
                        .payload(mem::take(&mut event.payload));
                    record.headers.clone_from(&headers);
                    Some(record)
                }
                Err(Refusal::Record(Reason::NotWanted)) => None,
                Err(refusal) => Some(keep(index, bytes, refusal)),
            };
            if let Some(record) = record {
                out.push(record);
                places.push(index);
            }
            outcomes.push(Outcome::of(event));
        }
        ::metrics::counter!(metrics::IDENTITIES_DROPPED).increment(identities_dropped);
        let mut too_large = Vec::new();
        for (index, ack) in places.into_iter().zip(self.publisher.publish_all(out).await) {
            match (ack, &outcomes[index]) {
                (Ok(_), _) => {}
                // Will never be taken, however often the sender repeats it; the raw record may fit where the event did not.
                (Err(kafka::Error::TooLarge { bytes, .. }), Outcome::Published { .. }) => {
                    let refusal = Refusal::TooLarge(bytes);
                    too_large.push(keep(index, &raw[index], &refusal));
                    outcomes[index] = Outcome::Rejected(refusal);
                }
                (Err(error), _) => return Err(error),
            }
        }
        if !too_large.is_empty() {
            for ack in self.publisher.publish_all(too_large).await {
                ack?;
            }
        }
        Ok(outcomes)
    }

    fn rejected_record(&self, origin: &Origin, payload: Bytes, refusal: &Refusal, received: Timestamp) -> RecordOut {
        let content_type = origin.content_type.clone();
        let content_type = content_type.map(|value| (kafka::headers::CONTENT_TYPE.into(), value));
        let ours = [
            (ACCOUNT.into(), origin.account.to_string().into()),
            (STREAM.into(), origin.stream.clone().into()),
            (RECEIVED.into(), received.to_string().into()),
            (REASON_CODE.into(), Bytes::from_static(refusal.code().as_bytes())),
        ];
        let headers = content_type.into_iter().chain(ours).collect();
        let rejected = Rejected {
            key: None,
            payload,
            headers,
            reason: refusal.to_string(),
            attempts: 1,
            origin: origin.source.as_str().to_owned(),
        };
        rejected.into_record(&*self.rejected)
    }
}

fn count(origin: &Origin, outcomes: &Result<Vec<Outcome>, kafka::Error>, records: usize) {
    let add = |outcome: &'static str, records: usize| {
        let counter = ::metrics::counter!(metrics::RECORDS, "source" => origin.source.as_str(), "outcome" => outcome);
        counter.increment(records as u64);
    };
    let Ok(outcomes) = outcomes else {
        add("unacknowledged", records);
        return;
    };
    let (mut rejected, mut not_wanted) = (0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Published { .. } => {}
            Outcome::NotWanted => not_wanted += 1,
            Outcome::Rejected(refusal) => {
                ::metrics::counter!(metrics::REJECTED, "reason" => refusal.code()).increment(1);
                rejected += 1;
            }
        }
    }
    add("rejected", rejected);
    add("not_wanted", not_wanted);
    add("published", outcomes.len() - rejected - not_wanted);
}

/// The event of one raw record by the mapping of its stream.
pub(crate) fn event(origin: &Origin, record: &Raw, received: Timestamp) -> Result<Encoded, Refusal> {
    if let Some(problem) = &record.unusable {
        return Err(Refusal::Unreadable(problem.clone()));
    }
    let mapping = origin.chosen.mapping.as_ref().map_err(Clone::clone)?;
    let raw = RawRecord {
        account: origin.account.get(),
        stream: &origin.stream,
        json: &record.json,
        timestamp_field: origin.timestamp_field.as_deref(),
    };
    Ok(encode(mapping, &raw, received)?)
}
