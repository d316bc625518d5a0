//! Reading partitions by hand: no member of a consumer group, no stored offsets. Offsets may be committed, for others to see.

mod commits;
mod renewal;
mod sentinel;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use self::commits::Commits;
use self::renewal::{called, consumer_of};
use self::sentinel::{Pulse, Ready};
use crate::client::{self, ASK_TIMEOUT};
use crate::{Config, Error};

/// How long a seek may take; it asks no broker.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a commit waits for somebody to send it to.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the in-process broker holds a fetch back at most: it always does to the end, whatever is written meanwhile.
const IN_PROCESS_FETCH_WAIT: Duration = Duration::from_millis(50);
/// Why a reader has a consumer.
const HELD: &str = "it is there until the reader is dropped";
/// The group of readers that commit nothing, without the prefix: librdkafka wants a name.
const NO_GROUP: &str = "reader";

/// How a [`Reader`] behaves.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// See only records of committed transactions, and none beyond the first open one.
    pub read_committed: bool,
    /// How long the broker may hold a fetch back when there is nothing new; also how long a seek may take. Default 100 ms.
    pub fetch_wait: Duration,
    /// Bound of the records prefetched, in bytes. Default 8 MiB. When it is full, fetching rests until there is room.
    pub queue_bytes_max: usize,
    /// The consumer group that [`Reader::commit`] is for, without the topic prefix.
    pub group: Option<String>,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            read_committed: true,
            fetch_wait: Duration::from_millis(100),
            queue_bytes_max: 8 << 20,
            group: None,
        }
    }
}

/// Where to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The first record that the partition still has.
    Beginning,
    /// The first record at or after this offset.
    At(i64),
    /// After the last record that may be seen now.
    End,
}

/// Reads assigned partitions of one topic. Blocking: for a thread of its own, which is also its back-pressure: not polling
/// has no deadline and loses nothing that was prefetched.
///
/// A reader whose client has lost Kafka for good (`lost`) gets a new one, and goes on where it was.
pub struct Reader {
    /// There until the reader is dropped.
    consumer: Option<Arc<BaseConsumer<Commits>>>,
    config: Arc<Config>,
    options: ReaderOptions,
    ready: Option<Ready>,
    pulse: Arc<Pulse>,
    /// Something was committed: closing may wait for the answer.
    committed: bool,
    topic: String,
    positions: BTreeMap<i32, Position>,
    /// What it had been told by the last poll that brought nothing.
    told: u64,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A record.
    Record(RecordView<'a>),
    /// The end of a partition was reached. Said once; a [`Reader::seek`] to the [`Reader::position`] makes it be said
    /// anew, and then it is true of a moment after the seek.
    Eof {
        /// Which partition.
        partition: i32,
    },
}

/// A record in librdkafka's memory.
#[derive(Debug)]
pub struct RecordView<'a>(BorrowedMessage<'a>);

impl Reader {
    /// A reader; it connects in the background.
    ///
    /// # Errors
    /// [`Error::Config`] if librdkafka does not take the configuration.
    pub fn open(config: &Config, options: ReaderOptions) -> Result<Self, Error> {
        Ok(Self {
            consumer: Some(Arc::new(consumer_of(config, &options)?)),
            config: Arc::new(config.clone()),
            options,
            ready: None,
            pulse: Arc::default(),
            committed: false,
            topic: String::new(),
            positions: BTreeMap::new(),
            told: 0,
        })
    }

    /// From now on calls `ready` when there is something to poll and a poll had found nothing before: who has more than one
    /// thing to wait for need not wait in a poll. Threads of librdkafka call it and hold a lock meanwhile: it must neither
    /// block nor ask this reader. To be said before the first [`Reader::assign`].
    pub fn on_ready(&mut self, ready: impl Fn() + Send + Sync + 'static) {
        let ready: Ready = Arc::new(ready);
        let consumer = self.consumer.as_mut().and_then(Arc::get_mut);
        consumer
            .expect("nothing is assigned yet")
            .set_nonempty_callback(called(&ready));
        self.ready = Some(ready);
    }

    fn consumer(&self) -> &BaseConsumer<Commits> {
        self.consumer.as_ref().expect(HELD)
    }

