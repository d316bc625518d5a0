//! Brokers for tests and local runs.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::client::ASK_TIMEOUT;
use crate::delivery::Delivery;
use crate::topics::{self, Topics, declared};
use crate::{Config, Error, client};

/// Partitions of the topics that a test gets, at most.
const TEST_PARTITIONS: i32 = 4;
/// What one step of an [`OpenTransaction`] may take.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A transaction that hides what is written behind it from committed readers until it ends.
pub struct OpenTransaction(BaseProducer);

impl OpenTransaction {
    /// Begins a transaction with a record in each of these partitions. Blocks until Kafka has them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka does not take them.
    pub fn begin(config: &Config, transactional_id: &str, topic: &str, partitions: &[i32]) -> Result<Self, Error> {
        let failed = |error| Error::of(error, topic, "opening a transaction in");
        let mut settings = client::producer_settings(config);
        settings.set("transactional.id", format!("{}{transactional_id}", config.topic_prefix));
        let producer: BaseProducer = settings.create().map_err(Error::Config)?;
        producer.init_transactions(TRANSACTION_TIMEOUT).map_err(failed)?;
        producer.begin_transaction().map_err(failed)?;
        for partition in partitions {
            let record = BaseRecord::to(topic).partition(*partition).key("open").payload("open");
            producer.send(record).map_err(|(error, _)| failed(error))?;
        }
        producer.flush(TRANSACTION_TIMEOUT).map_err(failed)?;
        Ok(Self(producer))
    }

    /// Ends it: nothing of it was ever there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka does not answer.
    pub fn abort(self) -> Result<(), Error> {
        let aborted = self.0.abort_transaction(TRANSACTION_TIMEOUT);
        aborted.map_err(|error| Error::unavailable("aborting a transaction", error))
    }
}

/// Sets these of a topic's settings, and all others back to what the broker does by default.
///
/// # Errors
/// [`Error::Topic`] if Kafka refuses, [`Error::Unavailable`] if it does not answer.
pub async fn configure(config: &Config, topic: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
    let altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let altered = settings
        .iter()
        .fold(altered, |altered, (key, value)| altered.set(key, value));
    let done = topics::admin(config)?
        .alter_configs(&[altered], &AdminOptions::new())
        .await;
    let done = done.map_err(|error| Error::unavailable("configuring a topic", error))?;
    let refused = done.into_iter().find_map(Result::err);
    refused.map_or(Ok(()), |(_, code)| {
        Err(Error::Topic {
            topic: topic.to_owned(),
            problem: format!("could not be configured: {code}"),
        })
    })
}

/// Makes the broker compact a topic as soon as it can: what is written to it from now on closes what was written before. All
/// other settings go back to what the broker does by default.
///
/// # Errors
/// As [`configure`].
pub async fn compact_soon(config: &Config, topic: &str) -> Result<(), Error> {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1"),
    ];
    configure(config, topic, &settings).await
}

/// Cuts a partition off: it begins at `offset` from now on. Kafka refuses that of a topic that is only compacted.
///
/// # Errors
/// As [`configure`].
pub async fn cut_off(config: &Config, topic: &str, partition: i32, offset: i64) -> Result<(), Error> {
    let failed = |error| Error::of(error, topic, "cutting off");
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(topic, partition, Offset::Offset(offset))
        .map_err(failed)?;
    let done = topics::admin(config)?
        .delete_records(&before, &AdminOptions::new())
        .await;
    let done = done.map_err(failed)?;
    done.elements()
        .iter()
        .try_for_each(|element| element.error())
        .map_err(failed)
}

/// librdkafka's in-process broker: one node, no admin API, no time look-up, no compaction, no fencing of producers, no
/// abort, and 5 MiB per partition. Of two transactional producers that draw the same of its 900,000 ids, what the second writes first is
/// acknowledged and not written. Ends when dropped, which its clients see as a broker that has gone away.
pub struct InProcessBroker {
    /// librdkafka runs the broker inside a client.
    host: ThreadedProducer<Delivery>,
    config: Config,
}

impl InProcessBroker {
    /// Starts a broker with every topic of ours under `config().topic_prefix` (the default prefix), at most `partitions`
    /// partitions each, and the membership topics of `accounts`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot listen on loopback.
    pub fn start(partitions: i32, accounts: &[u64]) -> Result<Self, Error> {
        let mut settings = client::settings(&Config::default());
        settings.set("test.mock.num.brokers", "1");
        let host = ThreadedProducer::from_config_and_context(&settings, Delivery).map_err(Error::Config)?;
        let mut broker = Self {
            host,
            config: Config {
                in_process: true,
                ..Config::default()
            },
        };
        broker.config.brokers = broker
            .host
            .client()
            .mock_cluster()
            .map(|cluster| cluster.bootstrap_servers())
            .ok_or(Error::Closed)?;
        let topics = Topics::new(&broker.config);
        for spec in declared(accounts) {
            broker.create_topic(&topics.named(&spec.name), spec.partitions.min(partitions))?;
        }
        Ok(broker)
    }

    /// `host:port` of the broker.
    pub fn bootstrap(&self) -> String {
        self.config.brokers.clone()
    }

