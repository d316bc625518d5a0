//! Tests against a broker: the one named by `KAFKA_BROKERS`, else the in-process one.
#![cfg(test)]

extern crate shared_kafka as kafka;

mod commits;
mod group;
mod publisher;
mod reader;
mod table;
mod topics;
mod transaction;

use std::time::{Duration, Instant};

use kafka::{Config, Polled, Position, Reader, ReaderOptions};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record read back.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    partition: i32,
    offset: i64,
    key: Option<String>,
    payload: Option<String>,
}

/// Everything in a topic, partition by partition, in order.
fn read_all(config: &Config, topic: &str, options: ReaderOptions) -> Vec<Read> {
    let mut reader = Reader::open(config, options).unwrap();
    let partitions = reader.partitions(topic).unwrap();
    let assignment: Vec<_> = partitions
        .iter()
        .map(|&partition| (partition, Position::Beginning))
        .collect();
    reader.assign(topic, &assignment).unwrap();
    let mut found = Vec::new();
    for _ in partitions {
        found.extend(read_to_end(&mut reader));
    }
    found.sort_by_key(|read| (read.partition, read.offset));
    found
}

/// Records until the next end of a partition.
fn read_to_end(reader: &mut Reader) -> Vec<Read> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while Instant::now() < deadline {
        match reader.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(Polled::Eof { .. })) => return found,
            Some(Ok(Polled::Record(record))) => found.push(Read {
                partition: record.partition(),
                offset: record.offset(),
                key: record.key().map(|key| String::from_utf8_lossy(key).into_owned()),
                payload: record
                    .payload()
                    .map(|payload| String::from_utf8_lossy(payload).into_owned()),
            }),
            Some(Err(error)) => panic!("{error}"),
        }
    }
    panic!("no end of partition within {PATIENCE:?}, but {found:?}");
}

/// Asks again until the answer is yes.
async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
