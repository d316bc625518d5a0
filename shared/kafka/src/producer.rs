//! Publishing: records that are answered for only after Kafka has acknowledged them.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{Producer, ThreadedProducer};

use crate::delivery::{Delivery, Latch, base_record};
use crate::{Ack, Config, Error, RecordOut, client};

/// How a [`Publisher`] behaves.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// A record that is not acknowledged within this time is given up (`message.timeout.ms`), so nothing is written long
    /// after its caller has been refused. librdkafka looks once a second: the answer may take a second longer.
    pub ack_timeout: Duration,
    /// Bound of the queue of records waiting for Kafka; beyond it [`Error::QueueFull`]. At least 1 KiB.
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

/// An idempotent producer with `acks=all` and Java's partitioning. Cheap to clone; costs four threads.
#[derive(Clone)]
pub struct Publisher {
    producer: Arc<ThreadedProducer<Delivery>>,
}

impl Publisher {
    /// A publisher; it connects in the background, so a broker that is down shows in [`Publisher::publish`].
    ///
    /// # Errors
    /// [`Error::Config`] if librdkafka does not take the configuration.
    pub fn new(config: &Config, options: PublisherOptions) -> Result<Self, Error> {
        let mut settings = client::producer_settings(config);
        settings
            .set("message.timeout.ms", options.ack_timeout.as_millis().to_string())
            .set(
                "queue.buffering.max.kbytes",
                (options.queue_bytes_max / 1024).max(1).to_string(),
            );
        let producer = ThreadedProducer::from_config_and_context(&settings, Delivery).map_err(Error::Config)?;
        Ok(Self {
            producer: Arc::new(producer),
        })
    }

    /// Publishes one record and waits for its acknowledgement.
    ///
    /// # Errors
    /// See [`Error::disposition`]. After [`Error::Timeout`] the record may have been written all the same.
    pub async fn publish(&self, record: RecordOut) -> Result<Ack, Error> {
        self.publish_all(vec![record]).await.pop().unwrap_or(Err(Error::Closed))
    }

    /// Publishes records in order and waits for all; one result per record, in their order. Once the queue is full the
    /// records that follow are not tried. If the future is dropped, the records are written all the same.
    pub async fn publish_all(&self, records: Vec<RecordOut>) -> Vec<Result<Ack, Error>> {
        if records.is_empty() {
            return Vec::new();
        }
        let (latch, results) = Latch::new(&records);
        let mut full = false;
        for (index, record) in records.iter().enumerate() {
            let slot = latch.slot(index);
            if full {
                slot.fill(Err(Error::QueueFull));
            } else if let Err((error, refused)) = self.producer.send(base_record(record, slot)) {
                let error = Error::of_produce(error, &record.topic, record.bytes());
                full = matches!(error, Error::QueueFull);
                refused.delivery_opaque.fill(Err(error));
            }
        }
        drop(latch);
        results
            .await
            .unwrap_or_else(|_| records.iter().map(|_| Err(Error::Closed)).collect())
    }

    /// Waits until every record has been acknowledged or given up.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let producer = self.producer.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(timeout)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable("flushing the publisher", error)),
            Err(_) => Err(Error::Closed),
        }
    }
}
