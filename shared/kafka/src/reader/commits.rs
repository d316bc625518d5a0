//! What becomes of the offsets that a reader commits: nobody waits for it, and it stops nothing. It is counted, and said once.

use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};

use crate::client::Told;
use crate::{client, metrics as names};

/// Hears of commits.
#[derive(Default)]
pub(super) struct Commits {
    failing: AtomicBool,
    pub(super) told: Told,
}

impl Commits {
    /// A commit has ended, or none can ever be made.
    pub(super) fn ended(&self, result: KafkaResult<()>) {
        let label = if result.is_ok() { "committed" } else { "failed" };
        metrics::counter!(names::OFFSET_COMMITS_TOTAL, "result" => label).increment(1);
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        if let Err(error) = result
            && !failed_before
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "offsets are not committed to the consumer group: lag tools show old ones, and nothing else suffers"
            );
        }
    }
}

impl ClientContext for Commits {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.count();
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&error, reason);
    }
}

impl ConsumerContext for Commits {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.told.count();
        self.ended(result);
    }
}
