//! Custom attribute values (reference §3.4). Nothing here reports an error: what Braze does not take is simply not
//! written, as the published rules have it.

use serde_json::{Map, Value};

use crate::settings::{AttributeType, Settings};

/// Longest attribute name and string value, in characters.
const CHARACTERS_MAX: usize = 255;

/// Writes one custom attribute and says whether it was written: changed or not, a write is a data point.
pub(super) fn write(
    attributes: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    merge: bool,
    settings: &Settings,
) -> bool {
    let name = name.trim();
    if name.is_empty() || too_long(name) || settings.blocked_attributes.contains(name) {
        return false;
    }
    if value.is_null() {
        attributes.remove(name);
        return true;
    }
    let change = Change::of(value);
    if settings
        .attribute_types
        .get(name)
        .is_some_and(|forced| *forced != change.writes())
    {
        return false;
    }
    let Some(new) = change.applied_to(attributes.get(name), merge, name, settings) else {
        return false;
    };
    // Removing from an attribute that is not there leaves it so.
    if !(matches!(change, Change::Edit { .. }) && new == Value::Array(Vec::new()) && !attributes.contains_key(name)) {
        attributes.insert(name.to_owned(), new);
    }
    true
}

/// What a value in a request asks for.
enum Change<'a> {
    Set(&'a Value),
    Array(&'a [Value]),
    Edit { add: &'a [Value], remove: &'a [Value] },
    Increment(i64),
    Object(&'a Map<String, Value>),
}

impl<'a> Change<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Array(values) => Self::Array(values),
            Value::Object(object) => Self::of_object(object),
            other => Self::Set(other),
        }
    }

    fn of_object(object: &'a Map<String, Value>) -> Self {
        if let (1, Some(by)) = (object.len(), object.get("inc").and_then(Value::as_i64)) {
            return Self::Increment(by);
        }
        let list = |key| {
            object
                .get(key)
                .map_or(Some(&[][..]), |value: &Value| value.as_array().map(Vec::as_slice))
        };
        match (list("add"), list("remove")) {
            (Some(add), Some(remove)) if is_edit(object) => Self::Edit { add, remove },
            _ => Self::Object(object),
        }
    }

    fn writes(&self) -> AttributeType {
        match self {
            Self::Set(Value::String(_)) => AttributeType::String,
            Self::Set(Value::Bool(_)) => AttributeType::Boolean,
            Self::Set(_) | Self::Increment(_) => AttributeType::Number,
            Self::Array(_) | Self::Edit { .. } => AttributeType::Array,
            Self::Object(_) => AttributeType::Object,
        }
    }

    /// The new value, or none if the old one stays.
    fn applied_to(&self, old: Option<&Value>, merge: bool, name: &str, settings: &Settings) -> Option<Value> {
        match *self {
            Self::Set(value) => fits(value).then(|| value.clone()),
            Self::Array(values) => Some(capped(unique(values), name, settings)),
            Self::Edit { add, remove } => {
                let mut values = old.and_then(Value::as_array).cloned().unwrap_or_default();
                values.retain(|value| !remove.contains(value));
                for value in add.iter().filter(|value| fits(value)) {
                    values.retain(|held| held != value);
                    values.push(value.clone());
                }
                Some(capped(values, name, settings))
            }
            Self::Increment(by) => {
                let held = old.map_or(Some(0), Value::as_i64)?;
                held.checked_add(by).map(Value::from)
            }
            Self::Object(object) => {
                let new = match old {
                    Some(Value::Object(held)) if merge => merged(held.clone(), object),
                    _ => object.clone(),
                };
                let new = Value::Object(new);
                (object.values().all(nested_fits) && nested_names(object) && bytes(&new) <= settings.value_bytes_max)
                    .then_some(new)
            }
        }
    }
}

fn is_edit(object: &Map<String, Value>) -> bool {
    !object.is_empty() && object.keys().all(|key| key == "add" || key == "remove")
}

/// Each value once, where it first stood.
fn unique(values: &[Value]) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| fits(value)) {
        if !kept.contains(value) {
            kept.push(value.clone());
        }
    }
    kept
}

/// The newest values that fit: the oldest, at the front, go.
fn capped(mut values: Vec<Value>, name: &str, settings: &Settings) -> Value {
    let max = settings
        .array_values_max_by_attribute
        .get(name)
        .copied()
        .unwrap_or(settings.array_values_max);
    let mut left = settings.value_bytes_max;
    let by_bytes = values.iter().rev().take_while(|value| {
        let size = bytes(value);
        let room = size <= left;
        left = left.saturating_sub(size);
        room
    });
    let keep = by_bytes.count().min(max);
    values.drain(..values.len() - keep);
    Value::Array(values)
}

/// How long a value is: the text itself, or the JSON of anything else.
fn bytes(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().len(), str::len)
}

fn fits(value: &Value) -> bool {
    !value.as_str().is_some_and(too_long)
}

fn too_long(text: &str) -> bool {
    text.chars().count() > CHARACTERS_MAX
}

/// One bad value, a null or a `$time` that is none, spoils all nested updates of the attribute.
fn nested_fits(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(object) => match object.get("$time") {
            Some(time) => object.len() == 1 && time.as_str().is_some_and(is_time),
            None => nested_names(object) && object.values().all(nested_fits),
        },
        Value::Array(values) => values.iter().all(nested_fits),
        other => fits(other),
    }
}

fn nested_names(object: &Map<String, Value>) -> bool {
    object.keys().all(|key| !key.contains(['.', '$', ' ']))
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok()
}

fn merged(mut into: Map<String, Value>, from: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in from {
        let value = match (into.remove(key), value) {
            (Some(Value::Object(held)), Value::Object(new)) if !new.contains_key("$time") => {
                Value::Object(merged(held, new))
            }
            (_, value) => value.clone(),
        };
        into.insert(key.clone(), value);
    }
    into
}
