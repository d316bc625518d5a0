//! The text of a mapping: all of its problems lie within it, and what can be compiled maps a record.
#![no_main]

use fuzz::map_json;
use ingest_svc::normalize::Mapping;
use libfuzzer_sys::fuzz_target;

const RECORD: &str = include_str!("../../../ingest-svc/tests/fixtures/webhooks/every-field.json");

fuzz_target!(|text: &str| {
    match Mapping::parse(text) {
        Ok(mapping) => map_json(&mapping, RECORD.as_bytes()),
        Err(problems) => assert!(!problems.is_empty()),
    }
});
