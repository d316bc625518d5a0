//! What is on the topics.

use std::time::{Duration, Instant};

use kafka::{Polled, Position, Reader, ReaderOptions, RecordView, Topics};
use model::AccountNumber;
use prost::Message;
use proto::profile::v1::ProfileEvent;

use super::DEADLINE;

/// A record of `profile-events`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) key: String,
    pub(crate) event: ProfileEvent,
    pub(crate) content_type: String,
    pub(crate) message_type: String,
    pub(crate) traceparent: Option<String>,
}

impl Event {
    /// The value of a string field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.event.fields.iter().find(|field| field.name == name)?;
        match field.value.as_ref()?.kind.as_ref()? {
            proto::profile::v1::value::Kind::StringValue(text) => Some(text),
            _ => None,
        }
    }
}

/// A record of `profile-events.rejected`.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) payload: Vec<u8>,
    pub(crate) reason: String,
    pub(crate) code: String,
    pub(crate) stream: String,
    pub(crate) content_type: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) origin: String,
    pub(crate) file: Option<String>,
    pub(crate) row: Option<String>,
}

pub(crate) async fn events(config: &kafka::Config, account: AccountNumber, count: usize) -> Vec<Event> {
    exactly(count, events_so_far(config, account).await)
}

/// The records of `profile-events` of an account, however many there are by now.
pub(crate) async fn events_so_far(config: &kafka::Config, account: AccountNumber) -> Vec<Event> {
    let topic = Topics::new(config).profile_events();
    read(config.clone(), topic, move |record| {
        let event = ProfileEvent::decode(record.payload()?).unwrap();
        (event.account == account.get()).then(|| Event {
            key: String::from_utf8(record.key().unwrap().to_vec()).unwrap(),
            event,
            content_type: header(record, "content-type").unwrap(),
            message_type: header(record, "message-type").unwrap(),
            traceparent: header(record, "traceparent"),
        })
    })
    .await
}

pub(crate) async fn rejected(config: &kafka::Config, account: AccountNumber, count: usize) -> Vec<Kept> {
    exactly(count, rejected_so_far(config, account).await)
}

/// The records of `profile-events.rejected` of an account, however many there are by now.
pub(crate) async fn rejected_so_far(config: &kafka::Config, account: AccountNumber) -> Vec<Kept> {
    let topic = Topics::new(config).profile_events_rejected();
    read(config.clone(), topic, move |record| {
        (header(record, "account").unwrap() == account.to_string()).then(|| Kept {
            payload: record.payload().unwrap_or_default().to_vec(),
            reason: header(record, "rejected-reason").unwrap(),
            code: header(record, "rejected-code").unwrap(),
            stream: header(record, "stream").unwrap(),
            content_type: header(record, "content-type").unwrap(),
            traceparent: header(record, "traceparent"),
            origin: header(record, "rejected-origin").unwrap(),
            file: header(record, "file"),
            row: header(record, "row"),
        })
    })
    .await
}

#[track_caller]
fn exactly<T>(count: usize, found: Vec<T>) -> Vec<T> {
    assert_eq!(found.len(), count, "records of this account");
    found
}

fn header(record: &RecordView<'_>, name: &str) -> Option<String> {
    Some(String::from_utf8(record.header(name)?.to_vec()).unwrap())
}

/// Reads the whole topic until its present end, for the records that are the caller's.
async fn read<T: Send + 'static>(
    config: kafka::Config,
    topic: String,
    mut mine: impl FnMut(&RecordView<'_>) -> Option<T> + Send + 'static,
) -> Vec<T> {
    let read = move || {
        let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
        let partitions = reader.partitions(&topic).unwrap();
        let mut ends: Vec<_> = Vec::new();
        for partition in &partitions {
            let (low, end) = reader.watermarks(&topic, *partition).unwrap();
            if low < end {
                ends.push((*partition, end));
            }
        }
        let from: Vec<_> = partitions
            .iter()
            .map(|partition| (*partition, Position::Beginning))
            .collect();
        reader.assign(&topic, &from).unwrap();
        let (mut found, deadline) = (Vec::new(), Instant::now() + DEADLINE);
        while !ends.is_empty() {
            assert!(Instant::now() < deadline, "{topic} was not read to its end");
            match reader.poll(Duration::from_millis(100)) {
                None => {}
                Some(Err(error)) => panic!("{topic}: {error}"),
                Some(Ok(Polled::Eof { partition })) => ends.retain(|(other, _)| *other != partition),
                Some(Ok(Polled::Record(record))) => {
                    ends.retain(|(other, end)| *other != record.partition() || record.offset() + 1 < *end);
                    found.extend(mine(&record));
                }
            }
        }
        found
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}
