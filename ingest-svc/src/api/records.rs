//! `IngestRecords`: one answer per record, in order, each after Kafka's acknowledgement.
//!
//! Records that have arrived are published together, a few such chunks at once, each bounded in records and bytes. Nothing more is
//! read before the client has taken its answers, so what else waits is bounded by HTTP/2's own windows.

use control::Directory;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use proto::ingest::v1 as wire;
use proto::ingest::v1::ingest_records_response::Outcome as Answer;
use runtime::grpc::status;
use runtime::window::next_window;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, Streaming};
use tracing::{Instrument, Span};

use super::ingest::account;
use crate::mappings::Mappings;
use crate::metrics;
use crate::publish::{Outcome, Publish};
use crate::source::webhook::{Admission, Permit, RETRY_AFTER, SENDERS, THROTTLED_RETRY_AFTER, Throttle, Throttled};
use crate::source::{Origin, Raw, STREAM_BYTES_MAX, Source};

/// Records published together at most.
const CHUNK_RECORDS: usize = 256;
/// Chunks that wait for Kafka at once, per stream.
const CHUNKS_MAX: usize = 4;

type Answers = BoxStream<'static, Result<wire::IngestRecordsResponse, Status>>;

/// What a stream needs.
pub(super) struct Parts {
    pub(super) directory: Directory,
    pub(super) mappings: Mappings,
    pub(super) publish: Publish,
    pub(super) admission: Admission,
    pub(super) throttle: Throttle,
}

/// Answers the stream of `request`, whose first message names account and stream.
pub(super) async fn answers(
    parts: Parts,
    request: Request<Streaming<wire::IngestRecordsRequest>>,
    drain: CancellationToken,
) -> Result<Answers, Status> {
    let (metadata, extensions, mut inbound) = request.into_parts();
    let credentials = Request::from_parts(metadata, extensions, ());
    let Some(first) = drain.run_until_cancelled(inbound.message()).await else {
        return Err(draining());
    };
    let Some(first) = first? else {
        return Ok(stream::empty().boxed());
    };
    let account = account(&first.account)?;
    let origin = Origin {
        account,
        chosen: parts.mappings.choose(account, &first.stream),
        stream: first.stream.clone(),
        source: Source::Grpc,
        content_type: None,
        timestamp_field: Some(first.timestamp_field.clone()).filter(|field| !field.is_empty()),
        file: None,
    };
    let caller = parts.directory.authorize(&credentials, origin.account, &SENDERS)?;
    parts
        .directory
        .account_number(model::AccountRef::Number(origin.account))?;
    if !(1..=STREAM_BYTES_MAX).contains(&origin.stream.len()) {
        let problem = format!("must have 1 to {STREAM_BYTES_MAX} bytes");
        return Err(status::invalid_argument("stream", problem));
    }
    let permit = parts.throttle.enter(&caller)?;
    let work = std::sync::Arc::new(Work {
        parts,
        credentials,
        origin,
        span: Span::current(),
        _permit: permit,
    });
    let ended = drain.clone();
    let received = stream::once(ready(Ok(first)))
        .chain(inbound)
        .enumerate()
        .take_until(drain.cancelled_owned());
    let answers = stream::unfold(Box::pin(received.peekable()), |from| {
        next_window(from, CHUNK_RECORDS, bytes)
    })
    .map(move |chunk| std::sync::Arc::clone(&work).chunk(chunk))
    .buffered(CHUNKS_MAX)
    .flat_map(stream::iter)
    .chain(
        async move { ended.is_cancelled().then(draining).map(Err) }
            .into_stream()
            .filter_map(ready),
    );
    Ok(answers.boxed())
}

fn draining() -> Status {
    status::unavailable(
        "the service is ending; send the records without an answer again",
        RETRY_AFTER,
    )
}

impl From<Throttled> for Status {
    fn from(throttled: Throttled) -> Self {
        status::resource_exhausted(throttled.to_string(), THROTTLED_RETRY_AFTER)
    }
}

type Received = (usize, Result<wire::IngestRecordsRequest, Status>);

/// What a record takes of a window.
fn bytes((_, message): &Received) -> usize {
    message.as_ref().map_or(0, |message| message.record.len())
}

struct Work {
    parts: Parts,
    credentials: Request<()>,
    origin: Origin,
    span: Span,
    /// The stream's place among the requests of its token.
    _permit: Permit,
}

impl Work {
    /// The answers to a chunk; an error ends the stream behind those before it.
    async fn chunk(
        self: std::sync::Arc<Self>,
        chunk: Vec<Received>,
    ) -> Vec<Result<wire::IngestRecordsResponse, Status>> {
        // A stream may outlive its token.
        if let Err(refused) = self
            .parts
            .directory
            .authorize(&self.credentials, self.origin.account, &SENDERS)
        {
            return vec![Err(refused)];
        }
        let (mut first, mut records, mut broken) = (None, Vec::<Raw>::with_capacity(chunk.len()), None);
        for (index, message) in chunk {
            match message {
                Ok(message) => {
                    first.get_or_insert(index);
                    records.push(message.record.into());
                }
                Err(status) => broken = broken.or(Some(Err(status))),
            }
        }
        let Some(_held) = self
            .parts
            .admission
            .hold(records.iter().map(|record| record.json.len()).sum())
        else {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "held_bytes").increment(1);
            let message = "too much at once; send the records without an answer again later";
            return vec![Err(status::unavailable(message, RETRY_AFTER))];
        };
        let mut answers = Vec::with_capacity(records.len() + 1);
        if let Some(first) = first {
            let span = self.span.clone();
            // A stream may outlive a mapping, too.
            let chosen = self.parts.mappings.choose(self.origin.account, &self.origin.stream);
            let origin = Origin {
                chosen,
                ..self.origin.clone()
            };
            let outcomes = self
                .parts
                .publish
                .records(&origin, records, Timestamp::now(), None)
                .instrument(span);
            match outcomes.await {
                Ok(outcomes) => answers.extend(
                    (first..)
                        .zip(outcomes)
                        .map(|(index, outcome)| Ok(answer(index, outcome))),
                ),
                Err(_) => {
                    let message = "not stored; send the records without an answer again later";
                    return vec![Err(status::unavailable(message, RETRY_AFTER))];
                }
            }
        }
        answers.extend(broken);
        answers
    }
}

fn answer(index: usize, outcome: Outcome) -> wire::IngestRecordsResponse {
    let outcome = match outcome {
        Outcome::Published { event_id } => Answer::EventId(event_id.to_string()),
        Outcome::NotWanted => Answer::NotWanted(true),
        Outcome::Rejected(refusal) => Answer::RejectedReason(refusal.to_string()),
    };
    wire::IngestRecordsResponse {
        index: index as u64,
        outcome: Some(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_the_bytes_of_the_records() {
        let record = wire::IngestRecordsRequest {
            record: vec![0; 7].into(),
            ..Default::default()
        };
        assert_eq!(bytes(&(0, Ok(record))), 7);
        assert_eq!(bytes(&(0, Err(draining()))), 0);
    }
}
