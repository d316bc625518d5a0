use std::time::{Duration, Instant};

use kafka::testing::{self, InProcessBroker};
use kafka::{Disposition, Error, Publisher, PublisherOptions, ReaderOptions, RecordOut, Topics};
use rand::RngCore;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::{PATIENCE, read_all};

#[tokio::test]
async fn records_are_acknowledged_where_they_are_and_keep_their_order() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();

    let records = (0..100).map(|n| {
        RecordOut::new(&topic)
            .key(format!("key-{}", n % 3))
            .payload(n.to_string())
    });
    let acks = publisher.publish_all(records.collect()).await;
    publisher.flush(Duration::from_secs(5)).await.unwrap();

    let found = read_all(&config, &topic, ReaderOptions::default());
    assert_eq!(found.len(), 100);
    for (n, ack) in acks.into_iter().enumerate() {
        let ack = ack.unwrap();
        let record = found
            .iter()
            .find(|read| (read.partition, read.offset) == (ack.partition, ack.offset))
            .unwrap();
        assert_eq!(record.payload.as_deref(), Some(n.to_string().as_str()));
        assert_eq!(record.key.as_deref(), Some(format!("key-{}", n % 3).as_str()));
    }
    for key in ["key-0", "key-1", "key-2"] {
        let numbers: Vec<u32> = found
            .iter()
            .filter(|read| read.key.as_deref() == Some(key))
            .map(|read| read.payload.as_ref().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

/// Values from `Utils.toPositive(Utils.murmur2(key)) % 4` of Java's client.
#[tokio::test]
async fn keys_go_to_the_partition_that_javas_client_would_choose() {
    let broker = InProcessBroker::start(4, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    for (key, murmur2) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
    ] {
        let ack = publisher
            .publish(RecordOut::new(&topic).key(key).payload(""))
            .await
            .unwrap();
        assert_eq!(ack.partition, (murmur2 & 0x7fff_ffff) % 4, "{key}");
        assert_eq!(kafka::partition_of(key.as_bytes(), 4), Some(ack.partition), "{key}");
    }
}

#[tokio::test]
async fn headers_and_an_explicit_partition_arrive() {
    let broker = InProcessBroker::start(4, &[]).unwrap();
    let topic = Topics::new(&broker.config()).export_rejected();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    let record = RecordOut::new(&topic)
        .partition(2)
        .payload("p")
        .header("a", "1")
        .header("b", "2")
        .header("a", "3");
    assert_eq!(publisher.publish(record).await.unwrap().partition, 2);

    let mut reader = kafka::Reader::open(&broker.config(), ReaderOptions::default()).unwrap();
    reader.assign(&topic, &[(2, kafka::Position::Beginning)]).unwrap();
    let deadline = Instant::now() + crate::PATIENCE;
    loop {
        assert!(Instant::now() < deadline);
        if let Some(Ok(kafka::Polled::Record(record))) = reader.poll(Duration::from_millis(100)) {
            let headers: Vec<_> = record.headers().collect();
            assert_eq!(headers, [("a", &b"1"[..]), ("b", b"2"), ("a", b"3")]);
            assert_eq!(record.header("a"), Some(&b"3"[..]));
            assert_eq!(record.header("c"), None);
            assert_eq!(record.key(), None);
            assert!(record.timestamp_ms().is_some());
            break;
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_down_is_a_timeout_and_one_that_comes_back_is_used_again() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let options = PublisherOptions {
        ack_timeout: Duration::from_secs(3),
        ..PublisherOptions::default()
    };
    let publisher = Publisher::new(&broker.config(), options).unwrap();
    publisher
        .publish(RecordOut::new(&topic).payload("before"))
        .await
        .unwrap();

    broker.down().unwrap();
    let asked = Instant::now();
    let error = publisher
        .publish(RecordOut::new(&topic).payload("during"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "answered after {:?}",
        asked.elapsed()
    );

    broker.up().unwrap();
    let deadline = Instant::now() + crate::PATIENCE;
    while publisher
        .publish(RecordOut::new(&topic).payload("after"))
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_topic_that_was_said_not_to_exist_is_written_to_again_soon_after_it_does() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    let publish = || publisher.publish(RecordOut::new(&topic).payload("p"));
    publish().await.unwrap();

    broker.hide_topic(&topic, true).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !matches!(publish().await, Err(Error::Topic { .. })) {
        assert!(Instant::now() < deadline, "the topic is still believed to exist");
    }

    broker.hide_topic(&topic, false).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = publish().await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_the_rest_of_a_request() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let options = PublisherOptions {
        ack_timeout: Duration::from_secs(1),
        queue_bytes_max: 64 << 10,
    };
    let publisher = Publisher::new(&broker.config(), options).unwrap();
    broker.down().unwrap();
    let records = (0..20)
        .map(|_| RecordOut::new(&topic).payload(vec![b'x'; 10_000]))
        .collect();
    let results = publisher.publish_all(records).await;
    let full = results
        .iter()
        .position(|result| matches!(result, Err(Error::QueueFull)))
        .unwrap();
    assert!((5..=7).contains(&full), "{full} records of 10 kB in a queue of 64 KiB");
    assert!(
        results[..full]
            .iter()
            .all(|result| matches!(result, Err(Error::Timeout { .. })))
    );
    assert!(
        results[full..]
            .iter()
            .all(|result| matches!(result, Err(Error::QueueFull)))
    );
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_alone() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    let large = RecordOut::new(&topic).payload(vec![b'x'; 12 << 20]);
    let results = publisher
        .publish_all(vec![large, RecordOut::new(&topic).payload("small")])
        .await;
    assert!(
        matches!(results[0], Err(Error::TooLarge { bytes, .. }) if bytes == 12 << 20),
        "{results:?}"
    );
    assert!(results[1].is_ok(), "{results:?}");
}

#[tokio::test]
async fn a_topic_that_refuses_the_size_says_so() {
    let Some(config) = testing::real_only("publisher::a_topic_that_refuses_the_size_says_so") else {
        return;
    };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let topics = Topics::new(&config);
    let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();
    // What counts is the size as it is sent, and these bytes do not compress.
    let mut body = vec![0; 10 << 20];
    rand::rng().fill_bytes(&mut body);
    let error = publisher
        .publish(RecordOut::new(topics.profile_events()).payload(body.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    publisher
        .publish(RecordOut::new(topics.profile_events_rejected()).payload(body))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_producer_that_has_failed_for_good_says_so() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let topic = Topics::new(&broker.config()).profile_events();
    let publisher = Publisher::new(&broker.config(), PublisherOptions::default()).unwrap();
    publisher.publish(RecordOut::new(&topic).payload("good")).await.unwrap();
    let mut failed = std::pin::pin!(publisher.failed());
    let early = tokio::time::timeout(Duration::ZERO, failed.as_mut()).await;
    assert!(early.is_err(), "nothing has failed yet: {early:?}");

    broker.fail_next_producer().unwrap();
    publisher
        .publish(RecordOut::new(&topic).payload("bad"))
        .await
        .unwrap_err();
    let error = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    assert_eq!(error.disposition(), Disposition::Stop, "{error}");
    publisher
        .publish(RecordOut::new(&topic).payload("late"))
        .await
        .unwrap_err();
}

/// Others compress as they please: every codec that Kafka knows.
#[tokio::test]
async fn records_are_read_whatever_their_writer_compressed_them_with() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).profile_events();
    let codecs = ["gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("compression.type", codec)
            .create()
            .unwrap_or_else(|error| panic!("{codec}: {error}"));
        // A batch that does not become smaller is sent as it is.
        let payload = codec.repeat(1_000);
        let record = FutureRecord::<(), _>::to(&topic).payload(&payload);
        producer.send(record, PATIENCE).await.unwrap();
    }
    let mut found: Vec<_> = read_all(&config, &topic, ReaderOptions::default())
        .into_iter()
        .map(|read| read.payload.unwrap())
        .collect();
    found.sort();
    let mut sent = codecs.map(|codec| codec.repeat(1_000));
    sent.sort();
    assert_eq!(found, sent);
}
