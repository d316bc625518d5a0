//! Publishing: records that are answered for only after Kafka has acknowledged them.

mod serving;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use serde::Deserialize;

use self::serving::Serving;
use crate::client::ASK_TIMEOUT;
use crate::delivery::Latch;
use crate::lost::{LOOK_EVERY, Looks};
use crate::{Ack, Config, Error, RecordOut, client, lost};

/// How often the thread of a publisher that has nothing to do looks whether librdkafka has something to say.
const REST: Duration = Duration::from_secs(1);
/// How often [`Publisher::failed`] looks.
const FAILED_CHECK: Duration = Duration::from_secs(1);

/// How a [`Publisher`] behaves; section `publish` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherOptions {
    /// How long Kafka may take to acknowledge a record; then it is given up, so that nothing is written long after its
    /// sender was told to come again. librdkafka looks once a second, so that its word may come a second later. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// Bytes of records that wait for Kafka; beyond it senders are told to come again. Default 32 MiB.
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

impl PublisherOptions {
    /// Everything wrong with these values: (key within the section, what is wrong with it).
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        if self.ack_timeout < Duration::from_millis(100) {
            problems.push(("ack_timeout", "must be at least 100ms"));
        }
        if self.queue_bytes_max < 1 << 20 {
            problems.push(("queue_bytes_max", "must be at least 1048576"));
        }
        problems
    }
}

/// An idempotent producer with `acks=all` and Java's partitioning. Cheap to clone; costs four threads.
#[derive(Clone)]
pub struct Publisher {
    serving: Arc<Serving>,
    config: Arc<Config>,
    /// The topic of a record that was not acknowledged in time, if none has been acknowledged since.
    unheard: Arc<Mutex<Option<String>>>,
}

impl Publisher {
    /// A publisher; it connects in the background, so a broker that is down shows in [`Publisher::publish`].
    ///
    /// # Errors
    /// [`Error::Config`] if librdkafka does not take the configuration; [`Error::Closed`] if the system gives no thread.
    pub fn new(config: &Config, options: PublisherOptions) -> Result<Self, Error> {
        let mut settings = client::producer_settings(config);
        settings
            // Costs next to nothing, and every consumer of ours and of others reads it.
            .set("compression.type", "lz4")
            .set("message.timeout.ms", options.ack_timeout.as_millis().to_string())
            .set(
                "queue.buffering.max.kbytes",
                (options.queue_bytes_max / 1024).max(1).to_string(),
            );
        Ok(Self {
            serving: Arc::new(Serving::start(&settings, || thread::park_timeout(REST))?),
            config: Arc::new(config.clone()),
            unheard: Arc::default(),
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
            } else {
                full = matches!(self.serving.send(record, slot), Err(Error::QueueFull));
            }
        }
        drop(latch);
        let results = results
            .await
            .unwrap_or_else(|_| records.iter().map(|_| Err(Error::Closed)).collect());
        if results.iter().any(Result::is_ok) {
            *self.unheard() = None;
        } else if let Some(Err(Error::Timeout { topic })) = results.first() {
            *self.unheard() = Some(topic.clone());
        }
        results
    }

    fn unheard(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing panics while it is locked.
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the producer has failed for good, so that it takes no record any more whatever Kafka does: when the brokers no
    /// longer agree with it about what was written, or when it has lost them all. Only a new producer helps; the process should
    /// end. Looks once a second.
    pub async fn failed(&self) -> Error {
        tokio::select! {
            error = self.fatal() => error,
            () = self.lost() => Error::Lost,
        }
    }

    async fn lost(&self) {
        let mut looks = Looks::default();
        while !looks.see(self.is_cut_off().await) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn is_cut_off(&self) -> bool {
        let Some(topic) = self.unheard().clone() else {
            return false;
        };
        let (serving, config) = (Arc::clone(&self.serving), Arc::clone(&self.config));
        let look = move || lost::is_cut_off(serving.producer().client(), &config, &topic, ASK_TIMEOUT);
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    async fn fatal(&self) -> Error {
        loop {
            if let Some((code, reason)) = self.serving.producer().client().fatal_error() {
                return Error::Refused {
                    doing: format!("publishing, for good ({reason})"),
                    source: KafkaError::Global(code),
                };
            }
            tokio::time::sleep(FAILED_CHECK).await;
        }
    }

    /// Waits until every record has been acknowledged or given up.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let serving = self.serving.clone();
        let flushed = tokio::task::spawn_blocking(move || serving.producer().flush(timeout)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable("flushing the publisher", error)),
            Err(_) => Err(Error::Closed),
        }
    }
}
