//! What can go wrong with Kafka, one variant per thing that somebody does differently.

use std::time::Duration;

use rdkafka::error::KafkaError;

/// An error of any part of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The producer's bounded queue has no room: Kafka takes records more slowly than they arrive.
    #[error("the queue of records waiting for Kafka is full")]
    QueueFull,
    /// No acknowledgement within the ack timeout.
    #[error("topic {topic}: not acknowledged in time")]
    Timeout {
        /// The record's topic.
        topic: String,
    },
    /// The record is larger than the client or the topic allows.
    #[error("topic {topic}: the record of {bytes} bytes is too large")]
    TooLarge {
        /// The record's topic.
        topic: String,
        /// Size of key and payload.
        bytes: usize,
    },
    /// Kafka cannot be reached or cannot serve the request now.
    #[error("kafka is not available: {doing}")]
    Unavailable {
        /// What was being done, and what to check.
        doing: String,
        /// What librdkafka said.
        #[source]
        source: Option<KafkaError>,
    },
    /// Kafka refused for good: not authorised, no such topic, a setting that does not fit.
    #[error("kafka refused: {doing}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What librdkafka said.
        #[source]
        source: KafkaError,
    },
    /// Another producer has taken over the transactional id: stop, the work is no longer ours.
    #[error("transactional id {transactional_id} was taken over by another producer")]
    Fenced {
        /// The id that was taken over.
        transactional_id: String,
    },
    /// The transaction was aborted; nothing of it is visible.
    #[error("transaction of {transactional_id} was aborted")]
    Aborted {
        /// The writer's id.
        transactional_id: String,
        /// What librdkafka said.
        #[source]
        source: KafkaError,
    },
    /// It is not known whether the transaction was committed.
    #[error("transaction of {transactional_id}: outcome unknown after {waited:?}")]
    Unknown {
        /// The writer's id.
        transactional_id: String,
        /// How long the commit was waited for.
        waited: Duration,
        /// What librdkafka said.
        #[source]
        source: KafkaError,
    },
    /// The offset to read from is not (or no longer) in the partition.
    #[error("topic {topic}, partition {partition}: the offset to read from is gone")]
    OffsetGone {
        /// The topic read.
        topic: String,
        /// The partition read.
        partition: i32,
    },
    /// A topic is missing, or not as we require it.
    #[error("topic {topic}: {problem}")]
    Topic {
        /// The topic's full name.
        topic: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The configuration makes no client.
    #[error("kafka configuration")]
    Config(#[source] KafkaError),
    /// The thread that served this handle has ended.
    #[error("the kafka client of this handle has been closed")]
    Closed,
}

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The same may succeed later.
    Retry,
    /// This record never succeeds; others may.
    Reject,
    /// Nothing succeeds until somebody acts, or the work belongs to someone else.
    Stop,
}

impl Error {
    /// What to do next.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::QueueFull
            | Self::Timeout { .. }
            | Self::Unavailable { .. }
            | Self::Aborted { .. }
            | Self::Unknown { .. } => Disposition::Retry,
            Self::TooLarge { .. } => Disposition::Reject,
            Self::Refused { .. }
            | Self::Fenced { .. }
            | Self::OffsetGone { .. }
            | Self::Topic { .. }
            | Self::Config(_)
            | Self::Closed => Disposition::Stop,
        }
    }
}
