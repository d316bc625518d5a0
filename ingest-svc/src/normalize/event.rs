//! What a mapping made of a record, lent by both: as the contract's message, or as its bytes straight away.

mod encode;

use std::borrow::Cow;

use jiff::Timestamp;
use proto::profile::v1::value::Kind as TypedKind;
use proto::profile::v1::{self, Activity, ProfileEvent};
use smallvec::SmallVec;

use super::event_id::EventId;
use super::kind::proto_timestamp;
use super::{Column, Mapping};
pub(super) use encode::Frame;

/// A profile event in the making.
#[derive(Debug)]
pub(super) struct Event<'e> {
    pub(super) id: EventId,
    pub(super) account: u64,
    pub(super) stream: &'e str,
    pub(super) mapping: &'e Mapping,
    pub(super) event_time: Option<Timestamp>,
    pub(super) receive_time: Timestamp,
    /// In the order of `BY`.
    pub(super) identities: &'e [Identity<'e>],
    /// In the order of the mapping's columns.
    pub(super) fields: &'e [Field<'e>],
    pub(super) activity: Option<Box<Activity>>,
}

/// Most mappings name no more.
pub(super) type Identities<'e> = SmallVec<[Identity<'e>; 4]>;

/// Most mappings have no more.
pub(super) type Fields<'e> = SmallVec<[Field<'e>; 16]>;

/// A field that identifies a person, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity<'e> {
    pub(super) field: &'e str,
    pub(super) value: &'e str,
}

/// A column that has a value.
#[derive(Debug)]
pub(super) struct Field<'e> {
    pub(super) column: &'e Column,
    pub(super) value: Typed<'e>,
}

/// A value of the contract.
#[derive(Clone, Debug)]
pub(super) enum Typed<'e> {
    /// A text, which most are.
    Text(Cow<'e, str>),
    Other(v1::Value),
}

impl From<TypedKind> for Typed<'_> {
    fn from(kind: TypedKind) -> Self {
        Self::Other(v1::Value { kind: Some(kind) })
    }
}

impl Typed<'_> {
    /// As the contract has it.
    pub(super) fn message(&self) -> v1::Value {
        match self {
            Self::Text(text) => v1::Value {
                kind: Some(TypedKind::StringValue(text.clone().into_owned())),
            },
            Self::Other(value) => value.clone(),
        }
    }
}

impl Event<'_> {
    /// The Kafka key: the first identity as `<field>:<value>`. Empty if it has none, which no event of
    /// [`normalize`](super::normalize()) does.
    pub(super) fn key(&self) -> String {
        let first = self.identities.first();
        first.map_or_else(String::new, |first| key(first.field, first.value))
    }

    /// As the contract has it.
    pub(super) fn message(self) -> ProfileEvent {
        let identity = |identity: &Identity<'_>| v1::Identity {
            field: identity.field.to_owned(),
            value: identity.value.to_owned(),
        };
        let field = |field: &Field<'_>| v1::Field {
            name: field.column.field.clone(),
            value: Some(field.value.message()),
            merge_operator: field.column.merge_operator.into(),
        };
        ProfileEvent {
            event_id: self.id.to_string(),
            account: self.account,
            stream: self.stream.to_owned(),
            event_time: self.event_time.map(proto_timestamp),
            receive_time: Some(proto_timestamp(self.receive_time)),
            mapping: self.mapping.alias().to_owned(),
            mapping_version: self.mapping.version(),
            identities: self.identities.iter().map(identity).collect(),
            fields: self.fields.iter().map(field).collect(),
            activity: self.activity,
        }
    }
}

/// The Kafka key of whom a field and its value identify.
pub(super) fn key(field: &str, value: &str) -> String {
    let mut key = String::with_capacity(field.len() + 1 + value.len());
    key.push_str(field);
    key.push(':');
    key.push_str(value);
    key
}
