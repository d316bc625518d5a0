//! The id of an event: the same for the same record, whenever and however often it arrives.
//!
//! The first 16 bytes of a BLAKE3 hash over account, stream and the record's JSON without the blanks between its tokens, in
//! hexadecimal; of an event of Currents over its id at Braze in place of the record, as a repeat may name its campaign otherwise,
//! or have a field more. So a webhook that Braze repeats has the same id, and so has a record that comes once alone and once in an
//! array. Time of arrival, headers and token are not in it, nor is the mapping. Order of members and spelling of numbers
//! and escapes are: telling those apart costs nobody anything, while sorting would cost every record. BLAKE3, because nobody can
//! make two records of one id, and it is as fast on processors that have no instructions for SHA-256.

use memchr::memchr2;

/// The id of the event that `json` becomes, or that has this id at Braze: a text, which no record is.
pub(super) fn event_id(account: u64, stream: &str, json: &[u8]) -> String {
    let mut canonical = Vec::with_capacity(16 + stream.len() + json.len());
    canonical.extend_from_slice(&account.to_be_bytes());
    // The length keeps a stream's name from running into the record.
    canonical.extend_from_slice(&(stream.len() as u64).to_be_bytes());
    canonical.extend_from_slice(stream.as_bytes());
    push_without_blanks(&mut canonical, json);
    let hash = blake3::hash(&canonical);
    let (kept, _) = hash.as_bytes().as_chunks::<16>();
    format!("{:032x}", u128::from_be_bytes(kept[0]))
}

/// Appends JSON without the blanks outside of its texts.
fn push_without_blanks(canonical: &mut Vec<u8>, json: &[u8]) {
    // What is kept goes in runs: from `start` to the next blank.
    let (mut start, mut at) = (0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_text(json, at + 1),
            b' ' | b'\t' | b'\r' | b'\n' => {
                canonical.extend_from_slice(&json[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    canonical.extend_from_slice(&json[start..]);
}

/// Where the text ends that begins at `at`, past its closing quote.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(next) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if json[at + next] == b'"' {
            return at + next + 1;
        }
        // And what it escapes.
        at += next + 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What [`push_without_blanks`] says, byte by byte.
    fn without_blanks(json: &[u8]) -> Vec<u8> {
        let (mut in_text, mut escaped) = (false, false);
        let stays = |byte: &&u8| {
            if in_text {
                (in_text, escaped) = (escaped || **byte != b'"', !escaped && **byte == b'\\');
                return true;
            }
            in_text = **byte == b'"';
            !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
        };
        json.iter().filter(stays).copied().collect()
    }

    proptest! {
        /// Proves: whatever the bytes, also if they are no JSON, what is skipped are the blanks outside of texts.
        #[test]
        fn blanks_are_skipped_outside_of_texts_and_nothing_else(json in "[\"\\\\ \t\r\na{:,é]{0,40}") {
            let mut canonical = Vec::new();
            push_without_blanks(&mut canonical, json.as_bytes());
            prop_assert_eq!(canonical, without_blanks(json.as_bytes()));
        }
    }

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
            "41597067ff6231d1b4f3bf14c9d8c927"
        );
    }
}
