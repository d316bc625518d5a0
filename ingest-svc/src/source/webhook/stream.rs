//! From a body that is read as it arrives to its outcomes: CSV, and a JSON object a line. However long it is, at most a window of its
//! records is held; while that waits for Kafka, nothing more is read, so the sender is slowed down and nobody else.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use runtime::window::Window;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chunks::Chunks;
use super::parameters::Parameters;
use super::receive::too_large;
use super::refused::Refused;
use super::tally::Tally;
use super::work::{WINDOW_RECORDS, Work};
use crate::metrics;
use crate::source::Raw;
use crate::source::body::{self, Kind};
use crate::source::rows::{Csv, Lines, Rows};

/// A body that is read as it arrives.
pub(super) struct Stream<'a> {
    pub(super) work: Work<'a>,
    pub(super) parameters: &'a Parameters,
    /// Bytes of the body, at most.
    pub(super) bytes_max: usize,
    /// How long the sender may send nothing.
    pub(super) pause_max: Duration,
    /// Who is told that the service ends should send what is left to another.
    pub(super) drain: &'a CancellationToken,
    /// Whether the sender still may; asked before each window is published.
    pub(super) may_go_on: &'a (dyn Fn() -> Result<(), Refused> + Sync),
}

/// The records that are to be published next.
struct Pending {
    records: Vec<Raw>,
    room: Window,
}

impl Pending {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            room: Window::new(WINDOW_RECORDS),
        }
    }
}

