//! What the targets share. Each target takes any bytes, and fails if anything panics, takes too long, or needs too much memory.

use ingest_svc::normalize::{Mapping, RawRecord, encode, normalize, record_key, test};
use ingest_svc::source::Raw;
use jiff::Timestamp;
use prost::Message;

/// Records of a request, at most.
pub const RECORDS_MAX: usize = 1_000;

/// Maps a record as a source found it, and looks at what comes out.
pub fn map(mapping: &Mapping, raw: &Raw) {
    if raw.unusable.is_none() {
        map_json(mapping, &raw.json);
    }
}

/// Maps what may be a JSON object: twice, which gives the same, once as it is published, and once to be told why.
///
/// # Panics
/// If what comes out breaks a promise.
pub fn map_json(mapping: &Mapping, json: &[u8]) {
    let raw = RawRecord {
        account: 1234,
        stream: mapping.stream(),
        json,
        timestamp_field: Some("time"),
    };
    let normalized = normalize(mapping, &raw, Timestamp::UNIX_EPOCH);
    assert_eq!(normalized, normalize(mapping, &raw, Timestamp::UNIX_EPOCH));
    let encoded = encode(mapping, &raw, Timestamp::UNIX_EPOCH);
    assert_eq!(encoded.is_ok(), normalized.is_ok());
    let _explained = test(mapping, &raw, Timestamp::UNIX_EPOCH);
    if let Ok(normalized) = normalized {
        assert!(!record_key(&normalized.event).is_empty());
        assert!(
            normalized
                .event
                .identities
                .iter()
                .all(|identity| identity.value.len() <= 256)
        );
        let encoded = encoded.expect("both or neither");
        assert_eq!(encoded.payload, normalized.event.encode_to_vec());
        assert_eq!(encoded.key, record_key(&normalized.event));
    }
}
