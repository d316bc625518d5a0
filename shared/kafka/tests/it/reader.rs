use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use kafka::testing::{self, InProcessBroker, OpenTransaction};
use kafka::{
    Config, Disposition, Error, Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut,
    Topics, TransactionalWriter,
};

use crate::{PATIENCE, read_to_end};

async fn publish(config: &Config, topic: &str, payloads: &[&str]) {
    let publisher = Publisher::new(config, PublisherOptions::default()).unwrap();
    for payload in payloads {
        let record = RecordOut::new(topic)
            .partition(0)
            .key("k")
            .payload((*payload).to_owned());
        publisher.publish(record).await.unwrap();
    }
}

fn payloads(reader: &mut Reader) -> Vec<String> {
    read_to_end(reader)
        .into_iter()
        .map(|read| read.payload.unwrap())
        .collect()
}

#[tokio::test]
async fn the_end_is_said_once_and_anew_after_a_seek_to_the_own_position() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic, &["a", "b"]).await;
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    assert_eq!(payloads(&mut reader), ["a", "b"]);
    assert_eq!(reader.position(0), Some(Position::At(2)));
    // Ten fetches long.
    assert!(reader.poll(Duration::from_secs(1)).is_none());
    reader.seek(0, reader.position(0).unwrap()).unwrap();
    assert_eq!(payloads(&mut reader), [""; 0]);
    publish(&config, &topic, &["c"]).await;
    assert_eq!(payloads(&mut reader), ["c"]);
    reader.seek(0, Position::At(1)).unwrap();
    assert_eq!(payloads(&mut reader), ["b", "c"]);
}

/// librdkafka ends the process if a partition is taken away twice before its fetching has stopped once.
#[tokio::test]
async fn partitions_may_be_assigned_again_and_again_without_a_pause() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic, &["a", "b"]).await;
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    for _ in 0..2_000 {
        reader.assign(&topic, &[(0, Position::At(1))]).unwrap();
    }
    assert_eq!(payloads(&mut reader), ["b"]);
}

/// A reader that is polled only when it has said that it is worth it. What librdkafka says of a broker that goes comes the same
/// way as the records, and ends a poll that brings nothing.
#[tokio::test]
async fn what_comes_after_a_poll_that_found_nothing_is_told_also_behind_a_line_of_librdkafkas_log() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let config = broker.config();
    let topic = Topics::new(&config).profile_events();
    let (tell, told) = sync_channel(1);
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader.on_ready(move || tell.try_send(()).unwrap_or_default());
    reader.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    for number in 0..5 {
        while reader.poll(Duration::ZERO).is_some() {}
        told.try_recv().unwrap_or_default();
        broker.down().unwrap();
        // Told of a line, which is not looked at yet.
        assert!(told.recv_timeout(PATIENCE).is_ok(), "nothing is said of the broker");
        broker.up().unwrap();
        publish(&config, &topic, &["a"]).await;
        // By then the reader itself has met the broker again, and has had the time to read the record.
        while reader.watermarks(&topic, 0).is_err() {}
        read_until(&config, &topic, number);
        // What has been told so far is heard, as by a thread that it has woken.
        told.try_recv().unwrap_or_default();
        loop {
            match reader.poll(Duration::ZERO) {
                Some(Ok(Polled::Record(record))) => {
                    assert_eq!(record.offset(), number);
                    break;
                }
                Some(Ok(Polled::Eof { .. })) => {}
                Some(Err(error)) => assert_eq!(error.disposition(), Disposition::Retry, "{error}"),
                None => assert!(told.recv_timeout(PATIENCE).is_ok(), "record {number} is never told"),
            }
        }
    }
}

/// Until somebody else has read the record, too.
fn read_until(config: &Config, topic: &str, offset: i64) {
    let mut reader = Reader::open(config, ReaderOptions::default()).unwrap();
    reader.assign(topic, &[(0, Position::At(offset))]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !matches!(reader.poll(Duration::from_millis(100)), Some(Ok(Polled::Record(_)))) {
        assert!(Instant::now() < deadline, "record {offset} is not there");
    }
}

#[tokio::test]
async fn a_reader_that_starts_at_the_end_sees_what_is_written_after_it_was_assigned() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic, &["before"]).await;
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader.assign(&topic, &[(0, Position::End)]).unwrap();
    publish(&config, &topic, &["after"]).await;
    let mut found = payloads(&mut reader);
    if found.is_empty() {
        found = payloads(&mut reader);
    }
    assert_eq!(found, ["after"]);
}

/// A broker with forty records of 100 kB in a topic.
async fn large_records() -> (InProcessBroker, String) {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    // One at a time: what is published together comes together.
    for _ in 0..40 {
        let record = RecordOut::new(&topic).payload(vec![b'x'; 100_000]);
        publisher.publish(record).await.unwrap();
    }
    (broker, topic)
}

