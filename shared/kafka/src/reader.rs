//! Reading partitions by hand: no consumer group, no stored offsets.

use std::marker::PhantomData;
use std::time::Duration;

use crate::{Config, Error};

/// How a [`Reader`] behaves.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// See only records of committed transactions (and none beyond the first open one).
    pub read_committed: bool,
    /// How long the broker may hold a fetch back when there is nothing new. Default 100 ms.
    pub fetch_wait: Duration,
    /// Bound of records prefetched, in bytes. Default 8 MiB.
    pub queue_bytes_max: usize,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            read_committed: true,
            fetch_wait: Duration::from_millis(100),
            queue_bytes_max: 8 << 20,
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
    /// After the last record.
    End,
}

/// Reads assigned partitions of one topic; blocking, for a thread of its own.
pub struct Reader;

/// What a poll brought.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A record.
    Record(RecordView<'a>),
    /// The end of a partition was reached; said once until the reader is sought again.
    Eof {
        /// Which partition.
        partition: i32,
    },
}

/// A record in librdkafka's memory.
#[derive(Debug)]
pub struct RecordView<'a>(PhantomData<&'a ()>);

impl Reader {
    /// A reader; connects in the background.
    pub fn open(config: &Config, options: ReaderOptions) -> Result<Self, Error> {
        let _ = (config, options);
        unimplemented!()
    }

    /// The topic's partitions, ascending. Asks Kafka.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, Error> {
        let _ = topic;
        unimplemented!()
    }

    /// First offset and end offset of a partition. Asks Kafka. A read-committed reader is told the end of what it may see.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        let _ = (topic, partition);
        unimplemented!()
    }

    /// Replaces what is read.
    pub fn assign(&mut self, topic: &str, partitions: &[(i32, Position)]) -> Result<(), Error> {
        let _ = (topic, partitions);
        unimplemented!()
    }

    /// Moves one assigned partition. A seek to [`Reader::position`] brings a fresh end-of-partition.
    pub fn seek(&mut self, partition: i32, position: Position) -> Result<(), Error> {
        let _ = (partition, position);
        unimplemented!()
    }

    /// Where the next record of a partition is read: one past the last one polled, or where it was assigned or sought.
    pub fn position(&self, partition: i32) -> Option<Position> {
        let _ = partition;
        unimplemented!()
    }

    /// The next record or end of partition, waiting at most `timeout`.
    pub fn poll(&mut self, timeout: Duration) -> Option<Result<Polled<'_>, Error>> {
        let _ = timeout;
        unimplemented!()
    }
}

impl RecordView<'_> {
    /// Topic.
    pub fn topic(&self) -> &str {
        unimplemented!()
    }
    /// Partition.
    pub fn partition(&self) -> i32 {
        unimplemented!()
    }
    /// Offset.
    pub fn offset(&self) -> i64 {
        unimplemented!()
    }
    /// Kafka's timestamp, milliseconds since 1970.
    pub fn timestamp_ms(&self) -> Option<i64> {
        unimplemented!()
    }
    /// Key.
    pub fn key(&self) -> Option<&[u8]> {
        unimplemented!()
    }
    /// Value; `None` is a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        unimplemented!()
    }
    /// The last header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let _ = name;
        unimplemented!()
    }
}
