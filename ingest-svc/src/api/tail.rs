//! `TailEvents`: the newest profile events of one account, then those that follow.
//!
//! A thread of its own reads the topic, because the reader blocks; it ends when the client has left, when the process drains, or
//! when nothing is to be followed.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use kafka::{Polled, Position, Reader, ReaderOptions, RecordView, Topics};
use model::AccountNumber;
use prost::Message;
use proto::ingest::v1::TailEventsResponse;
use proto::profile::v1::ProfileEvent;
use runtime::grpc::status;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::metrics;

/// Events that wait for the client.
const WAITING_MAX: usize = 64;
/// The newest events are looked for in the last this many records of each partition.
const SEARCHED_MAX: i64 = 10_000;
/// Bytes of newest events held before the first is handed on; older ones give way.
const NEWEST_BYTES_MAX: usize = 16 << 20;
/// How soon the thread notices that the client has left.
const POLL: Duration = Duration::from_millis(200);

/// What somebody wants to see.
#[derive(Debug)]
pub(super) struct Wanted {
    account: AccountNumber,
    newest: usize,
    follow: bool,
}

impl Wanted {
    pub(super) fn new(account: AccountNumber, newest: u32, follow: bool) -> Result<Self, Status> {
        let newest = match newest {
            0 => 10,
            1..=1_000 => newest as usize,
            _ => return Err(status::invalid_argument("newest", "must be at most 1000")),
        };
        Ok(Self {
            account,
            newest,
            follow,
        })
    }
}

/// Starts the thread. `slot` is given back when it ends.
pub(super) fn open(
    config: kafka::Config,
    wanted: Wanted,
    slot: OwnedSemaphorePermit,
    drain: CancellationToken,
) -> Result<BoxStream<'static, Result<TailEventsResponse, Status>>, Status> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    // Apart from the events, so that there is always room for it.
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        ::metrics::gauge!(metrics::TAILS).increment(1);
        let tail = Tail {
            wanted,
            sender,
            runtime,
            drain,
        };
        if let Err(Ended::Because(status)) = tail.run(&config) {
            // Whoever has left does not read it.
            let _left = end.send(status).is_err();
        }
        ::metrics::gauge!(metrics::TAILS).decrement(1);
        drop(slot);
    };
    std::thread::Builder::new()
        .name("tail".to_owned())
        .spawn(run)
        .map_err(|error| Status::resource_exhausted(format!("no thread for another tail: {error}")))?;
    let end = stream::once(ended).filter_map(async |ended| ended.ok().map(Err));
    Ok(ReceiverStream::new(receiver).map(Ok).chain(end).boxed())
}

/// Why a tail ended before its end.
enum Ended {
    /// Nobody listens any more.
    Left,
    /// To be told.
    Because(Status),
}

impl Ended {
    fn drained() -> Self {
        Self::Because(Status::unavailable("the service is ending; tail again"))
    }
}

impl From<kafka::Error> for Ended {
    fn from(error: kafka::Error) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a tail ended");
        Self::Because(Status::unavailable("the events cannot be read now"))
    }
}

struct Tail {
    wanted: Wanted,
    sender: mpsc::Sender<TailEventsResponse>,
    runtime: Handle,
    drain: CancellationToken,
}

impl Tail {
    /// Runs to the end; the events end with it.
    fn run(self, config: &kafka::Config) -> Result<(), Ended> {
        let topic = Topics::new(config).profile_events();
        let mut reader = Reader::open(config, ReaderOptions::default())?;
        let (mut from, mut behind) = (Vec::new(), Vec::new());
        for partition in reader.partitions(&topic)? {
            let (low, end) = reader.watermarks(&topic, partition)?;
            from.push((partition, Position::At(low.max(end - SEARCHED_MAX))));
            if low < end {
                behind.push((partition, end));
            }
        }
        reader.assign(&topic, &from)?;
        let mut newest = Newest::new(self.wanted.newest, NEWEST_BYTES_MAX);
        // Partitions are read side by side, so the search ends when each has shown its end; until then nothing is handed on.
        while !behind.is_empty() {
            match self.poll(&mut reader)? {
                None => {}
                Some(Seen::Eof(partition)) => behind.retain(|(other, _)| *other != partition),
                Some(Seen::Record {
                    partition,
                    offset,
                    event,
                }) => {
                    behind.retain(|(other, end)| *other != partition || offset + 1 < *end);
                    if let Some(event) = event {
                        newest.push(event);
                    }
                }
            }
        }
        for event in newest.into_ordered() {
            self.hand_on(event)?;
        }
        if !self.wanted.follow {
            return Ok(());
        }
        loop {
            if let Some(Seen::Record { event: Some(event), .. }) = self.poll(&mut reader)? {
                self.hand_on(event)?;
            }
        }
    }

