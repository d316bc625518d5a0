//! A Kafka for one test: topics under a prefix of its own, or a broker of its own.

use std::time::Duration;

use kafka::testing::{Brokers, InProcessBroker};

use super::process::STARTING;

/// The account that every test uses.
pub(crate) const ACCOUNT: u64 = 1234;

/// Ends with the test, if it is the in-process one.
pub(crate) struct Broker {
    pub(crate) kafka: kafka::Config,
    in_process: Option<InProcessBroker>,
}

impl Broker {
    /// The real Kafka if there is one, else an in-process broker. Topics have at most `partitions` partitions.
    pub(crate) fn any(partitions: i32) -> Self {
        match kafka::testing::brokers() {
            Brokers::Real(kafka) => Self::real(kafka, partitions),
            Brokers::InProcess(_) => Self::in_process(partitions),
        }
    }

    /// The real Kafka, or `None` after a line that says that the test was skipped.
    pub(crate) fn real_only(test_name: &str) -> Option<Self> {
        Self::real_with(test_name, 4)
    }

    /// As [`Broker::real_only`], with topics of at most `partitions` partitions.
    pub(crate) fn real_with(test_name: &str, partitions: i32) -> Option<Self> {
        kafka::testing::real_only(test_name).map(|kafka| Self::real(kafka, partitions))
    }

    /// An in-process broker, which the test can take down.
    pub(crate) fn in_process(partitions: i32) -> Self {
        let broker = InProcessBroker::start(partitions, &[ACCOUNT]).unwrap();
        Self {
            kafka: broker.config(),
            in_process: Some(broker),
        }
    }

    fn real(kafka: kafka::Config, partitions: i32) -> Self {
        let partitions_max = Some(partitions);
        let kafka = kafka::Config {
            partitions_max,
            ..kafka
        };
        Self {
            kafka,
            in_process: None,
        }
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn down(&self) {
        let _nobody_starts = STARTING.write().unwrap();
        self.in_process.as_ref().unwrap().down().unwrap();
    }

    /// Takes every request, and answers none.
    pub(crate) fn hang(&self) {
        let broker = self.in_process.as_ref().unwrap();
        broker.slow(Duration::from_secs(3_600)).unwrap();
    }

    /// Undoes [`Broker::down`].
    pub(crate) fn up(&self) {
        self.in_process.as_ref().unwrap().up().unwrap();
    }

    /// Section `kafka` of a service's configuration, as environment variables.
    pub(crate) fn environment(&self, prefix: &str) -> Vec<(String, String)> {
        let mut variables = vec![
            (format!("{prefix}__KAFKA__BROKERS"), self.kafka.brokers.clone()),
            (
                format!("{prefix}__KAFKA__TOPIC_PREFIX"),
                self.kafka.topic_prefix.clone(),
            ),
            (
                format!("{prefix}__KAFKA__IN_PROCESS"),
                self.kafka.in_process.to_string(),
            ),
        ];
        let partitions = self.kafka.partitions_max;
        variables.extend(partitions.map(|max| (format!("{prefix}__KAFKA__PARTITIONS_MAX"), max.to_string())));
        variables
    }
}