    /// The topic's partitions, ascending. Asks Kafka, for at most 5 s.
    ///
    /// # Errors
    /// [`Error::Topic`] if it does not exist, [`Error::Unavailable`] if Kafka does not answer.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, Error> {
        client::partitions(self.consumer().client(), topic)
    }

    /// The id that Kafka's cluster was given when it was set up. Asks Kafka, for at most 5 s.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka does not answer.
    pub fn cluster_id(&self) -> Result<String, Error> {
        let id = self.consumer().client().fetch_cluster_id(ASK_TIMEOUT);
        id.ok_or_else(|| Error::Unavailable {
            doing: "asking for the cluster's id".to_owned(),
            source: None,
        })
    }

    /// First offset and end offset of a partition. Asks Kafka, for at most 5 s. A read-committed reader is told the end of
    /// what it may see, another the true end.
    ///
    /// # Errors
    /// As [`Reader::partitions`].
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        self.consumer()
            .fetch_watermarks(topic, partition, ASK_TIMEOUT)
            .map_err(|error| Error::of(error, topic, "asking for the end of"))
    }

    /// By partition, the offset of the first record that was written at `time_ms` (milliseconds since 1970) or later; the end
    /// where there is none. Asks Kafka, for at most 5 s.
    ///
    /// # Errors
    /// As [`Reader::partitions`]; [`Error::Topic`] also on the in-process broker, which cannot tell.
    pub fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, Error> {
        if self.config.in_process {
            return Err(Error::Topic {
                topic: topic.to_owned(),
                problem: "the in-process broker cannot find offsets by time".to_owned(),
            });
        }
        let failed = |error| Error::of(error, topic, "asking by time in");
        let partitions = self.partitions(topic)?;
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let time = Offset::Offset(time_ms);
            asked.add_partition_offset(topic, partition, time).map_err(failed)?;
        }
        let found = self.consumer().offsets_for_times(asked, ASK_TIMEOUT).map_err(failed)?;
        let offset = |found: &TopicPartitionListElem<'_>| {
            found.error().map_err(failed)?;
            let offset = match found.offset() {
                Offset::Offset(offset) => offset,
                _ => self.watermarks(topic, found.partition())?.1,
            };
            Ok((found.partition(), offset))
        };
        found.elements().iter().map(offset).collect()
    }

    /// Replaces what is read.
    ///
    /// # Errors
    /// Those of [`Reader::watermarks`] if a position is [`Position::End`].
    pub fn assign(&mut self, topic: &str, partitions: &[(i32, Position)]) -> Result<(), Error> {
        let resolved = partitions
            .iter()
            .map(|&(partition, position)| Ok((partition, self.resolve(topic, partition, position)?)))
            .collect::<Result<_, Error>>()?;
        let first = self.topic.is_empty();
        topic.clone_into(&mut self.topic);
        self.positions = resolved;
        self.assign_positions()?;
        if first {
            self.watch();
        }
        Ok(())
    }

    /// Moves one assigned partition; see [`Reader::seek_all`].
    ///
    /// # Errors
    /// As [`Reader::seek_all`].
    pub fn seek(&mut self, partition: i32, position: Position) -> Result<(), Error> {
        self.seek_all(&[(partition, position)])
    }

    /// Moves assigned partitions, and throws away what was prefetched of them. Takes a second at most, however many they are.
    ///
    /// # Errors
    /// Those of [`Reader::watermarks`] if a position is [`Position::End`].
    pub fn seek_all(&mut self, partitions: &[(i32, Position)]) -> Result<(), Error> {
        let failed = |error| Error::of(error, &self.topic, "seeking in");
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &(partition, position) in partitions {
            let position = self.resolve(&self.topic, partition, position)?;
            self.positions.insert(partition, position);
            list.add_partition_offset(&self.topic, partition, offset_of(position))
                .map_err(failed)?;
        }
        let sought = self.consumer().seek_partitions(list, SEEK_TIMEOUT);
        if sought.is_ok_and(|list| list.elements().iter().all(|element| element.error().is_ok())) {
            return Ok(());
        }
        // A partition is not being fetched yet (just assigned): assigning anew comes to the same.
        self.assign_positions()
    }

    /// Where the next record of an assigned partition is read: one past the last one polled, or where it was assigned or
    /// sought.
    pub fn position(&self, partition: i32) -> Option<Position> {
        self.positions.get(&partition).copied()
    }

    /// Commits these offsets of the topic that is read to the group of [`ReaderOptions::group`], so that tools which show how far
    /// a group is behind show it of this reader. Nothing waits for it, nothing reads it back, and a failure is only counted and
    /// logged.
    pub fn commit(&mut self, offsets: &[(i32, i64)]) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        let mut added = offsets
            .iter()
            .map(|&(partition, offset)| list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)));
        let result = added.try_for_each(|added| added);
        let consumer = self.consumer();
        if let Err(error) = result.and_then(|()| consumer.commit(&list, CommitMode::Async)) {
            consumer.context().ended(Err(error));
        }
        self.committed = true;
    }

    /// The next record or end of partition, waiting at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Topic`] (which a broker's restart may bring): poll on, the reader mends itself.
    /// [`Error::OffsetGone`]: a position is not in its partition, which is read no more until it is sought or assigned.
    /// [`Error::Refused`] stays until somebody acts.
    pub fn poll(&mut self, mut timeout: Duration) -> Option<Result<Polled<'_>, Error>> {
        if self.pulse.lost.load(Ordering::Acquire) {
            if let Err(error) = self.renew() {
                return Some(Err(error));
            }
            self.pulse.lost.store(false, Ordering::Release);
        }
        let consumer = self.consumer.as_ref().expect(HELD);
        let polled = loop {
            if let Some(polled) = consumer.poll(timeout) {
                break polled;
            }
            let told = consumer.context().told.so_far();
            if std::mem::replace(&mut self.told, told) == told {
                return None;
            }
            timeout = Duration::ZERO;
        };
        // Nobody else counts, so that it need not be one step.
        let heard = self.pulse.heard.load(Ordering::Relaxed);
        self.pulse.heard.store(heard + 1, Ordering::Relaxed);
        match polled {
            Ok(message) => {
                self.positions
                    .insert(message.partition(), Position::At(message.offset() + 1));
                Some(Ok(Polled::Record(RecordView(message))))
            }
            Err(KafkaError::PartitionEOF(partition)) => Some(Ok(Polled::Eof { partition })),
            Err(KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange)) => {
                Some(Err(self.offset_gone()))
            }
            // Reading asks nothing of the group.
            Err(error @ KafkaError::MessageConsumption(Code::GroupAuthorizationFailed)) => {
                consumer.context().ended(Err(error));
                None
            }
            Err(error) => Some(Err(Error::of(error, &self.topic, "reading"))),
        }
    }

    fn resolve(&self, topic: &str, partition: i32, position: Position) -> Result<Position, Error> {
        match position {
            // Resolved now, so that a later seek to the position cannot pass over records written in between.
            Position::End => Ok(Position::At(self.watermarks(topic, partition)?.1)),
            known => Ok(known),
        }
    }

    fn assign_positions(&mut self) -> Result<(), Error> {
        let failed = |error| Error::of(error, &self.topic, "assigning");
        let mut list = TopicPartitionList::with_capacity(self.positions.len());
        for (&partition, &position) in &self.positions {
            list.add_partition_offset(&self.topic, partition, offset_of(position))
                .map_err(failed)?;
        }
        let consumer = self.consumer();
        consumer.assign(&list).map_err(failed)?;
        // librdkafka aborts the process if a partition is taken away twice before its fetching has stopped once
        // (`rd_kafka_assignment_partition_stopped`). Its main thread does one thing after the other, so the first of these
        // questions is answered after it was told to stop, and the second after it has heard that it did.
        for _ in 0..2 {
            consumer.assignment().map_err(failed)?;
        }
        Ok(())
    }

    /// rdkafka does not say which partition it was: the first one whose position is outside.
    fn offset_gone(&self) -> Error {
        let outside = self.positions.iter().find_map(|(&partition, &position)| {
            let Position::At(offset) = position else { return None };
            let (low, high) = self.watermarks(&self.topic, partition).ok()?;
            (!(low..=high).contains(&offset)).then_some((partition, offset, (low, high)))
        });
        Error::OffsetGone {
            topic: self.topic.clone(),
            partition: outside.map(|(partition, ..)| partition),
            offset: outside.map(|(_, offset, _)| offset),
            held: outside.map(|(.., held)| held),
        }
    }
}

