//! What of a record's fields somebody wants.

use super::activity::EVENT_TYPE;
use super::flatten::Sink;
use super::value::{Entry, Value};
use super::{Mapping, RawRecord};

/// The fields of a record that its mapping or its sender names.
pub(super) struct Wanted<'r> {
    mapping: &'r Mapping,
    timestamp_field: Option<&'r str>,
    /// By slot; `None` if the record does not have it, or has nothing in it.
    pub(super) values: Vec<Option<Value<'r>>>,
    /// Those that a call of `match` may ask for, in the order of the record.
    pub(super) matched: Vec<Entry<'r>>,
    /// What the sender's `timestamp_field` says.
    pub(super) time: Option<Value<'r>>,
    /// Whether the record may tell of an activity.
    pub(super) has_event_type: bool,
}

impl<'r> Wanted<'r> {
    pub(super) fn new(mapping: &'r Mapping, raw: &RawRecord<'r>) -> Self {
        let slots = mapping.sources().len();
        let mut values = Vec::with_capacity(slots);
        values.resize_with(slots, || None);
        Self {
            mapping,
            timestamp_field: raw.timestamp_field,
            values,
            matched: Vec::new(),
            time: None,
            has_event_type: false,
        }
    }
}

impl<'r> Sink<'r> for Wanted<'r> {
    #[inline(always)]
    fn field(&mut self, path: &str, value: Value<'r>) {
        self.has_event_type |= path == EVENT_TYPE;
        if self.timestamp_field == Some(path) {
            self.time = Some(value.clone());
        }
        let is_empty = matches!(&value, Value::List(items) if items.is_empty());
        let value = (!is_empty).then_some(value);
        if self.mapping.may_match(path) {
            let entry = value.clone().map(|value| (path.to_owned().into(), value));
            self.matched.extend(entry);
        }
        if let Some(slot) = self.mapping.sources().slot(path) {
            self.values[slot] = value;
        }
    }
}