fn small_queue() -> ReaderOptions {
    ReaderOptions {
        queue_bytes_max: 64 << 10,
        ..ReaderOptions::default()
    }
}

#[tokio::test]
async fn a_small_queue_does_not_make_reading_slow() {
    let (broker, topic) = large_records().await;
    let begun = Instant::now();
    let found = crate::read_all(&broker.config(), &topic, small_queue());
    assert_eq!(found.len(), 40);
    // librdkafka's default back-off rests a second whenever the queue is full.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// What is prefetched is what can still be read when the broker has gone.
#[tokio::test]
async fn no_more_is_prefetched_than_the_queue_takes() {
    let (broker, topic) = large_records().await;
    let mut reader = Reader::open(&broker.config(), small_queue()).unwrap();
    reader.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    while !matches!(reader.poll(PATIENCE), Some(Ok(Polled::Record(_)))) {}
    // Meanwhile it could have had them all.
    let all = crate::read_all(&broker.config(), &topic, ReaderOptions::default());
    assert_eq!(all.len(), 40);
    drop(broker);
    let mut prefetched = 0;
    while let Some(polled) = reader.poll(Duration::ZERO) {
        prefetched += usize::from(matches!(polled, Ok(Polled::Record(_))));
    }
    assert!(prefetched <= 3, "{prefetched} records of 100 kB in a queue of 64 KiB");
}

#[tokio::test]
async fn an_offset_outside_the_partition_is_said_with_its_partition() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic, &["a"]).await;
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader
        .assign(&topic, &[(0, Position::At(7)), (1, Position::Beginning)])
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline);
        match reader.poll(Duration::from_millis(100)) {
            Some(Err(error)) => break error,
            Some(Ok(Polled::Eof { partition: 1 })) | None => {}
            Some(Ok(polled)) => panic!("{polled:?}"),
        }
    };
    assert!(
        matches!(
            error,
            Error::OffsetGone {
                partition: Some(0),
                offset: Some(7),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.disposition(), Disposition::Stop);
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_said_by_name() {
    let Some(config) = testing::real_only("reader::a_topic_that_does_not_exist_is_said_by_name") else {
        return;
    };
    let reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    let error = reader.partitions("nowhere").unwrap_err();
    assert!(
        matches!(&error, Error::Topic { topic, .. } if topic == "nowhere"),
        "{error}"
    );
}

#[tokio::test]
async fn transaction_markers_leave_holes_and_the_end_is_found_all_the_same() {
    let name = "reader::transaction_markers_leave_holes_and_the_end_is_found_all_the_same";
    let Some(config) = testing::real_only(name) else { return };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let topic = Topics::new(&config).control();
    let mut writer = TransactionalWriter::init(&config, "writer", Duration::from_secs(10)).unwrap();
    for payload in ["a", "b"] {
        writer
            .commit(vec![RecordOut::new(&topic).partition(0).key("k").payload(payload)])
            .unwrap();
    }
    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    let found: Vec<_> = read_to_end(&mut reader)
        .into_iter()
        .map(|read| (read.offset, read.payload.unwrap()))
        .collect();
    assert_eq!(found, [(0, "a".to_owned()), (2, "b".to_owned())]);
    // One past the last record, though the end of the partition is one further, behind the marker.
    assert_eq!(reader.position(0), Some(Position::At(3)));
    assert_eq!(reader.watermarks(&topic, 0).unwrap(), (0, 4));
    reader.seek(0, Position::At(3)).unwrap();
    assert_eq!(payloads(&mut reader), [""; 0]);
}

/// The end that a committed reader is told lies before an open transaction; a table must not take it for the true end.
#[tokio::test]
async fn an_open_transaction_hides_itself_and_what_follows() {
    let Some(config) = testing::real_only("reader::an_open_transaction_hides_itself_and_what_follows") else {
        return;
    };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic, &["a"]).await;
    let open = OpenTransaction::begin(&config, "open", &topic, &[0]).unwrap();
    publish(&config, &topic, &["b"]).await;

    let mut committed = Reader::open(&config, ReaderOptions::default()).unwrap();
    let uncommitted = ReaderOptions {
        read_committed: false,
        ..ReaderOptions::default()
    };
    let mut uncommitted = Reader::open(&config, uncommitted).unwrap();
    assert_eq!(
        (
            committed.watermarks(&topic, 0).unwrap(),
            uncommitted.watermarks(&topic, 0).unwrap()
        ),
        ((0, 1), (0, 3))
    );
    committed.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    uncommitted.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    assert_eq!(payloads(&mut committed), ["a"]);
    assert_eq!(payloads(&mut uncommitted), ["a", "open", "b"]);
    open.abort().unwrap();
    assert_eq!(payloads(&mut committed), ["b"]);
}