/// Settings of every consumer that reads assigned partitions.
pub(crate) fn settings(config: &Config, options: &ReaderOptions) -> ClientConfig {
    let mut settings = client::settings(config);
    let group = options.group.as_deref().unwrap_or(NO_GROUP);
    let fetch_wait = if config.in_process {
        options.fetch_wait.min(IN_PROCESS_FETCH_WAIT)
    } else {
        options.fetch_wait
    };
    settings
        .set("group.id", format!("{}{group}", config.topic_prefix))
        .set("session.timeout.ms", COORDINATOR_TIMEOUT.as_millis().to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set(
            "isolation.level",
            if options.read_committed {
                "read_committed"
            } else {
                "read_uncommitted"
            },
        )
        .set("fetch.wait.max.ms", fetch_wait.as_millis().to_string())
        .set(
            "queued.max.messages.kbytes",
            (options.queue_bytes_max / 1024).max(1).to_string(),
        )
        .set(
            "max.partition.fetch.bytes",
            options.queue_bytes_max.clamp(1024, 1 << 20).to_string(),
        )
        // With a small queue, the default of a second makes reading up to 75 times slower.
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100");
    settings
}

fn offset_of(position: Position) -> Offset {
    match position {
        Position::Beginning => Offset::Beginning,
        Position::At(offset) => Offset::Offset(offset),
        Position::End => Offset::End,
    }
}

impl RecordView<'_> {
    /// Topic.
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// Partition.
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Offset.
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Kafka's timestamp, milliseconds since 1970.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    /// Key.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Value; `None` is a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.payload().map_or(0, <[u8]>::len)
    }

    /// The last header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .filter(|(key, _)| *key == name)
            .last()
            .map(|(_, value)| value)
    }

    /// All headers, in order; one without a value counts as empty.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.0.headers();
        headers
            .into_iter()
            .flat_map(|headers| headers.iter())
            .map(|header| (header.key, header.value.unwrap_or_default()))
    }
}
