//! Records for the rejected topics: what could not be used, kept as it came, with the reason.

use std::borrow::Cow;

use bytes::Bytes;

use crate::RecordOut;

/// Why, in words for a person.
pub const REASON: &str = "rejected-reason";
/// How many attempts were made.
pub const ATTEMPTS: &str = "rejected-attempts";
/// Where it was read from: `topic/partition/offset`, or the name of a source outside Kafka.
pub const ORIGIN: &str = "rejected-origin";

/// Something that cannot be used.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Key as received, or the key by which to find it.
    pub key: Option<Bytes>,
    /// The bytes as received.
    pub payload: Bytes,
    /// Headers as received.
    pub headers: Vec<(Cow<'static, str>, Bytes)>,
    /// Why it cannot be used.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it came from.
    pub origin: String,
}

impl Rejected {
    /// The record to publish to `topic`.
    pub fn into_record(self, topic: impl Into<String>) -> RecordOut {
        let _ = topic.into();
        unimplemented!()
    }
}
