//! What is on the topics.

use std::time::{Duration, Instant};

use kafka::{Polled, Position, Reader, ReaderOptions, Topics};
use prost::Message;
use proto::profile::v1::ProfileEvent;

use super::DEADLINE;
use super::broker::ACCOUNT;

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// Trace and span id of the header `traceparent`.
    pub(crate) fn trace(&self) -> (String, String) {
        let header = self.headers.iter().find(|(name, _)| name == "traceparent");
        let value = String::from_utf8(header.expect("a traceparent").1.clone()).unwrap();
        let parts: Vec<_> = value.split('-').collect();
        (parts[1].to_owned(), parts[2].to_owned())
    }
}

/// Every record that a topic has now, also those of transactions that did not commit.
pub(crate) async fn records(kafka: &kafka::Config, topic: String) -> Vec<Record> {
    let kafka = kafka.clone();
    let read = move || {
        let options = ReaderOptions {
            read_committed: false,
            ..ReaderOptions::default()
        };
        let mut reader = Reader::open(&kafka, options).unwrap();
        let mut unfinished = reader.partitions(&topic).unwrap();
        let from: Vec<_> = unfinished
            .iter()
            .map(|partition| (*partition, Position::Beginning))
            .collect();
        reader.assign(&topic, &from).unwrap();
        let (mut found, deadline) = (Vec::new(), Instant::now() + DEADLINE);
        while !unfinished.is_empty() {
            assert!(Instant::now() < deadline, "{topic} was not read to its end");
            match reader.poll(Duration::from_millis(100)) {
                None => {}
                Some(Err(error)) => panic!("{topic}: {error}"),
                Some(Ok(Polled::Eof { partition })) => unfinished.retain(|other| *other != partition),
                Some(Ok(Polled::Record(record))) => found.push(Record {
                    topic: topic.clone(),
                    key: record.key().unwrap_or_default().to_vec(),
                    payload: record.payload().unwrap_or_default().to_vec(),
                    headers: record
                        .headers()
                        .map(|(name, value)| (name.to_owned(), value.to_vec()))
                        .collect(),
                }),
            }
        }
        found
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Every record of every topic of ours.
pub(crate) async fn all_records(kafka: &kafka::Config) -> Vec<Record> {
    let topics = Topics::new(kafka);
    let mut found = Vec::new();
    for topic in [
        topics.profile_events(),
        topics.profile_events_rejected(),
        topics.audience_membership(ACCOUNT),
        topics.export_rejected(),
        topics.control(),
        topics.export_progress(),
    ] {
        found.extend(records(kafka, topic).await);
    }
    found
}

/// The profile events so far.
pub(crate) async fn events(kafka: &kafka::Config) -> Vec<(Record, ProfileEvent)> {
    let records = records(kafka, Topics::new(kafka).profile_events()).await.into_iter();
    let decoded = records.map(|record| {
        let event = ProfileEvent::decode(record.payload.as_slice()).unwrap();
        (record, event)
    });
    decoded.collect()
}
