//! Webhook bodies as Braze sends them, each beside what must become of it: `tests/fixtures/webhooks/<name>.json` and
//! `<name>.expected.json`. A new pair of files is a new test. The expectations are written by hand.
//!
//! An expectation holds either `key` and `fields`, all of them in order, dates by RFC 3339; or `reason`, which begins what
//! the sender is told.

use std::path::Path;

use ingest_svc::normalize::{Mapping, record_key};
use serde_json::{Value, json};

use super::{run, text};

#[test]
fn every_sample_webhook_becomes_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webhooks");
    let mut samples = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let expected = entry.unwrap().path();
        let Some(name) = expected.to_str().and_then(|path| path.strip_suffix(".expected.json")) else {
            continue;
        };
        let body =
            std::fs::read_to_string(format!("{name}.json")).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        let expected: Value = serde_json::from_slice(&std::fs::read(&expected).unwrap()).unwrap();
        match run(Mapping::braze_users(), &body) {
            Ok(normalized) => {
                let key = record_key(&normalized.event);
                let fields: Vec<Value> = normalized
                    .event
                    .fields
                    .into_iter()
                    .map(|field| json!({ field.name: text(field.value.unwrap().kind.unwrap()) }))
                    .collect();
                assert_eq!(json!({"key": key, "fields": fields}), expected, "{name}");
            }
            Err(reason) => {
                let begins = expected["reason"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name} was rejected: {reason}"));
                assert!(reason.to_string().starts_with(begins), "{name}: {reason}");
            }
        }
        samples += 1;
    }
    let bodies = std::fs::read_dir(&folder).unwrap().count() - samples;
    assert_eq!(samples, bodies, "every body has its expectation");
    assert!(samples > 0);
}
