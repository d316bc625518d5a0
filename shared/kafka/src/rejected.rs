//! Records for the rejected topics: what could not be used, kept as it came, with the reason.

use std::borrow::Cow;

use bytes::Bytes;

use crate::RecordOut;
use crate::headers::{CONTENT_TYPE, OCTET_STREAM};

/// Why, in words for a person.
pub const REASON: &str = "rejected-reason";
/// How many attempts were made, in decimal.
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
    /// Why it cannot be used; no secret and nothing of the payload.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it came from, see [`ORIGIN`].
    pub origin: String,
}

impl Rejected {
    /// The record to publish to `topic`: the original with our headers after its own. Bytes that came without a content
    /// type are an octet stream.
    pub fn into_record(self, topic: impl Into<String>) -> RecordOut {
        let mut headers = self.headers;
        if !headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE.into(), OCTET_STREAM.into()));
        }
        headers.push((REASON.into(), self.reason.into()));
        headers.push((ATTEMPTS.into(), self.attempts.to_string().into()));
        headers.push((ORIGIN.into(), self.origin.into()));
        RecordOut {
            topic: topic.into(),
            partition: None,
            key: self.key,
            payload: Some(self.payload),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_is_kept_and_the_reason_stands_beside_it() {
        let record = Rejected {
            key: Some("k".into()),
            payload: "{broken".into(),
            headers: vec![
                (CONTENT_TYPE.into(), "application/json".into()),
                ("traceparent".into(), "00-…".into()),
            ],
            reason: "no JSON".to_owned(),
            attempts: 3,
            origin: "braze_users".to_owned(),
        }
        .into_record("t");
        let expected = RecordOut::new("t")
            .key("k")
            .payload("{broken")
            .header(CONTENT_TYPE, "application/json")
            .header("traceparent", "00-…")
            .header(REASON, "no JSON")
            .header(ATTEMPTS, "3")
            .header(ORIGIN, "braze_users");
        assert_eq!(record, expected);
    }

    #[test]
    fn bytes_without_a_content_type_are_an_octet_stream() {
        let record = Rejected {
            key: None,
            payload: "\u{1}".into(),
            headers: Vec::new(),
            reason: "no message".to_owned(),
            attempts: 0,
            origin: "t/0/7".to_owned(),
        }
        .into_record("t");
        assert_eq!(record.headers[0], (CONTENT_TYPE.into(), OCTET_STREAM.into()));
    }
}
