//! Reading at its cheapest.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::client::{self, Context};
use crate::{Config, Error, ReaderOptions, reader};

/// librdkafka with the settings of a [`Reader`](crate::Reader) and nothing else: what `make bench-export` compares the export
/// with. It reads a topic from its beginning and keeps no position.
pub struct BareReader {
    consumer: BaseConsumer<Context>,
    topic: String,
}

impl BareReader {
    /// Reads every partition of the topic.
    ///
    /// # Errors
    /// As [`Reader::open`](crate::Reader::open), [`Reader::partitions`](crate::Reader::partitions) and
    /// [`Reader::assign`](crate::Reader::assign).
    pub fn open(config: &Config, options: &ReaderOptions, topic: &str) -> Result<Self, Error> {
        let settings = reader::settings(config, options);
        let consumer = BaseConsumer::from_config_and_context(&settings, Context).map_err(Error::Config)?;
        let failed = |error| Error::of(error, topic, "assigning");
        let mut list = TopicPartitionList::new();
        for partition in client::partitions(consumer.client(), topic)? {
            list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning)
                .map_err(failed)?;
        }
        consumer.assign(&list).map_err(failed)?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
        })
    }

    /// Takes the next record and drops it; `false` if there was none within `timeout`, or the end of a partition.
    ///
    /// # Errors
    /// As [`Reader::poll`](crate::Reader::poll).
    pub fn poll(&self, timeout: Duration) -> Result<bool, Error> {
        match self.consumer.poll(timeout) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(Error::of(error, &self.topic, "reading")),
        }
    }
}

impl ConsumerContext for Context {}