impl Stream<'_> {
    /// What became of the records. If it ends badly, whatever was published before stays so; the message says how much that is.
    pub(super) async fn run(&self, chunks: &mut Chunks<'_>) -> Result<(Kind, Tally), Refused> {
        let mut tally = Tally::default();
        match self.records(chunks, &mut tally).await {
            Ok(kind) => Ok((kind, tally)),
            Err(mut refused) => {
                if tally.records > 0 {
                    let taken = format!("; records taken before that: {}", tally.records);
                    refused.message.push_str(&taken);
                }
                Err(refused)
            }
        }
    }

    async fn records(&self, chunks: &mut Chunks<'_>, tally: &mut Tally) -> Result<Kind, Refused> {
        let mut left = self.bytes_max;
        let (kind, beginning) = self.beginning(chunks, &mut left).await?;
        let mut rows = match kind {
            Kind::Csv => Rows::Csv(Box::new(Csv::new(&self.parameters.csv().map_err(Refused::parameter)?))),
            Kind::Lines => Rows::Lines(Lines::default()),
            Kind::Json | Kind::Form => {
                return Err(Refused {
                    status: StatusCode::BAD_REQUEST,
                    reason: "array",
                    message: "an array goes to /collect/json/{stream}; here, put one object on each line".to_owned(),
                });
            }
        };
        let mut pending = Pending::new();
        let mut next = Some(beginning);
        while let Some(chunk) = next {
            let mut input = &*chunk;
            while let Some(raw) = rows.next(&mut input).map_err(Refused::header)? {
                self.take(raw, kind, &mut pending, tally).await?;
            }
            next = self.chunk(chunks, &mut left).await?;
        }
        if let Some(raw) = rows.end().map_err(Refused::header)? {
            self.take(raw, kind, &mut pending, tally).await?;
        }
        self.publish(&mut pending, tally).await?;
        Ok(kind)
    }

    /// As much of the body as it takes to tell what it is. Blanks in front are no part of it.
    async fn beginning(&self, chunks: &mut Chunks<'_>, left: &mut usize) -> Result<(Kind, Bytes), Refused> {
        let mut beginning = BytesMut::new();
        while let Some(chunk) = self.chunk(chunks, left).await? {
            beginning.extend_from_slice(&chunk);
            match Kind::of_rows(self.work.content_type, &beginning) {
                Some(kind) => return Ok((kind, beginning.freeze())),
                None if beginning.len() >= body::MARK_BYTES => beginning.clear(),
                // It may be the first half of a byte order mark.
                None => {}
            }
        }
        Ok((Kind::Csv, beginning.freeze()))
    }

    async fn chunk(&self, chunks: &mut Chunks<'_>, left: &mut usize) -> Result<Option<Bytes>, Refused> {
        let by = Instant::now() + self.pause_max;
        let by = self.work.deadline.map_or(by, |deadline| deadline.min(by));
        let next = tokio::time::timeout_at(by, chunks.next());
        let Some(next) = self.drain.run_until_cancelled(next).await else {
            return Err(Refused::unavailable("ending", "the service is ending; send it again"));
        };
        let chunk = next.map_err(|_| {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "body_time").increment(1);
            Refused::late("body_time", "the body took too long")
        })??;
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        *left = left.checked_sub(bytes).ok_or_else(|| too_large(self.bytes_max))?;
        Ok(chunk)
    }

    /// Puts a record to those that wait. One that is no row of the CSV is the last, unless the sender wants such rows passed over.
    async fn take(&self, raw: Raw, kind: Kind, pending: &mut Pending, tally: &mut Tally) -> Result<(), Refused> {
        if !pending.room.takes(raw.json.len()) {
            self.publish(pending, tally).await?;
            // A window always takes its first.
            let _fits = pending.room.takes(raw.json.len());
        }
        let stops = raw
            .unusable
            .clone()
            .filter(|_| kind == Kind::Csv && !self.parameters.droperrors);
        pending.records.push(raw);
        let Some(problem) = stops else { return Ok(()) };
        self.publish(pending, tally).await?;
        // The row itself is kept as rejected, and was not taken.
        tally.records -= 1;
        Err(Refused {
            status: StatusCode::BAD_REQUEST,
            reason: "bad_row",
            message: format!("{problem}. Mend it, or pass over such rows with droperrors=true"),
        })
    }

    async fn publish(&self, pending: &mut Pending, tally: &mut Tally) -> Result<(), Refused> {
        let Pending { records, .. } = std::mem::replace(pending, Pending::new());
        if records.is_empty() {
            return Ok(());
        }
        (self.may_go_on)()?;
        for outcome in self.work.window(records).await? {
            tally.add(&outcome);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;
    use futures::{StreamExt, stream};
    use kafka::testing::InProcessBroker;
    use kafka::{Publisher, PublisherOptions, Topics};
    use model::AccountNumber;
    use runtime::window::WINDOW_BYTES;

    use super::super::chunks::Coding;
    use super::*;
    use crate::mappings::Chosen;
    use crate::publish::Publish;
    use crate::source::{Origin, Source};

    const CHUNK_BYTES: usize = 64 << 10;

    #[tokio::test]
    async fn while_kafka_takes_nothing_at_most_a_window_of_a_long_body_is_read() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let ack_timeout = Duration::from_secs(1);
        let options = PublisherOptions {
            ack_timeout,
            ..PublisherOptions::default()
        };
        let publisher = Publisher::new(&broker.config(), options).unwrap();
        let publish = Publish::new(publisher, &Topics::new(&broker.config()), ack_timeout);
        drop(broker);
        let origin = Origin {
            account: AccountNumber::new(1).unwrap(),
            stream: "braze_users".to_owned(),
            chosen: Chosen::built_in("braze_users"),
            source: Source::Bulk,
            content_type: None,
            timestamp_field: None,
            file: None,
        };
        let stream = Stream {
            work: Work {
                publish: &publish,
                origin: &origin,
                content_type: None,
                deadline: None,
                dryrun: false,
            },
            parameters: &Parameters::default(),
            bytes_max: usize::MAX,
            pause_max: Duration::from_secs(60),
            drain: &CancellationToken::new(),
            may_go_on: &|| Ok(()),
        };
        // Of long rows a window holds as many bytes as it may.
        let row = format!("{}\n", "x".repeat(CHUNK_BYTES / 8 - 1));
        let chunk = Bytes::from(row.repeat(8));
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let long = stream::repeat_with(move || {
            counted.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
            Ok::<_, Infallible>(chunk.clone())
        });
        let mut body = Body::from_stream(long.take(1_000));
        let refused = stream
            .run(&mut Chunks::new(&mut body, Coding::Plain))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status, refused.reason),
            (StatusCode::SERVICE_UNAVAILABLE, "unacknowledged")
        );
        let read = read.load(Ordering::Relaxed);
        assert!(
            (WINDOW_BYTES / 4..=WINDOW_BYTES + 2 * CHUNK_BYTES).contains(&read),
            "{read}"
        );
    }
}
