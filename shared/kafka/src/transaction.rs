//! A transactional producer: all records of a commit become visible together, and one writer at a time.

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer};

use crate::client::{self, ASK_TIMEOUT};
use crate::delivery::{Delivery, Latch, base_record};
use crate::{Ack, Config, Error, RecordOut};

/// How often a writer that is being made looks whether it is connected.
const CONNECT_POLL: Duration = Duration::from_millis(10);

/// Writes transactions under one transactional id. Blocking: for a thread of its own.
pub struct TransactionalWriter {
    producer: BaseProducer<Delivery>,
    transactional_id: String,
    timeout: Duration,
}

impl TransactionalWriter {
    /// A writer that has fenced every earlier one of the same id (the topic prefix is put before it); whatever they left
    /// open is aborted, whatever they had begun to commit is committed. Waits at most `timeout`, which also becomes the
    /// broker's `transaction.timeout.ms` and the limit of every commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka does not answer in time; [`Error::Refused`] and [`Error::Config`] for good.
    pub fn init(config: &Config, id: &str, timeout: Duration) -> Result<Self, Error> {
        let transactional_id = format!("{}{id}", config.topic_prefix);
        let timeout_ms = timeout.as_millis().max(1000).to_string();
        let mut settings = client::producer_settings(config);
        settings
            .set("transactional.id", &transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            // All records of a commit are there at once. On the in-process broker only a batch is whole or not at all.
            .set("linger.ms", if config.in_process { "5" } else { "0" })
            // Not a producer's setting by name, but it decides what `end_offset` is told.
            .set("isolation.level", "read_uncommitted");
        let producer = BaseProducer::from_config_and_context(&settings, Delivery).map_err(Error::Config)?;
        let writer = Self {
            producer,
            transactional_id,
            timeout,
        };
        // Asked before a broker is connected, librdkafka rests half a second before it looks for one again. It knows the
        // cluster's id once it is; waiting for that in one piece can miss the moment.
        let deadline = Instant::now() + timeout;
        let client = writer.producer.client();
        while client.fetch_cluster_id(CONNECT_POLL).is_none() && Instant::now() < deadline {}
        let timeout = deadline.saturating_duration_since(Instant::now());
        writer
            .producer
            .init_transactions(timeout)
            .map_err(|error| writer.of_step(error, "init_transactions of"))?;
        Ok(writer)
    }

    /// Begin, produce, commit, without a pause. One acknowledgement per record, in their order.
    ///
    /// # Errors
    /// After [`Error::Aborted`], [`Error::TooLarge`] and [`Error::Topic`] nothing was written and the writer goes on.
    /// [`Error::Fenced`]: nothing was written, and the id belongs to somebody else. After any other error it is not known
    /// whether the records were written; drop the writer, make a new one, and look.
    pub fn commit(&mut self, records: Vec<RecordOut>) -> Result<Vec<Ack>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        self.producer
            .begin_transaction()
            .map_err(|error| self.of_step(error, "begin_transaction of"))?;
        let (latch, mut results) = Latch::new(&records);
        let mut refused = false;
        for (index, record) in records.iter().enumerate() {
            if let Err((error, base)) = self.producer.send(base_record(record, latch.slot(index))) {
                base.delivery_opaque
                    .fill(Err(Error::of_produce(error, &record.topic, record.bytes())));
                refused = true;
            }
        }
        drop(latch);
        let committed = if refused {
            Err(KafkaError::MessageProduction(Code::Fail))
        } else {
            self.deliver();
            self.producer.commit_transaction(self.timeout)
        };
        match committed {
            Ok(()) => {
                let acks = results.try_recv().map_err(|_| Error::Closed)?;
                let acks = acks.into_iter().collect::<Result<Vec<_>, _>>()?;
                if !all_written(&acks) {
                    return Err(Error::Unknown {
                        transactional_id: self.transactional_id.clone(),
                        waited: begun.elapsed(),
                        source: KafkaError::MessageProduction(Code::DuplicateSequenceNumber),
                    });
                }
                Ok(acks)
            }
            Err(error) => {
                let aborted = self.abort(error, refused, begun);
                // A record that can never be written says more than "aborted".
                let reports = results.try_recv().unwrap_or_default();
                let lasting = reports
                    .into_iter()
                    .filter_map(Result::err)
                    .find(|error| matches!(error, Error::TooLarge { .. } | Error::Topic { .. }));
                match (aborted, lasting) {
                    (Error::Aborted { .. }, Some(lasting)) => Err(lasting),
                    (aborted, _) => Err(aborted),
                }
            }
        }
    }

