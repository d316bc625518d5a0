use std::time::Duration;

use kafka::testing::{self, InProcessBroker};
use kafka::{Config, Error, Reader, ReaderOptions, Topics, topics};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;

fn admin(config: &Config) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .create()
        .unwrap()
}

async fn setting(config: &Config, topic: &str, name: &str) -> String {
    let described = admin(config)
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &AdminOptions::new())
        .await;
    described
        .unwrap()
        .remove(0)
        .unwrap()
        .get(name)
        .unwrap()
        .value
        .clone()
        .unwrap()
}

#[tokio::test]
async fn ensure_creates_every_topic_as_declared_and_a_second_time_nothing() {
    let Some(config) = testing::real_only("topics::ensure_creates_every_topic_as_declared_and_a_second_time_nothing")
    else {
        return;
    };
    let names = Topics::new(&config);
    let mut created = topics::ensure(&config, &[1234]).await.unwrap();
    created.sort();
    let mut expected = [
        names.audience_membership(1234),
        names.control(),
        names.export_log(),
        names.export_placement(),
        names.export_progress(),
        names.export_rejected(),
        names.import_placement(),
        names.import_progress(),
        names.profile_events(),
        names.profile_events_rejected(),
    ];
    expected.sort();
    assert_eq!(created, expected);
    assert_eq!(topics::ensure(&config, &[1234]).await.unwrap(), [""; 0]);

    let topic = names.control();
    assert_eq!(setting(&config, &topic, "cleanup.policy").await, "compact");
    assert_eq!(setting(&config, &topic, "segment.bytes").await, "16777216");
    assert_eq!(setting(&config, &topic, "max.compaction.lag.ms").await, "3600000");
    assert_eq!(setting(&config, &topic, "min.insync.replicas").await, "1");
    assert_eq!(
        setting(&config, &names.profile_events_rejected(), "max.message.bytes").await,
        "11534336"
    );
    let membership = names.audience_membership(1234);
    assert_eq!(setting(&config, &membership, "cleanup.policy").await, "compact");
    assert_eq!(
        setting(&config, &membership, "min.compaction.lag.ms").await,
        "604800000"
    );
    assert_eq!(
        setting(&config, &membership, "message.timestamp.type").await,
        "LogAppendTime"
    );

    let reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    assert_eq!(reader.partitions(&topic).unwrap(), [0]);
    assert_eq!(
        setting(&config, &names.import_progress(), "cleanup.policy").await,
        "compact"
    );
    assert_eq!(reader.partitions(&names.import_progress()).unwrap(), [0]);
    assert_eq!(reader.partitions(&names.import_placement()).unwrap(), [0, 1, 2, 3]);
    assert_eq!(reader.partitions(&membership).unwrap(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_membership_topic_that_somebody_else_made_is_checked() {
    let Some(config) = testing::real_only("topics::a_membership_topic_that_somebody_else_made_is_checked") else {
        return;
    };
    let missing = topics::check_membership(&config, 1).await.unwrap();
    assert!(
        missing.len() == 1 && missing[0].contains("does not exist"),
        "{missing:?}"
    );

    topics::ensure_membership(&config, 2).await.unwrap();
    assert_eq!(topics::check_membership(&config, 2).await.unwrap(), [""; 0]);

    let name = Topics::new(&config).audience_membership(3);
    let bad = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact,delete");
    admin(&config)
        .create_topics(&[bad], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let faults = topics::check_membership(&config, 3).await.unwrap();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[0].contains("compact,delete")
            && faults[1].contains("min.compaction.lag.ms")
            && faults[2].contains("CreateTime"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn on_the_in_process_broker_a_topic_exists_once_it_has_been_ensured() {
    let broker = InProcessBroker::start(2, &[1]).unwrap();
    let config = broker.config();
    let names = Topics::new(&config);
    topics::ensure_membership(&config, 7).await.unwrap();
    let reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    assert_eq!(reader.partitions(&names.audience_membership(1)).unwrap(), [0, 1]);
    assert!(!reader.partitions(&names.audience_membership(7)).unwrap().is_empty());
    assert_eq!(reader.partitions(&names.control()).unwrap(), [0]);
}

#[tokio::test]
async fn without_a_broker_ensure_says_what_to_check() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let config = Config {
        open_timeout: Duration::from_millis(100),
        in_process: false,
        ..broker.config()
    };
    drop(broker);
    let error = topics::ensure(&config, &[]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { doing, .. } if doing.contains("kafka.brokers")),
        "{error}"
    );
}
