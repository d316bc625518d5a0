//! What a change is known by, and what it adds to a body.

use braze::Identifier;

use crate::hash::{quick_hash, quick_mix};
use crate::order::Key;

/// Grows with every change of [`keys`]: they are written to progress, for a successor that may be of another version.
pub const KEY_VERSION: u32 = 1;

/// Seeds of the hashes: a slug, a profile and a user of each kind of identifier do not share a name.
const SLUG: u64 = 0x9e37_79b9_7f4a_7c15;
const PROFILE: u64 = 0xbf58_476d_1ce4_e5b9;
const EXTERNAL_ID: u64 = 0x94d0_49bb_1331_11eb;
const BRAZE_ID: u64 = 0xd6e8_feb8_6659_fd93;
const ALIAS: u64 = 0xa076_1d64_78bd_642f;
const EMAIL: u64 = 0xe703_7ed1_a0b4_28db;
const PHONE: u64 = 0x8ebc_6af0_9c88_c6e3;

/// What [`Order`](crate::order::Order) knows a change by: its profile (a [`profile_key`]) and its user, each with the slug.
pub fn keys(identifier: &Identifier, profile: u64, attribute: &str, slug: &str) -> [Key; 2] {
    keys_of(user_key(identifier), profile, slug_key(attribute, slug))
}

/// The first of them: the profile with the slug.
pub fn key_of_profile(profile: u64, attribute: &str, slug: &str) -> Key {
    quick_mix(profile, slug_key(attribute, slug))
}

/// The same of a [`user_key`] and a [`slug_key`].
pub(super) fn keys_of(user: u64, profile: u64, slug: u64) -> [Key; 2] {
    [quick_mix(profile, slug), quick_mix(user, slug)]
}

/// One slug in two attributes is two values, which do not wait for each other. In the attribute that there was first it is known
/// by what it was before there were others.
pub(super) fn slug_key(attribute: &str, slug: &str) -> u64 {
    let seed = match attribute {
        control::ATTRIBUTE => SLUG,
        other => quick_hash(SLUG, other.as_bytes()),
    };
    quick_hash(seed, slug.as_bytes())
}

/// What a profile is known by.
pub fn profile_key(profile_id: &[u8]) -> u64 {
    quick_hash(PROFILE, profile_id)
}

/// What a user is known by.
#[inline(always)]
pub(crate) fn user_key(identifier: &Identifier) -> u64 {
    match identifier {
        Identifier::ExternalId(id) => quick_hash(EXTERNAL_ID, id.as_bytes()),
        Identifier::BrazeId(id) => quick_hash(BRAZE_ID, id.as_bytes()),
        Identifier::Alias { label, name } => quick_hash(quick_hash(ALIAS, label.as_bytes()), name.as_bytes()),
        Identifier::Email(address) => quick_hash(EMAIL, address.as_bytes()),
        Identifier::Phone(number) => quick_hash(PHONE, number.as_bytes()),
    }
}

/// What an object adds to the body besides its slugs, at most.
#[inline]
pub(super) fn identifier_json_bytes(identifier: &Identifier) -> usize {
    const REST: usize = br#","_update_existing_only":true,"lytics_segments":{"add":[],"remove":[]}},"#.len();
    REST + match identifier {
        Identifier::ExternalId(id) => br#"{"external_id":"#.len() + json_bytes(id),
        Identifier::BrazeId(id) => br#"{"braze_id":"#.len() + json_bytes(id),
        Identifier::Alias { label, name } => {
            br#"{"user_alias":{"alias_name":"alias_label":}"#.len() + json_bytes(label) + json_bytes(name)
        }
        Identifier::Email(address) => br#"{"email":"#.len() + json_bytes(address),
        Identifier::Phone(number) => br#"{"phone":"#.len() + json_bytes(number),
    }
}

/// What a slug's attribute adds to the body if it is not the one that every object is reckoned with.
pub(super) fn attribute_json_bytes(attribute: &str) -> usize {
    match attribute {
        control::ATTRIBUTE => 0,
        other => json_bytes(other) + br#":{"add":[],"remove":[]}"#.len(),
    }
}

/// Length of a text as a JSON string with a comma: quotes and escapes included, never too short.
pub(super) fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    if braze::is_plain(text) {
        3 + text.len()
    } else {
        3 + text.bytes().map(escaped).sum::<usize>()
    }
}
