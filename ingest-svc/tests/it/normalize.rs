//! Normalizing, seen from outside: statements and records in, events out. No broker, no network.

mod activity;
mod allocations;
mod dates;
mod email;
mod events;
mod fixtures;
mod functions;
mod kinds;
mod layouts;
mod lql;
mod operators;
mod page;
mod problems;
mod properties;
mod robust;
mod tested;

use ingest_svc::normalize::{Mapping, Normalized, RawRecord, Reason, encode, record_key};
use jiff::Timestamp;
use prost::Message;
use proto::profile::v1::value::Kind;

/// 2026-03-10T12:00:00.25Z: when every record of these tests arrives.
const RECEIVED: Timestamp = Timestamp::constant(1_773_144_000, 250_000_000);

/// Normalizes a record, and sees to it that what is published is the same event, in the bytes that prost writes.
fn normalize(mapping: &Mapping, raw: &RawRecord<'_>, received: Timestamp) -> Result<Normalized, Reason> {
    let normalized = ingest_svc::normalize::normalize(mapping, raw, received);
    let json = String::from_utf8_lossy(raw.json);
    match (&normalized, encode(mapping, raw, received)) {
        (Ok(normalized), Ok(encoded)) => {
            let event = &normalized.event;
            assert_eq!(encoded.payload, event.encode_to_vec(), "{json}");
            assert_eq!(encoded.key, record_key(event), "{json}");
            assert_eq!(encoded.event_id.as_str(), event.event_id, "{json}");
            assert_eq!(encoded.identities_dropped, normalized.identities_dropped, "{json}");
        }
        (Err(reason), Err(other)) => assert_eq!(*reason, other, "{json}"),
        (normalized, encoded) => panic!("{json}: {normalized:?} but {encoded:?}"),
    }
    normalized
}

/// Normalizes a record of account 1234 for the mapping's stream.
fn run(mapping: &Mapping, json: &str) -> Result<Normalized, Reason> {
    let raw = RawRecord {
        account: 1234,
        stream: mapping.stream(),
        json: json.as_bytes(),
        timestamp_field: None,
    };
    normalize(mapping, &raw, RECEIVED)
}

/// What an expression gives for the fields of a record, a JSON object.
fn evaluate(expression: &str, kind: &str, record: &impl std::fmt::Display) -> Option<Kind> {
    let text = format!("SELECT \"me\" AS id, {expression} AS value {kind} FROM s INTO user BY id ALIAS a");
    let mapping = Mapping::parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let mut fields = run(&mapping, &record.to_string()).unwrap().event.fields;
    assert_eq!(fields.remove(0).name, "id");
    fields.pop()?.value?.kind
}

/// What an expression without fields gives, as text; dates by RFC 3339.
fn constant(expression: &str) -> Option<String> {
    evaluate(expression, "", &serde_json::json!({})).map(text)
}

/// What an expression gives when the field `x` is a text.
fn of_text(expression: &str, x: &str) -> Option<String> {
    evaluate(expression, "", &serde_json::json!({ "x": x })).map(text)
}

/// Lists with a bar between items, maps as `key=value` in the order of their keys.
fn text(kind: Kind) -> String {
    let date = |date: prost_types::Timestamp| Timestamp::new(date.seconds, date.nanos).unwrap().to_string();
    match kind {
        Kind::StringValue(text) => text,
        Kind::BoolValue(bool) => bool.to_string(),
        Kind::IntValue(int) => int.to_string(),
        Kind::NumberValue(number) => number.to_string(),
        Kind::DateValue(moment) => date(moment),
        Kind::StringList(list) | Kind::TimedStringList(list) => list.values.join("|"),
        Kind::TimeList(list) => list.values.into_iter().map(date).collect::<Vec<_>>().join("|"),
        Kind::IntMap(map) | Kind::IntSumMap(map) => entries(map.values, |int| int.to_string()),
        Kind::NumberMap(map) => entries(map.values, |number| number.to_string()),
        Kind::StringMap(map) => entries(map.values, |text| text),
        Kind::TimeMap(map) => entries(map.values, date),
        Kind::BoolMap(map) => entries(map.values, |bool| bool.to_string()),
    }
}

fn entries<T>(map: std::collections::BTreeMap<String, T>, print: impl Fn(T) -> String) -> String {
    let entries = map.into_iter().map(|(key, value)| format!("{key}={}", print(value)));
    entries.collect::<Vec<_>>().join("|")
}
