//! What can go wrong with Kafka, one variant per thing that somebody does differently.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// An error of any part of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The producer's bounded queue has no room: Kafka takes records more slowly than they arrive.
    #[error("the queue of records waiting for kafka is full")]
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
        /// Size of key and value.
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
    /// Kafka refused for good: not authorised, a policy, a client that has failed for good.
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
    /// The transaction was aborted; nothing of it is visible, and the writer may go on.
    #[error("transaction of {transactional_id} was aborted")]
    Aborted {
        /// The writer's id.
        transactional_id: String,
        /// What librdkafka said.
        #[source]
        source: KafkaError,
    },
    /// It is not known whether the transaction was committed; the writer is of no more use.
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
    /// The offset to read from is not, or no longer, in the partition.
    #[error("topic {topic}, partition {partition:?}: offset {offset:?} is not in the partition")]
    OffsetGone {
        /// The topic read.
        topic: String,
        /// The partition; `None` if it could not be found out.
        partition: Option<i32>,
        /// The offset that was asked for.
        offset: Option<i64>,
        /// First offset and end of the partition.
        held: Option<(i64, i64)>,
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
    #[error("the kafka configuration makes no client")]
    Config(#[source] KafkaError),
    /// Kafka answers others, but this client has forgotten where it is, for good.
    #[error("kafka answers other clients, but this one has lost every broker, and only a new one finds them")]
    Lost,
    /// The client that served this handle has ended.
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
            | Self::Lost
            | Self::Closed => Disposition::Stop,
        }
    }

    pub(crate) fn unavailable(doing: impl Into<String>, source: KafkaError) -> Self {
        Self::Unavailable {
            doing: doing.into(),
            source: Some(source),
        }
    }

    pub(crate) fn missing_topic(topic: &str) -> Self {
        Self::Topic {
            topic: topic.to_owned(),
            problem: "does not exist; create it with `topics ensure`".to_owned(),
        }
    }

    /// What became of a record that was not acknowledged.
    pub(crate) fn of_produce(error: KafkaError, topic: &str, bytes: usize) -> Self {
        match error.rdkafka_error_code() {
            Some(Code::QueueFull) => Self::QueueFull,
            Some(Code::MessageTimedOut | Code::RequestTimedOut) => Self::Timeout {
                topic: topic.to_owned(),
            },
            Some(Code::MessageSizeTooLarge) => Self::TooLarge {
                topic: topic.to_owned(),
                bytes,
            },
            Some(Code::PurgeQueue | Code::PurgeInflight) => Self::Closed,
            _ => Self::of(error, topic, "writing to"),
        }
    }

    /// Sorts an error about `topic` into "never", "not as it is" and "not now".
    pub(crate) fn of(error: KafkaError, topic: &str, doing: &str) -> Self {
        match error.rdkafka_error_code() {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                Self::missing_topic(topic)
            }
            Some(
                Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::PolicyViolation
                | Code::InvalidRecord
                | Code::InvalidTopic
                | Code::Fatal,
            ) => Self::Refused {
                doing: format!("{doing} topic {topic}"),
                source: error,
            },
            _ => Self::unavailable(format!("{doing} topic {topic}"), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_full_queue_a_late_ack_and_a_large_record_ask_for_differs() {
        let of = |code| Error::of_produce(KafkaError::MessageProduction(code), "t", 7);
        assert!(matches!(of(Code::QueueFull), Error::QueueFull));
        assert!(matches!(of(Code::MessageTimedOut), Error::Timeout { .. }));
        assert!(matches!(
            of(Code::MessageSizeTooLarge),
            Error::TooLarge { bytes: 7, .. }
        ));
        assert_eq!(of(Code::QueueFull).disposition(), Disposition::Retry);
        assert_eq!(of(Code::MessageTimedOut).disposition(), Disposition::Retry);
        assert_eq!(of(Code::MessageSizeTooLarge).disposition(), Disposition::Reject);
        assert_eq!(of(Code::TopicAuthorizationFailed).disposition(), Disposition::Stop);
        assert_eq!(of(Code::BrokerTransportFailure).disposition(), Disposition::Retry);
    }
}
