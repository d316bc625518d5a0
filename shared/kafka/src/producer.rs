//! Publishing: records that are answered for only after Kafka has acknowledged them.

use std::time::Duration;

use crate::{Ack, Config, Error, RecordOut};

/// How a [`Publisher`] behaves.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// A record that is not acknowledged within this time is given up (`message.timeout.ms`), so nothing is written long
    /// after its caller has been refused.
    pub ack_timeout: Duration,
    /// Bound of the queue of records waiting for Kafka; beyond it [`Error::QueueFull`].
    pub queue_bytes_max: usize,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(5),
            queue_bytes_max: 32 << 20,
        }
    }
}

/// An idempotent producer with `acks=all` and Java's partitioning. Cheap to clone.
#[derive(Clone)]
pub struct Publisher;

impl Publisher {
    /// A producer; connects in the background.
    pub fn new(config: &Config, options: PublisherOptions) -> Result<Self, Error> {
        let _ = (config, options);
        unimplemented!()
    }

    /// Publishes one record and waits for its acknowledgement.
    pub async fn publish(&self, record: RecordOut) -> Result<Ack, Error> {
        let _ = record;
        unimplemented!()
    }

    /// Publishes records in order and waits for all; one result per record, in their order.
    pub async fn publish_all(&self, records: Vec<RecordOut>) -> Vec<Result<Ack, Error>> {
        let _ = records;
        unimplemented!()
    }

    /// Waits until the queue is empty.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let _ = timeout;
        unimplemented!()
    }
}
