//! Brokers for tests and local runs.

use crate::{Config, Error};

/// librdkafka's in-process broker; ends when dropped.
pub struct InProcessBroker;

impl InProcessBroker {
    /// Starts a broker with every topic of ours under `config().topic_prefix`, `partitions` partitions each (the
    /// control table has one), and the membership topics of `accounts`.
    pub fn start(partitions: i32, accounts: &[u64]) -> Result<Self, Error> {
        let _ = (partitions, accounts);
        unimplemented!()
    }

    /// `host:port` of the broker.
    pub fn bootstrap(&self) -> String {
        unimplemented!()
    }

    /// A configuration that reaches this broker.
    pub fn config(&self) -> Config {
        unimplemented!()
    }

    /// Creates a topic by its full name.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Error> {
        let _ = (name, partitions);
        unimplemented!()
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
    pub async fn ensure_topics(&self, accounts: &[u64]) -> Result<(), Error> {
        let _ = accounts;
        unimplemented!()
    }
}

/// The broker for a test: the one named by `KAFKA_BROKERS`, else one in this process.
///
/// # Panics
/// With `CI=true` and no `KAFKA_BROKERS`: continuous integration never goes without a real Kafka.
pub fn brokers() -> Brokers {
    unimplemented!()
}

/// For tests that only a real Kafka can run: its configuration, or `None` after a line that says the test was skipped
/// (also appended to the file named by `LYTICS_TEST_SKIPS`).
///
/// # Panics
/// As [`brokers`].
pub fn real_only(test_name: &str) -> Option<Config> {
    let _ = test_name;
    unimplemented!()
}
