//! Values of profile events as people read them.

use proto::profile::v1::value::Kind;
use serde_json::{Value, json};

/// A value as JSON has it; times by RFC 3339.
pub(crate) fn readable(kind: &Kind) -> Value {
    match kind {
        Kind::StringValue(text) => json!(text),
        Kind::BoolValue(value) => json!(value),
        Kind::IntValue(value) => json!(value),
        Kind::NumberValue(value) => json!(value),
        Kind::DateValue(date) => json!(time(date)),
        Kind::StringList(list) | Kind::TimedStringList(list) => json!(list.values),
        Kind::TimeList(list) => list.values.iter().map(time).collect(),
        Kind::IntMap(map) | Kind::IntSumMap(map) => json!(map.values),
        Kind::NumberMap(map) => json!(map.values),
        Kind::StringMap(map) => json!(map.values),
        Kind::TimeMap(map) => map
            .values
            .iter()
            .map(|(key, value)| (key.clone(), time(value)))
            .collect(),
        Kind::BoolMap(map) => json!(map.values),
    }
}

/// A time by RFC 3339; `None` if it is none.
pub(crate) fn time(time: &prost_types::Timestamp) -> Option<String> {
    Some(model::time::from_wire(time)?.to_string())
}
