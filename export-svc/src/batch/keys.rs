//! What a change is known by, and what it adds to a body.

use braze::Identifier;

use crate::hash::quick_hash;
use crate::order::Key;

/// What [`Order`](crate::order::Order) knows a change by: its profile and its user, each with the slug.
pub fn keys(identifier: &Identifier, profile_id: &str, slug: &str) -> [Key; 2] {
    keys_of(identifier, profile_key(profile_id), slug)
}

/// The same of a [`profile_key`].
pub(super) fn keys_of(identifier: &Identifier, profile: u64, slug: &str) -> [Key; 2] {
    let slug = slug.as_bytes();
    [
        quick_hash(&[&profile.to_le_bytes(), slug]),
        identifier_key(identifier, slug),
    ]
}

pub(super) fn profile_key(profile_id: &str) -> u64 {
    quick_hash(&[b"profile", profile_id.as_bytes()])
}

/// The (user, slug) of an identifier: kinds of identifiers do not share a name.
fn identifier_key(identifier: &Identifier, slug: &[u8]) -> Key {
    match identifier {
        Identifier::ExternalId(id) => quick_hash(&[b"external_id", id.as_bytes(), slug]),
        Identifier::BrazeId(id) => quick_hash(&[b"braze_id", id.as_bytes(), slug]),
        Identifier::Alias { label, name } => quick_hash(&[b"alias", label.as_bytes(), name.as_bytes(), slug]),
    }
}

/// What an object adds to the body besides its slugs, at most.
pub(super) fn identifier_json_bytes(identifier: &Identifier) -> usize {
    const REST: usize = br#","_update_existing_only":true,"lytics_segments":{"add":[],"remove":[]}},"#.len();
    REST + match identifier {
        Identifier::ExternalId(id) => br#"{"external_id":"#.len() + json_bytes(id),
        Identifier::BrazeId(id) => br#"{"braze_id":"#.len() + json_bytes(id),
        Identifier::Alias { label, name } => {
            br#"{"user_alias":{"alias_name":"alias_label":}"#.len() + json_bytes(label) + json_bytes(name)
        }
    }
}

/// Length of a text as a JSON string with a comma: quotes and escapes included, never too short.
pub(super) fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    3 + text.bytes().map(escaped).sum::<usize>()
}
