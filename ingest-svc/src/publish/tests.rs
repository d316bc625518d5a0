use kafka::testing::InProcessBroker;
use kafka::{PublisherOptions, Reader, ReaderOptions};
use model::AccountNumber;

use super::*;
use crate::mappings::Chosen;
use crate::normalize::Mapping;
use crate::source::Source;

#[tokio::test]
async fn what_the_mapping_does_not_want_is_written_nowhere_and_its_neighbours_keep_their_outcomes() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let (config, topics) = (broker.config(), Topics::new(&broker.config()));
    let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();
    let publish = Publish::new(publisher, &topics, Duration::from_secs(5));
    let origin = Origin {
        account: AccountNumber::new(1).unwrap(),
        stream: "web".to_owned(),
        chosen: Chosen::built_in("web"),
        source: Source::Webhook,
        content_type: None,
        timestamp_field: None,
        file: None,
    };
    let mapping = "SELECT id FROM web INTO user BY id WHERE event != \"heartbeat\" ALIAS web";
    let mapping = Mapping::parse(mapping).unwrap();
    let records = [
        r#"{"id":"1","event":"heartbeat"}"#,
        r#"{"event":"view"}"#,
        r#"{"id":"1","event":"view"}"#,
    ];
    let events = records.iter().map(|json| {
        let raw = RawRecord {
            account: 1,
            stream: "web",
            json: json.as_bytes(),
            timestamp_field: None,
        };
        Ok(encode(&mapping, &raw, Timestamp::UNIX_EPOCH)?)
    });
    let raw = records.map(Bytes::from).to_vec();
    let written = publish.write(&origin, raw, events.collect(), Timestamp::UNIX_EPOCH, None);
    let outcomes = written.await.unwrap();
    assert!(matches!(
        outcomes.as_slice(),
        [
            Outcome::NotWanted,
            Outcome::Rejected(Refusal::Record(Reason::NoIdentity { .. })),
            Outcome::Published { .. }
        ]
    ));
    let written = move |topic: String| {
        let reader = Reader::open(&config, ReaderOptions::default()).unwrap();
        let partitions = reader.partitions(&topic).unwrap();
        let ends = partitions
            .iter()
            .map(|partition| reader.watermarks(&topic, *partition).unwrap().1);
        ends.sum::<i64>()
    };
    let count = move || {
        (
            written(topics.profile_events()),
            written(topics.profile_events_rejected()),
        )
    };
    assert_eq!(tokio::task::spawn_blocking(count).await.unwrap(), (1, 1));
}
