//! `IngestRecords`: one answer per record, in order, each after Kafka's acknowledgement.
//!
//! Records that have arrived are published together, a few such chunks at once, each bounded in records and bytes. Nothing more is
//! read before the client has taken its answers, so what else waits is bounded by HTTP/2's own windows.

use std::pin::Pin;

use bytes::Bytes;
use control::Directory;
use futures::future::ready;
use futures::stream::{self, BoxStream, Peekable};
use futures::{FutureExt, Stream, StreamExt};
use jiff::Timestamp;
use proto::ingest::v1 as wire;
use proto::ingest::v1::ingest_records_response::Outcome as Answer;
use runtime::grpc::status;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, Streaming};
use tracing::{Instrument, Span};

use super::ingest::account;
use crate::metrics;
use crate::publish::{Outcome, Publish};
use crate::source::webhook::{Admission, RETRY_AFTER, SENDERS};
use crate::source::window::Window;
use crate::source::{Origin, STREAM_BYTES_MAX, Source};

/// Records published together at most.
const CHUNK_RECORDS: usize = 256;
/// Chunks that wait for Kafka at once, per stream.
const CHUNKS_MAX: usize = 4;

type Answers = BoxStream<'static, Result<wire::IngestRecordsResponse, Status>>;

/// Answers the stream of `request`, whose first message names account and stream.
pub(super) async fn answers(
    directory: Directory,
    publish: Publish,
    admission: Admission,
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
    let origin = Origin {
        account: account(&first.account)?,
        stream: first.stream.clone(),
        source: Source::Grpc,
        content_type: None,
    };
    directory.authorize(&credentials, origin.account, &SENDERS)?;
    directory.account(model::AccountRef::Number(origin.account))?;
    if !(1..=STREAM_BYTES_MAX).contains(&origin.stream.len()) {
        let problem = format!("must have 1 to {STREAM_BYTES_MAX} bytes");
        return Err(status::invalid_argument("stream", problem));
    }
    let work = std::sync::Arc::new(Work {
        directory,
        publish,
        admission,
        credentials,
        origin,
        span: Span::current(),
    });
    let ended = drain.clone();
    let received = stream::once(ready(Ok(first)))
        .chain(inbound)
        .enumerate()
        .take_until(drain.cancelled_owned());
    let answers = stream::unfold(Box::pin(received.peekable()), next_chunk)
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

type Received = (usize, Result<wire::IngestRecordsRequest, Status>);

/// The next record, and those behind it that have arrived and fit a window.
async fn next_chunk<S: Stream<Item = Received>>(
    mut from: Pin<Box<Peekable<S>>>,
) -> Option<(Vec<Received>, Pin<Box<Peekable<S>>>)> {
    let bytes = |(_, message): &Received| message.as_ref().map_or(0, |message| message.record.len());
    let first = from.next().await?;
    let mut window = Window::new(CHUNK_RECORDS);
    // A window always takes its first.
    let _fits = window.takes(bytes(&first));
    let mut chunk = vec![first];
    while let Some(Some(next)) = from.as_mut().next_if(|next| window.takes(bytes(next))).now_or_never() {
        chunk.push(next);
    }
    Some((chunk, from))
}

struct Work {
    directory: Directory,
    publish: Publish,
    admission: Admission,
    credentials: Request<()>,
    origin: Origin,
    span: Span,
}

impl Work {
    /// The answers to a chunk; an error ends the stream behind those before it.
    async fn chunk(
        self: std::sync::Arc<Self>,
        chunk: Vec<Received>,
    ) -> Vec<Result<wire::IngestRecordsResponse, Status>> {
        // A stream may outlive its token.
        if let Err(refused) = self
            .directory
            .authorize(&self.credentials, self.origin.account, &SENDERS)
        {
            return vec![Err(refused)];
        }
        let (mut first, mut records, mut broken) = (None, Vec::with_capacity(chunk.len()), None);
        for (index, message) in chunk {
            match message {
                Ok(message) => {
                    first.get_or_insert(index);
                    records.push(message.record);
                }
                Err(status) => broken = broken.or(Some(Err(status))),
            }
        }
        let Some(_held) = self.admission.hold(records.iter().map(Bytes::len).sum()) else {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "held_bytes").increment(1);
            let message = "too much at once; send the records without an answer again later";
            return vec![Err(status::unavailable(message, RETRY_AFTER))];
        };
        let mut answers = Vec::with_capacity(records.len() + 1);
        if let Some(first) = first {
            let span = self.span.clone();
            let outcomes = self
                .publish
                .records(&self.origin, records, Timestamp::now(), None)
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
        Outcome::Published { event_id } => Answer::EventId(event_id),
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
    use crate::source::window::WINDOW_BYTES;

    /// The sizes of the chunks that are made of records of these sizes, which have all arrived.
    async fn chunks(sizes: &[usize]) -> Vec<usize> {
        let record = |bytes: &usize| wire::IngestRecordsRequest {
            record: vec![0; *bytes].into(),
            ..Default::default()
        };
        let arrived: Vec<_> = sizes.iter().map(record).map(Ok).enumerate().collect();
        let arrived = Box::pin(stream::iter(arrived).peekable());
        let chunks: Vec<_> = stream::unfold(arrived, next_chunk).collect().await;
        let indexes = chunks.iter().flatten().map(|(index, _)| *index);
        assert!(indexes.eq(0..sizes.len()), "every record once and in order");
        chunks.iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn a_chunk_is_bounded_in_bytes_as_well_as_in_records() {
        assert_eq!(chunks(&[1; CHUNK_RECORDS + 2]).await, [CHUNK_RECORDS, 2]);
        let half = WINDOW_BYTES / 2;
        assert_eq!(chunks(&[half, half, half, 2 * WINDOW_BYTES, 1, 1]).await, [2, 1, 1, 2]);
    }

    #[tokio::test]
    async fn a_record_does_not_wait_for_one_that_has_not_arrived() {
        let first = (0, Ok(wire::IngestRecordsRequest::default()));
        let stalled = stream::iter([first]).chain(stream::pending());
        let (chunk, _) = next_chunk(Box::pin(stalled.peekable())).await.unwrap();
        assert_eq!(chunk.len(), 1);
    }
}
