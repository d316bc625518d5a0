//! Who a record is about.
//!
//! Identities are the values of the mapping's `BY` fields, in that order, every value of a list; the first one keys the
//! record, so that one person's events stay in order. A value over 256 bytes (Lytics' limit) or of blanks alone is left out
//! of the event altogether, and counted. A record without any identity is about nobody: Lytics keeps it as a raw event that
//! no profile has, we keep it on the rejected topic.

use proto::profile::v1::value::Kind;
use proto::profile::v1::{ProfileEvent, Value};

use super::event::{Field, Identities, Identity, Typed, key};

/// Bytes of an identity's value, at most.
const IDENTITY_BYTES_MAX: usize = 256;

fn is_usable(text: &str) -> bool {
    text.len() <= IDENTITY_BYTES_MAX && text.contains(|c: char| !c.is_whitespace())
}

/// Takes the values out of `value` that cannot identify anybody, and counts them. Whether anything is left.
pub(super) fn keep_usable(value: &mut Typed<'_>, dropped: &mut usize) -> bool {
    let mut keep = |text: &str| {
        let usable = is_usable(text);
        *dropped += usize::from(!usable);
        usable
    };
    match value {
        Typed::Text(text) => keep(text),
        Typed::Other(Value {
            kind: Some(Kind::StringList(list)),
        }) => {
            list.values.retain(|text| keep(text));
            !list.values.is_empty()
        }
        Typed::Other(_) => true,
    }
}

/// Adds the other of two values that are one person's behind the one that is there, as the same field's.
pub(super) fn link<'e>(identities: &mut Identities<'e>, [one, other]: &'e [String; 2]) {
    for (there, missing) in [(one, other), (other, one)] {
        let Some(place) = identities.iter().position(|identity| identity.value == *there) else {
            continue;
        };
        let added = Identity {
            field: identities[place].field,
            value: missing,
        };
        if is_usable(missing) && !identities.contains(&added) {
            identities.insert(place + 1, added);
        }
        return;
    }
}

/// Adds the identities that a `BY` field gives, if it is there.
pub(super) fn push<'e>(identities: &mut Identities<'e>, field: Option<&'e Field<'e>>) {
    let Some(Field { column, value }) = field else { return };
    let field = column.field.as_str();
    match value {
        Typed::Text(value) => identities.push(Identity { field, value }),
        Typed::Other(Value {
            kind: Some(Kind::StringList(list)),
        }) => identities.extend(list.values.iter().map(|value| Identity { field, value })),
        Typed::Other(_) => {}
    }
}

/// The Kafka key of an event: its first identity as `<field>:<value>`. Empty if it has none, which no event of
/// [`normalize`](super::normalize()) does.
pub fn record_key(event: &ProfileEvent) -> String {
    let first = event.identities.first();
    first.map_or_else(String::new, |first| key(&first.field, &first.value))
}
