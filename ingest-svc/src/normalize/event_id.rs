//! The id of an event: the same for the same record, whenever and however often it arrives.
//!
//! The XXH3 hash, of 128 bits, over account, stream and the record's JSON without the blanks between its tokens, in hexadecimal; of
//! an event of Currents over its id at Braze in place of the record, as a repeat may name its campaign otherwise, or have a field
//! more. So a webhook that Braze repeats has the same id, and so has a record that comes once alone and once in an
//! array. Time of arrival, headers and token are not in it, nor is the mapping. Order of members and spelling of numbers
//! and escapes are: telling those apart costs nobody anything, while sorting would cost every record.
//!
//! That any two of a million million records have one id by accident has a chance of less than one in 10^14. It is no signature: who
//! can write records of an account can make two of them that have one id. A hash that withstands that, BLAKE3, was a sixth of what
//! a webhook costs.

use std::fmt;

use twox_hash::XxHash3_128;

/// The id of an event, 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventId([u8; 32]);

impl EventId {
    pub(super) fn digits(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The digits of each byte.
static DIGITS: [[u8; 2]; 256] = {
    let (of_half, mut of_byte) = (*b"0123456789abcdef", [[0; 2]; 256]);
    let mut byte = 0;
    while byte < of_byte.len() {
        of_byte[byte] = [of_half[byte >> 4], of_half[byte & 15]];
        byte += 1;
    }
    of_byte
};

/// What an id is made of, collected while the record is read.
#[derive(Debug)]
pub(super) struct Distinct {
    bytes: Vec<u8>,
    /// Where the record begins behind its account and stream.
    record: usize,
}

impl Distinct {
    /// Of a record of so many bytes, as yet without its tokens.
    pub(super) fn new(account: u64, stream: &str, record_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(16 + stream.len() + record_bytes);
        bytes.extend_from_slice(&account.to_be_bytes());
        // The length keeps a stream's name from running into the record.
        bytes.extend_from_slice(&(stream.len() as u64).to_be_bytes());
        bytes.extend_from_slice(stream.as_bytes());
        let record = bytes.len();
        Self { bytes, record }
    }

    /// Adds a part of the record, as it was written.
    pub(super) fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    /// Puts the id that the event has at Braze in place of the record: a text, which no record is.
    pub(super) fn replace(&mut self, id: &str) {
        self.bytes.truncate(self.record);
        self.push(id.as_bytes());
    }

    /// The id of the event.
    pub(super) fn id(&self) -> EventId {
        let hash = XxHash3_128::oneshot(&self.bytes).to_be_bytes();
        let mut id = [0; 32];
        for (digits, byte) in id.as_chunks_mut().0.iter_mut().zip(hash) {
            *digits = DIGITS[usize::from(byte)];
        }
        EventId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_id(account: u64, stream: &str, tokens: &[&str]) -> EventId {
        let mut distinct = Distinct::new(account, stream, 0);
        tokens.iter().for_each(|token| distinct.push(token.as_bytes()));
        distinct.id()
    }

    #[test]
    fn account_stream_and_each_token_count_and_nothing_runs_into_another() {
        let id = event_id(1234, "braze_users", &["{", "\"a\"", ":", "1", "}"]);
        assert_eq!(id.as_str().len(), 32);
        assert_eq!(id, event_id(1234, "braze_users", &["{\"a\":1}"]));
        for (account, stream, record) in [
            (1235, "braze_users", "{\"a\":1}"),
            (1234, "braze_user", "s{\"a\":1}"),
            (1234, "braze_users", "{\"a\":2}"),
        ] {
            assert_ne!(id, event_id(account, stream, &[record]), "{account} {stream}");
        }
    }

    #[test]
    fn the_id_of_a_known_record_never_changes() {
        // Both by the hash's own implementation; what is longer than 240 bytes goes another way.
        for (record, id) in [
            (r#"{"braze_id":"1"}"#.to_owned(), "e5327c86e50d932a9ce61c37374853b8"),
            (
                format!("{{\"a\":\"{}\"}}", "x".repeat(400)),
                "ae5deb8238ae639aefeb213d72afd801",
            ),
        ] {
            assert_eq!(event_id(1234, "braze_users", &[&record]).as_str(), id);
        }
    }

    #[test]
    fn the_id_at_braze_stands_for_the_record() {
        let mut distinct = Distinct::new(1, "s", 0);
        distinct.push(b"{}");
        distinct.replace("\"b\"");
        assert_eq!(distinct.id(), event_id(1, "s", &["\"b\""]));
    }
}
