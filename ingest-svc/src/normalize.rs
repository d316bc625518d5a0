//! Raw record + compiled LQL mapping → profile event, or the reason why not. Pure: no I/O, no clock, no Kafka.

mod mapping;

use jiff::Timestamp;
use proto::profile::v1::ProfileEvent;

pub use mapping::{Mapping, Problem};

/// One record as a source received it.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Number of the account that it was sent to.
    pub account: u64,
    /// Stream that it was sent to, such as `braze_users`.
    pub stream: &'a str,
    /// One JSON object, as received. For a record of an array: its own slice of the body (`serde_json::value::RawValue`).
    pub json: &'a [u8],
}

/// What became of a record that could be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized {
    /// The event to publish.
    pub event: ProfileEvent,
    /// Identity values that were left out because they are longer than 256 bytes.
    pub identities_dropped: usize,
}

/// Why a record gives no profile event. `Display` is what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not UTF-8, not JSON, or nested too deeply.
    #[error("the record is not valid JSON: {0}")]
    Malformed(String),
    /// JSON, but a list or a scalar.
    #[error("the record must be a JSON object, not {found}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// None of the mapping's `BY` fields has a usable value.
    #[error("the record identifies nobody: {fields} gave no value")]
    NoIdentity {
        /// The `BY` fields, as a sentence part.
        fields: String,
    },
}

impl Reason {
    /// A short, stable name for metrics and headers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NotAnObject { .. } => "not_an_object",
            Self::NoIdentity { .. } => "no_identity",
        }
    }
}

/// Normalizes one record. `received` is when it arrived: the event's receive time and the anchor of `now`.
pub fn normalize(mapping: &Mapping, raw: &RawRecord<'_>, received: Timestamp) -> Result<Normalized, Reason> {
    unimplemented!("{mapping:?} {raw:?} {received}")
}

/// The Kafka key of an event: its first identity as `<field>:<value>`, so that one person's events stay in order.
pub fn record_key(event: &ProfileEvent) -> String {
    unimplemented!("{event:?}")
}
