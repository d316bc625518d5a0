//! Hashes, encodings and unique ids. A list counts by its first item; what is empty gives no value.

use std::fmt::Write as _;
use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use siphasher::sip::SipHasher24;

use super::super::expression::Arguments;
use super::{Function, Kind, Prepared, Value, filled};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("hash.md5", (1, 1), Kind::Text, |arguments| hex::<Md5>(&arguments)),
    Function::new("hash.sha1", (1, 1), Kind::Text, |arguments| hex::<Sha1>(&arguments)),
    Function::new("hash.sha256", (1, 1), Kind::Text, |arguments| hex::<Sha256>(&arguments)),
    Function::new("hash.sha512", (1, 1), Kind::Text, |arguments| hex::<Sha512>(&arguments)),
    Function::new("hash.sip", (1, 1), Kind::Int, sip),
    Function::new("hash", (1, 1), Kind::Int, sip),
    Function::new("encoding.b64encode", (1, 1), Kind::Text, |arguments| {
        Some(STANDARD.encode(&*filled(&arguments, 0)?).into())
    }),
    Function::new("encoding.b64decode", (1, 1), Kind::Text, |arguments| {
        let bytes = STANDARD.decode(&*filled(&arguments, 0)?).ok()?;
        Some(String::from_utf8(bytes).ok()?.into())
    }),
    Function::new("uuid", (0, 0), Kind::Text, |arguments| Some(uuid(arguments).into()))
        .prepared(|place, _| Ok(Prepared::Place(place))),
];

/// Lower-case hexadecimal digits.
fn hex<'e, D: Digest>(arguments: &Arguments<'e>) -> Option<Value<'e>> {
    let mut text = String::new();
    for byte in D::digest(filled(arguments, 0)?.as_bytes()) {
        // Writing to a `String` cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    Some(text.into())
}

/// SipHash-2-4 with the keys 0 and 1, with a sign.
fn sip(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let mut hasher = SipHasher24::new_with_keys(0, 1);
    hasher.write(filled(&arguments, 0)?.as_bytes());
    Some(Value::Int(hasher.finish().cast_signed()))
}

/// A text in the form of a random UUID. It is drawn from the record and the place of the call, so that a record that is
/// repeated keeps it.
fn uuid(arguments: Arguments<'_>) -> String {
    let place = match arguments.prepared {
        Prepared::Place(place) => *place,
        _ => 0,
    };
    let hash = Sha256::digest(format!("{place} {}", arguments.scope.event_id));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