    fn poll(&self, reader: &mut Reader) -> Result<Option<Seen>, Ended> {
        if self.sender.is_closed() {
            return Err(Ended::Left);
        }
        if self.drain.is_cancelled() {
            return Err(Ended::drained());
        }
        match reader.poll(POLL) {
            None => Ok(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(Polled::Eof { partition })) => Ok(Some(Seen::Eof(partition))),
            Some(Ok(Polled::Record(record))) => Ok(Some(Seen::Record {
                partition: record.partition(),
                offset: record.offset(),
                event: self.read(&record),
            })),
        }
    }

    /// The event, if it is the account's; what cannot be decoded is nobody's.
    fn read(&self, record: &RecordView<'_>) -> Option<Event> {
        let payload = record.payload()?;
        let event = ProfileEvent::decode(payload).ok()?;
        (event.account == self.wanted.account.get()).then(|| Event {
            time_ms: record.timestamp_ms().unwrap_or_default(),
            bytes: payload.len(),
            answer: Box::new(TailEventsResponse {
                event: Some(event),
                partition: record.partition(),
                offset: record.offset(),
            }),
        })
    }

    /// Waits for room, but not beyond the drain: the client may have stopped reading.
    fn hand_on(&self, event: Event) -> Result<(), Ended> {
        let send = self.drain.run_until_cancelled(self.sender.send(*event.answer));
        match self.runtime.block_on(send) {
            Some(sent) => sent.map_err(|_| Ended::Left),
            None => Err(Ended::drained()),
        }
    }
}

enum Seen {
    Record {
        partition: i32,
        offset: i64,
        event: Option<Event>,
    },
    Eof(i32),
}

struct Event {
    time_ms: i64,
    bytes: usize,
    answer: Box<TailEventsResponse>,
}

/// The newest events seen so far, bounded in number and bytes.
struct Newest {
    events_max: usize,
    bytes_max: usize,
    bytes: usize,
    events: VecDeque<Event>,
}

impl Newest {
    fn new(events_max: usize, bytes_max: usize) -> Self {
        Self {
            events_max,
            bytes_max,
            bytes: 0,
            events: VecDeque::new(),
        }
    }

    /// Partitions come in any order, so the place is found by Kafka's time; equal times keep the order of arrival.
    fn push(&mut self, event: Event) {
        let at = self.events.partition_point(|other| other.time_ms <= event.time_ms);
        self.bytes += event.bytes;
        self.events.insert(at, event);
        while self.events.len() > self.events_max || (self.bytes > self.bytes_max && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |oldest| oldest.bytes);
        }
    }

    fn into_ordered(self) -> impl Iterator<Item = Event> {
        self.events.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time_ms: i64, offset: i64, bytes: usize) -> Event {
        let answer = Box::new(TailEventsResponse {
            event: None,
            partition: 0,
            offset,
        });
        Event { time_ms, bytes, answer }
    }

    fn offsets(newest: Newest) -> Vec<i64> {
        newest.into_ordered().map(|event| event.answer.offset).collect()
    }

    #[test]
    fn the_newest_of_all_partitions_are_kept_in_the_order_of_time() {
        let mut newest = Newest::new(3, 1_000);
        for (time, offset) in [(10, 0), (30, 1), (50, 2), (20, 3), (40, 4), (40, 5)] {
            newest.push(event(time, offset, 1));
        }
        assert_eq!(offsets(newest), [4, 5, 2]);
    }

    #[test]
    fn the_oldest_give_way_when_the_bytes_run_out_but_one_event_always_fits() {
        let mut newest = Newest::new(10, 100);
        for offset in 0..5 {
            newest.push(event(offset, offset, 40));
        }
        newest.push(event(9, 9, 500));
        assert_eq!(offsets(newest), [9]);
    }

    #[test]
    fn how_many_is_bounded_and_has_a_default() {
        let account = AccountNumber::new(1).unwrap();
        assert_eq!(Wanted::new(account, 0, false).unwrap().newest, 10);
        assert_eq!(Wanted::new(account, 1_000, false).unwrap().newest, 1_000);
        assert!(Wanted::new(account, 1_001, false).is_err());
    }

    #[tokio::test]
    async fn a_tail_that_waits_for_its_client_ends_with_the_drain() {
        let (sender, unread) = mpsc::channel(1);
        sender.try_send(*event(0, 0, 1).answer).unwrap();
        let drain = CancellationToken::new();
        let tail = Tail {
            wanted: Wanted::new(AccountNumber::new(1).unwrap(), 1, true).unwrap(),
            sender,
            runtime: Handle::current(),
            drain: drain.clone(),
        };
        let waits = tokio::task::spawn_blocking(move || tail.hand_on(event(1, 1, 1)));
        drain.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), waits).await;
        // Lets a thread go that waits all the same.
        drop(unread);
        assert!(matches!(ended, Ok(Ok(Err(Ended::Because(_))))));
    }
}
