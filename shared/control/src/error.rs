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
            MutateError::Unavailable(source) => Self::Unavailable(Some(source)),
        }
    }
}