    /// The true end of a partition, open transactions included. Asks Kafka, for at most 5 s.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka does not answer.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        self.producer
            .client()
            .fetch_watermarks(topic, partition, ASK_TIMEOUT)
            .map(|(_, high)| high)
            .map_err(|error| Error::of(error, topic, "asking for the end of"))
    }

    /// The topic's partitions, ascending. Asks Kafka, for at most 5 s.
    ///
    /// # Errors
    /// [`Error::Topic`] if it does not exist, [`Error::Unavailable`] if Kafka does not answer.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, Error> {
        client::partitions(self.producer.client(), topic)
    }

    /// Serves delivery reports until all are there. As `flush`, which would look every 100 ms only.
    fn deliver(&self) {
        let deadline = Instant::now() + self.timeout;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(Duration::from_millis(1));
        }
    }

    /// Aborts what can be aborted, and says what is known of the transaction.
    fn abort(&self, error: KafkaError, refused: bool, begun: Instant) -> Error {
        if self.is_fenced(&error) {
            return Error::Fenced {
                transactional_id: self.transactional_id.clone(),
            };
        }
        let abortable = refused || matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort());
        if abortable {
            // Aborting waits for every delivery report to have been served, which it leaves to us.
            self.deliver();
            match self.producer.abort_transaction(self.timeout) {
                Ok(()) => {
                    return Error::Aborted {
                        transactional_id: self.transactional_id.clone(),
                        source: error,
                    };
                }
                Err(error) if self.is_fenced(&error) => {
                    return Error::Fenced {
                        transactional_id: self.transactional_id.clone(),
                    };
                }
                Err(_) => {}
            }
        }
        Error::Unknown {
            transactional_id: self.transactional_id.clone(),
            waited: begun.elapsed(),
            source: error,
        }
    }

    fn of_step(&self, error: KafkaError, doing: &str) -> Error {
        if self.is_fenced(&error) {
            return Error::Fenced {
                transactional_id: self.transactional_id.clone(),
            };
        }
        let doing = format!("{doing} {}", self.transactional_id);
        match error.rdkafka_error_code() {
            Some(Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::Fatal) => {
                Error::Refused { doing, source: error }
            }
            _ => Error::unavailable(doing, error),
        }
    }

    fn is_fenced(&self, error: &KafkaError) -> bool {
        let fenced = |code| matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch);
        error.rdkafka_error_code().is_some_and(fenced)
            || self
                .producer
                .client()
                .fatal_error()
                .is_some_and(|(code, _)| fenced(code))
    }
}

/// Whether Kafka says of each record where it stands. One that it takes for a repetition it acknowledges as well, perhaps without an
/// offset, and does not write it: that another one was written is for somebody to look at. The in-process broker takes new ones for such
/// now and then, see [`InProcessBroker`](crate::testing::InProcessBroker).
fn all_written(acks: &[Ack]) -> bool {
    acks.iter().all(|ack| ack.offset >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_acknowledged_without_an_offset_is_not_known_to_be_written() {
        let ack = |offset| Ack { partition: 0, offset };
        assert!(all_written(&[]) && all_written(&[ack(0), ack(7)]));
        assert!(!all_written(&[ack(0), ack(-1)]) && !all_written(&[ack(-1001)]));
    }
}
