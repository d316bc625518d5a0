//! Why the control plane did not do what was asked.

use kafka::MutateError;

/// What went wrong; each variant is one gRPC code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such resource: `NOT_FOUND`.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A name, label or export is taken: `ALREADY_EXISTS`.
    #[error("{0}")]
    AlreadyExists(String),
    /// Something else must happen first: `FAILED_PRECONDITION`.
    #[error("{0}")]
    FailedPrecondition(String),
    /// Other writers were faster every time: `ABORTED`.
    #[error("others changed the same resources at the same time; read again and repeat")]
    Aborted,
    /// An edit was based on another revision than the present one: `ABORTED`.
    #[error("{0}; read it again and repeat")]
    Stale(String),
    /// The table has not heard from Kafka for too long to be believed, or cannot be written: `UNAVAILABLE`.
    #[error("the control table is not available, because Kafka is not; try again")]
    Unavailable(#[source] Option<kafka::Error>),
    /// Kafka did not say in time whether the change was written: `DEADLINE_EXCEEDED`.
    #[error("Kafka did not say in time whether that was written: read it again before you repeat it")]
    Unknown(#[source] Box<kafka::Error>),
    /// What is to be written is larger than a record of the table may be: `INVALID_ARGUMENT`.
    #[error(
        "what is to be written has {bytes} bytes, more than a record of the control table may have; make it shorter"
    )]
    TooLarge {
        /// Key and value.
        bytes: usize,
    },
    /// Kafka does not take the change until somebody acts: `FAILED_PRECONDITION`.
    #[error("the control table cannot be written: {0}; `export-svc doctor` says more")]
    Refused(#[source] Box<kafka::Error>),
    /// A record of the table is not what its key says: `INTERNAL`.
    #[error("record {key} of the control table cannot be read")]
    Corrupt {
        /// Its key.
        key: String,
    },
    /// A secret could not be sealed: `INTERNAL`.
    #[error("the secret could not be sealed")]
    Sealing(#[from] crate::sealing::Error),
}

impl From<MutateError<Error>> for Error {
    fn from(error: MutateError<Error>) -> Self {
        match error {
            MutateError::Decided(error) => error,
            MutateError::Aborted => Self::Aborted,
            MutateError::Unavailable(source) => match source {
                kafka::Error::Unknown { .. } => Self::Unknown(Box::new(source)),
                kafka::Error::TooLarge { bytes, .. } => Self::TooLarge { bytes },
                kafka::Error::Refused { .. } | kafka::Error::Topic { .. } => Self::Refused(Box::new(source)),
                source => Self::Unavailable(Some(source)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    #[test]
    fn nobody_is_told_that_nothing_happened_or_to_try_again_where_that_is_not_so() {
        let topic = || "lytics.control".to_owned();
        let problem = || "no longer there".to_owned();
        let too_large = kafka::Error::TooLarge {
            topic: topic(),
            bytes: 2_000_000,
        };
        let gone = kafka::Error::Topic {
            topic: topic(),
            problem: problem(),
        };
        let away = kafka::Error::Timeout { topic: topic() };
        for (error, code, told) in [
            (too_large, Code::InvalidArgument, "2000000 bytes"),
            (gone, Code::FailedPrecondition, "no longer there"),
            (away, Code::Unavailable, "try again"),
        ] {
            let status = Status::from(Error::from(MutateError::<Error>::Unavailable(error)));
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message().contains(told), "{status}");
        }
    }
}
