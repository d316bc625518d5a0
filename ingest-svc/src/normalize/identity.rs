//! Who a record is about.
//!
//! Identities are the values of the mapping's `BY` fields, in that order, every value of a list; the first one keys the
//! record, so that one person's events stay in order. A value over 256 bytes (Lytics' limit) or of blanks alone is left out
//! of the event altogether, and counted. A record without any identity is about nobody: Lytics keeps it as a raw event that
//! no profile has, we keep it on the rejected topic.

use proto::profile::v1::value::Kind;
use proto::profile::v1::{Field, Identity, ProfileEvent, Value};

/// Bytes of an identity's value, at most.
const IDENTITY_BYTES_MAX: usize = 256;

fn is_usable(text: &str) -> bool {
    text.len() <= IDENTITY_BYTES_MAX && !text.trim().is_empty()
}

/// Takes the values out of `value` that cannot identify anybody. `None` if nothing is left; counts what was taken.
pub(super) fn usable(value: Value, dropped: &mut usize) -> Option<Value> {
    let mut keep = |text: &str| {
        let usable = is_usable(text);
        *dropped += usize::from(!usable);
        usable
    };
    match value.kind? {
        Kind::StringValue(text) if !keep(&text) => None,
        Kind::StringList(mut list) => {
            list.values.retain(|text| keep(text));
            (!list.values.is_empty()).then_some(Value {
                kind: Some(Kind::StringList(list)),
            })
        }
        kind => Some(Value { kind: Some(kind) }),
    }
}

/// Adds the other of two values that are one person's behind the one that is there, as the same field's.
pub(super) fn link(identities: &mut Vec<Identity>, [one, other]: &[String; 2]) {
    for (there, missing) in [(one, other), (other, one)] {
        let Some(place) = identities.iter().position(|identity| identity.value == *there) else {
            continue;
        };
        let added = Identity {
            field: identities[place].field.clone(),
            value: missing.clone(),
        };
        if is_usable(missing) && !identities.contains(&added) {
            identities.insert(place + 1, added);
        }
        return;
    }
}

/// Adds the identities that a `BY` field gives.
pub(super) fn push(identities: &mut Vec<Identity>, field: &Field) {
    let texts = match field.value.as_ref().and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => std::slice::from_ref(text),
        Some(Kind::StringList(list)) => &list.values,
        _ => &[],
    };
    identities.extend(texts.iter().map(|text| Identity {
        field: field.name.clone(),
        value: text.clone(),
    }));
}

/// The Kafka key of an event: its first identity as `<field>:<value>`. Empty if it has none, which no event of
/// [`normalize`](super::normalize()) does.
pub fn record_key(event: &ProfileEvent) -> String {
    event
        .identities
        .first()
        .map(|first| format!("{}:{}", first.field, first.value))
        .unwrap_or_default()
}
