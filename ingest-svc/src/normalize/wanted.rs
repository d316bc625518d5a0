//! What of a record's fields somebody wants.

use std::borrow::Cow;

use super::activity::EVENT_TYPE;
use super::flatten::Sink;
use super::value::{Entry, Value};
use super::{Mapping, RawRecord};

/// What a record has in a field.
#[derive(Clone, Debug)]
pub(super) enum Slot<'r> {
    /// Nothing, or it does not have the field.
    Empty,
    /// A text that it lends, as most do: there is nothing to be freed.
    Text(&'r str),
    Other(Value<'r>),
}

impl<'r> From<Value<'r>> for Slot<'r> {
    #[inline(always)]
    fn from(value: Value<'r>) -> Self {
        match value {
            // Taken apart by one step after the other, so that nothing is left to be dropped.
            Value::Text(text) => match text {
                Cow::Borrowed(text) => Self::Text(text),
                Cow::Owned(text) => Self::Other(text.into()),
            },
            Value::List(items) if items.is_empty() => Self::Empty,
            value => Self::Other(value),
        }
    }
}

impl Slot<'_> {
    /// The value without copying anything, if there is one.
    pub(super) fn lend(&self) -> Option<Value<'_>> {
        match self {
            Self::Empty => None,
            Self::Text(text) => Some(Value::from(*text)),
            Self::Other(value) => Some(value.lend()),
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(Value::Text(text)) => Some(text),
            Self::Empty | Self::Other(_) => None,
        }
    }
}

/// The fields of a record that its mapping or its sender names.
pub(super) struct Wanted<'r> {
    mapping: &'r Mapping,
    timestamp_field: Option<&'r str>,
    /// By slot.
    pub(super) values: Vec<Slot<'r>>,
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
        values.resize_with(slots, || Slot::Empty);
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
        if !is_empty && self.mapping.may_match(path) {
            self.matched.push((path.to_owned().into(), value.clone()));
        }
        if let Some(slot) = self.mapping.sources().slot(path) {
            self.values[slot] = value.into();
        }
    }
}