    /// A configuration that reaches this broker.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Creates a topic by its full name.
    ///
    /// # Errors
    /// [`Error::Topic`] if it exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster
            .create_topic(name, partitions, 1)
            .map_err(|error| refused(name, &error))
    }

    /// Cuts every connection and refuses new ones, until [`InProcessBroker::up`].
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn down(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster.broker_down(1).map_err(|_| Error::Closed)
    }

    /// The next commit of a transaction is answered with an error, though its records stay: as if the answer had been lost.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn fail_next_commit(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN]);
        Ok(())
    }

    /// The next records that a producer writes are refused as out of sequence, which is the end of that producer.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn fail_next_producer(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        Ok(())
    }

    /// Says that a topic does not exist, or, if not `hidden`, that it does: as a broker that is starting may.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn hide_topic(&self, name: &str, hidden: bool) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        let error = if hidden {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
        } else {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        };
        cluster.topic_error(name, error).map_err(|_| Error::Closed)
    }

    /// No client may use a consumer group, for as long as a test lasts.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn deny_groups(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[denied; 1_000]);
        Ok(())
    }

    /// Every answer takes this long from now on.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn slow(&self, delay: Duration) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster.broker_round_trip_time(1, delay).map_err(|_| Error::Closed)
    }

    /// The next transaction is refused its partitions, so that its commit ends aborted.
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn abort_next_commit(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster.request_errors(
            RDKafkaApiKey::AddPartitionsToTxn,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
        );
        Ok(())
    }

    /// Undoes [`InProcessBroker::down`].
    ///
    /// # Errors
    /// [`Error::Closed`] if the broker has ended.
    pub fn up(&self) -> Result<(), Error> {
        let cluster = self.host.client().mock_cluster().ok_or(Error::Closed)?;
        cluster.broker_up(1).map_err(|_| Error::Closed)
    }
}

fn refused(topic: &str, error: &KafkaError) -> Error {
    Error::Topic {
        topic: topic.to_owned(),
        problem: format!("could not be created: {error}"),
    }
}

/// The broker that a test got. Keep it alive as long as the test runs.
pub enum Brokers {
    /// A real Kafka, under a topic prefix of this test's own.
    Real(Config),
    /// The in-process one.
    InProcess(InProcessBroker),
}

impl Brokers {
    /// A configuration that reaches the broker.
    pub fn config(&self) -> Config {
        match self {
            Self::Real(config) => config.clone(),
            Self::InProcess(broker) => broker.config(),
        }
    }

    /// Creates our topics and the membership topics of `accounts`.
    ///
    /// # Errors
    /// As [`topics::ensure`].
    pub async fn ensure_topics(&self, accounts: &[u64]) -> Result<(), Error> {
        topics::ensure(&self.config(), accounts).await.map(drop)
    }
}

/// What a consumer group (without the prefix) has committed of a topic's first partitions; `None` where it has nothing.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka does not answer.
pub fn committed(config: &Config, group: &str, topic: &str, partitions: i32) -> Result<Vec<Option<i64>>, Error> {
    let mut settings = client::settings(config);
    settings.set("group.id", format!("{}{group}", config.topic_prefix));
    let consumer: BaseConsumer = settings.create().map_err(Error::Config)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let committed = consumer
        .committed_offsets(list, ASK_TIMEOUT)
        .map_err(|error| Error::of(error, topic, "asking for what is committed of"))?;
    let committed = committed.elements();
    Ok(committed
        .iter()
        .map(|found| found.offset().to_raw().filter(|offset| *offset >= 0))
        .collect())
}

/// The broker for a test: the one named by `KAFKA_BROKERS`, else one in this process.
///
/// # Panics
/// With `CI=true` and no `KAFKA_BROKERS`: continuous integration never goes without a real Kafka. And if the in-process
/// broker does not start.
pub fn brokers() -> Brokers {
    match real() {
        Some(config) => Brokers::Real(config),
        None => Brokers::InProcess(
            InProcessBroker::start(TEST_PARTITIONS, &[]).expect("the in-process broker listens on loopback"),
        ),
    }
}

/// For tests that only a real Kafka can run: its configuration, under a topic prefix of the test's own, or `None` after a
/// line that says the test was skipped (also appended to the file named by `LYTICS_TEST_SKIPS`).
///
/// # Panics
/// As [`brokers`], and if the file cannot be written.
pub fn real_only(test_name: &str) -> Option<Config> {
    let config = real();
    if config.is_none() {
        eprintln!("skipped without a real Kafka (KAFKA_BROKERS): {test_name}");
        if let Some(path) = env::var_os("LYTICS_TEST_SKIPS") {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .expect("LYTICS_TEST_SKIPS is writable");
            // One write, so that lines of tests running side by side do not mix.
            file.write_all(format!("{test_name}\n").as_bytes())
                .expect("LYTICS_TEST_SKIPS is writable");
        }
    }
    config
}

fn real() -> Option<Config> {
    let brokers = env::var("KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    let continuous_integration = env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        brokers.is_some() || !continuous_integration,
        "CI=true but KAFKA_BROKERS names no Kafka: nothing may be skipped there"
    );
    brokers.map(|brokers| Config {
        brokers,
        topic_prefix: format!("t{}.", Uuid::new_v4().simple()),
        partitions_max: Some(TEST_PARTITIONS),
        ..Config::default()
    })
}
