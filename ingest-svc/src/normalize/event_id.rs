//! The id of an event: the same for the same record, whenever and however often it arrives.
//!
//! The first 16 bytes of a SHA-256 over account, stream and the record's JSON without the blanks between its tokens, in
//! hexadecimal. So a webhook that Braze repeats has the same id, and so has a record that comes once alone and once in an
//! array. Time of arrival, headers and token are not in it, nor is the mapping. Order of members and spelling of numbers
//! and escapes are: telling those apart costs nobody anything, while sorting would cost every record.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of the hash that are kept.
const ID_BYTES: usize = 16;

/// The id of the event that `json` becomes.
pub(super) fn event_id(account: u64, stream: &str, json: &[u8]) -> String {
    let mut canonical = Vec::with_capacity(16 + stream.len() + json.len());
    canonical.extend_from_slice(&account.to_be_bytes());
    // The length keeps a stream's name from running into the record.
    canonical.extend_from_slice(&(stream.len() as u64).to_be_bytes());
    canonical.extend_from_slice(stream.as_bytes());
    push_without_blanks(&mut canonical, json);
    let hash = Sha256::digest(&canonical);
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in &hash[..ID_BYTES] {
        // Writing to a `String` cannot fail.
        let _infallible = write!(id, "{byte:02x}");
    }
    id
}

/// Appends JSON without the blanks outside of its texts.
fn push_without_blanks(canonical: &mut Vec<u8>, json: &[u8]) {
    let (mut in_text, mut escaped) = (false, false);
    for &byte in json {
        if in_text {
            (in_text, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
        } else if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        } else {
            in_text = byte == b'"';
        }
        canonical.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_between_tokens_do_not_matter_and_everything_else_does() {
        let id = event_id(1234, "braze_users", br#"{"a":"x \" y","b":1}"#);
        assert_eq!(id.len(), 32);
        assert_eq!(
            id,
            event_id(1234, "braze_users", b"\n{ \"a\" : \"x \\\" y\",\r\n\t\"b\":1 } ")
        );
        for (account, stream, json) in [
            (1235, "braze_users", &br#"{"a":"x \" y","b":1}"#[..]),
            (1234, "braze_user", br#"{"a":"x \" y","b":1}"#),
            (1234, "braze_users", br#"{"a":"x \"  y","b":1}"#),
            (1234, "braze_users", br#"{"a":"x \" y","b":2}"#),
        ] {
            assert_ne!(id, event_id(account, stream, json), "{account} {stream}");
        }
    }

    #[test]
    fn the_id_of_a_known_record_never_changes() {
        assert_eq!(
            event_id(1234, "braze_users", br#"{"braze_id":"1"}"#),
            "55ed23b348d1169dcf2c6388cf187138"
        );
    }
}
