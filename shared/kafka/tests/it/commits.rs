//! Offsets that a reader commits: for lag tools to show, and in nobody's way.

use std::time::{Duration, Instant};

use kafka::testing::{self, InProcessBroker};
use kafka::{Config, Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut, Topics};

use crate::{PATIENCE, read_to_end, wait_until};

fn open(config: &Config, topic: &str) -> Reader {
    let options = ReaderOptions {
        group: Some("mirror.1234.main".to_owned()),
        ..ReaderOptions::default()
    };
    let mut reader = Reader::open(config, options).unwrap();
    reader.assign(topic, &[(0, Position::Beginning)]).unwrap();
    reader
}

async fn publish(config: &Config, topic: &str) {
    let publisher = Publisher::new(config, PublisherOptions::default()).unwrap();
    let record = RecordOut::new(topic).partition(0).key("k").payload("v");
    publisher.publish(record).await.unwrap();
}

fn committed(config: &Config, topic: &str) -> Option<i64> {
    testing::committed(config, "mirror.1234.main", topic, 1).unwrap()[0]
}

/// An unanswered request is given up after a minute.
async fn close_in_time(reader: Reader) {
    let closed = tokio::task::spawn_blocking(move || drop(reader));
    let waited = tokio::time::timeout(PATIENCE, closed).await;
    waited.expect("it waits for Kafka").unwrap();
}

#[tokio::test]
async fn what_is_committed_is_seen_by_others_of_the_same_prefix_also_if_the_reader_closes_at_once() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic).await;
    let mut reader = open(&config, &topic);
    assert_eq!(read_to_end(&mut reader).len(), 1);
    assert_eq!(committed(&config, &topic), None, "by itself it commits nothing");
    reader.commit(&[(0, 1)]);
    drop(reader);
    wait_until("the commit", || committed(&config, &topic) == Some(1)).await;
    let another = Config {
        topic_prefix: format!("{}another.", config.topic_prefix),
        ..config.clone()
    };
    assert_eq!(committed(&another, &topic), None, "another installation has its own");
}

#[tokio::test]
async fn without_the_right_to_the_group_it_reads_all_the_same() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    broker.deny_groups().unwrap();
    let config = broker.config();
    let topic = Topics::new(&config).profile_events();
    publish(&config, &topic).await;
    let mut reader = open(&config, &topic);
    // Until the refusal has come for certain.
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut found = 0;
    while Instant::now() < deadline {
        match reader.poll(Duration::from_millis(100)) {
            None | Some(Ok(Polled::Eof { .. })) => {}
            Some(Ok(Polled::Record(_))) => found += 1,
            Some(Err(error)) => panic!("{error}"),
        }
        reader.commit(&[(0, 1)]);
    }
    assert_eq!(found, 1);
    close_in_time(reader).await;
}

#[tokio::test]
async fn closing_waits_for_no_answer_to_a_commit_of_a_kafka_that_is_away_or_hangs() {
    for hangs in [false, true] {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let config = broker.config();
        let topic = Topics::new(&config).profile_events();
        publish(&config, &topic).await;
        let mut reader = open(&config, &topic);
        read_to_end(&mut reader);
        reader.commit(&[(0, 0)]);
        wait_until("the group's coordinator", || committed(&config, &topic) == Some(0)).await;
        if hangs {
            broker.slow(10 * PATIENCE).unwrap();
        } else {
            broker.down().unwrap();
        }
        reader.commit(&[(0, 1)]);
        close_in_time(reader).await;
    }
}
