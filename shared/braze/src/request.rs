//! The body of `POST /users/track`, written straight into one buffer.

use std::ops::Range;

use bytes::Bytes;

use crate::attribute::AttributeName;
use crate::json::push_text;

/// Objects in one request, all arrays together, by Braze's current contracts.
pub const OBJECTS_MAX: usize = 75;
/// Bytes of one request body. Braze says "4 MB"; the smaller reading is safe under both.
pub const BODY_BYTES_MAX: usize = 4_000_000;
/// Bytes of an external id; Braze refuses the object for good above it.
pub const EXTERNAL_ID_BYTES_MAX: usize = 987;
/// How an object says which user it is about: exactly one of these per object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// The customer's own id. An unknown one creates a user, unless the object is for existing users only.
    ExternalId(String),
    /// Braze's id. An unknown one never creates a user.
    BrazeId(String),
    /// A (label, name) pair. An unknown one never creates a user.
    Alias {
        /// The kind of alias, the same for a whole export job.
        label: String,
        /// The value for this user.
        name: String,
    },
}

/// A finished request body and how many objects it holds.
#[derive(Debug, Clone)]
pub struct Track {
    body: Bytes,
    objects: usize,
}

impl Track {
    /// A request without objects: no user is touched and no data point used. Braze refuses it with 400 if the key is good,
    /// with 401 or 403 if not.
    pub fn probe() -> Self {
        Self {
            body: Bytes::from_static(b"{}"),
            objects: 0,
        }
    }

    /// The JSON text.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Number of objects, which is also the number of verdicts an answer gives.
    pub fn objects(&self) -> usize {
        self.objects
    }
}

/// The object did not fit; the builder is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The request already holds as many objects as it may.
    #[error("the request holds as many objects as it may")]
    Objects,
    /// The body would be longer than it may.
    #[error("the request body would be longer than it may")]
    Bytes,
}

/// Writes one request body, object by object.
#[derive(Debug)]
pub struct TrackBuilder<'a> {
    attribute: &'a AttributeName,
    buffer: Vec<u8>,
    objects: usize,
    objects_max: usize,
    bytes_max: usize,
    last: Last,
}

/// The last object that adds or removes one value: nearly every object does, and most as the one before. Their ends are the same.
#[derive(Debug, Default)]
struct Last {
    value: String,
    add: bool,
    /// Where its end is in the buffer: everything behind the identifier.
    end: Range<usize>,
}

/// What a full body takes, nearly always.
const BODY_BYTES_USUAL: usize = 12 << 10;
const HEAD: &[u8] = br#"{"attributes":["#;
const TAIL: &[u8] = b"]}";

impl<'a> TrackBuilder<'a> {
    /// An empty body with limits of its own, each at least 1 object and at most Braze's ([`OBJECTS_MAX`], [`BODY_BYTES_MAX`]).
    pub fn new(attribute: &'a AttributeName, objects_max: usize, bytes_max: usize) -> Self {
        let mut buffer = Vec::with_capacity(BODY_BYTES_USUAL.min(bytes_max));
        buffer.extend_from_slice(HEAD);
        Self {
            attribute,
            buffer,
            objects: 0,
            objects_max: objects_max.clamp(1, OBJECTS_MAX),
            bytes_max: bytes_max.min(BODY_BYTES_MAX),
            last: Last::default(),
        }
    }

    /// Appends `{<identifier>, [_update_existing_only], <attribute>: {add, remove}}`. A value must not stand in both lists
    /// (Braze documents no order between them); an empty list is left out. Whoever is only removed from something must exist
    /// already: an exit creates no user.
    ///
    /// # Errors
    /// [`Full`] if a limit would be passed; nothing is written then.
    #[inline]
    pub fn push<V: AsRef<str>>(
        &mut self,
        identifier: &Identifier,
        add: impl IntoIterator<Item = V, IntoIter: ExactSizeIterator>,
        remove: impl IntoIterator<Item = V, IntoIter: ExactSizeIterator>,
    ) -> Result<(), Full> {
        if self.objects == self.objects_max {
            return Err(Full::Objects);
        }
        let before = self.buffer.len();
        if self.objects > 0 {
            self.buffer.push(b',');
        }
        push_identifier(&mut self.buffer, identifier);
        let (mut add, mut remove) = (add.into_iter(), remove.into_iter());
        match (add.len(), remove.len()) {
            (1, 0) => add
                .next()
                .into_iter()
                .for_each(|value| self.push_one(value.as_ref(), true)),
            (0, 1) => remove
                .next()
                .into_iter()
                .for_each(|value| self.push_one(value.as_ref(), false)),
            _ => self.push_lists(add, remove),
        }
        if self.buffer.len() + TAIL.len() > self.bytes_max {
            self.buffer.truncate(before);
            self.last = Last::default();
            return Err(Full::Bytes);
        }
        self.objects += 1;
        Ok(())
    }

    /// The end of an object that adds or removes one value.
    #[inline(always)]
    fn push_one(&mut self, value: &str, add: bool) {
        if !self.last.end.is_empty() && self.last.add == add && self.last.value == value {
            self.buffer.extend_from_within(self.last.end.clone());
            return;
        }
        let start = self.buffer.len();
        let (one, none) = ([value], []);
        let [add_these, remove_these]: [&[&str]; 2] = if add { [&one, &none] } else { [&none, &one] };
        self.push_lists(add_these.iter(), remove_these.iter());
        self.last.value.clear();
        self.last.value.push_str(value);
        (self.last.add, self.last.end) = (add, start..self.buffer.len());
    }

    /// The end of an object, whatever it adds and removes.
    fn push_lists<V: AsRef<str>, W: AsRef<str>>(
        &mut self,
        add: impl ExactSizeIterator<Item = V>,
        remove: impl ExactSizeIterator<Item = W>,
    ) {
        if add.len() == 0 {
            self.buffer.extend_from_slice(br#","_update_existing_only":true"#);
        }
        self.buffer.extend_from_slice(self.attribute.opening());
        let added = push_list(&mut self.buffer, br#""add":["#, add);
        let key: &[u8] = if added { br#","remove":["# } else { br#""remove":["# };
        push_list(&mut self.buffer, key, remove);
        self.buffer.extend_from_slice(b"}}");
    }

    /// Objects so far.
    pub fn objects(&self) -> usize {
        self.objects
    }

    /// Length in bytes that the finished body would have now.
    pub fn bytes(&self) -> usize {
        self.buffer.len() + TAIL.len()
    }

    /// Closes the body.
    pub fn finish(mut self) -> Track {
        self.buffer.extend_from_slice(TAIL);
        Track {
            body: self.buffer.into(),
            objects: self.objects,
        }
    }
}

#[inline(always)]
fn push_identifier(buffer: &mut Vec<u8>, identifier: &Identifier) {
    match identifier {
        Identifier::ExternalId(id) => push_member(buffer, br#"{"external_id":"#, id),
        Identifier::BrazeId(id) => push_member(buffer, br#"{"braze_id":"#, id),
        Identifier::Alias { label, name } => {
            push_member(buffer, br#"{"user_alias":{"alias_name":"#, name);
            push_member(buffer, br#","alias_label":"#, label);
            buffer.push(b'}');
        }
    }
}

#[inline(always)]
fn push_member<const N: usize>(buffer: &mut Vec<u8>, key: &[u8; N], value: &str) {
    buffer.extend_from_slice(key);
    push_text(buffer, value);
}

/// Whether there was anything.
fn push_list(buffer: &mut Vec<u8>, opening: &[u8], values: impl IntoIterator<Item: AsRef<str>>) -> bool {
    let mut values = values.into_iter();
    let Some(first) = values.next() else {
        return false;
    };
    buffer.extend_from_slice(opening);
    push_text(buffer, first.as_ref());
    for value in values {
        buffer.push(b',');
        push_text(buffer, value.as_ref());
    }
    buffer.push(b']');
    true
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::{Value, json};

    use super::*;

    const NONE: [&str; 0] = [];

    static SEGMENTS: LazyLock<AttributeName> = LazyLock::new(|| AttributeName::new("lytics_segments").unwrap());

    fn external(id: &str) -> Identifier {
        Identifier::ExternalId(id.to_owned())
    }

    fn parsed(track: &Track) -> Value {
        serde_json::from_slice(track.body()).unwrap()
    }

    #[test]
    fn each_kind_of_object_is_written_as_braze_documents_it() {
        let mut builder = TrackBuilder::new(&SEGMENTS, 75, BODY_BYTES_MAX);
        let both = builder.push(&external("cust-1001"), &["big_spenders"], &["at_risk"]);
        both.unwrap();
        let adds = builder.push(&Identifier::BrazeId("64b1".into()), &["a", "b"], &NONE);
        adds.unwrap();
        let alias = Identifier::Alias {
            label: "lytics_uid".into(),
            name: "9e1d".into(),
        };
        builder.push(&alias, &NONE, &["c"]).unwrap();
        let bytes = builder.bytes();
        let track = builder.finish();
        assert_eq!(
            parsed(&track),
            json!({"attributes": [
                {"external_id": "cust-1001", "lytics_segments": {"add": ["big_spenders"], "remove": ["at_risk"]}},
                {"braze_id": "64b1", "lytics_segments": {"add": ["a", "b"]}},
                {"user_alias": {"alias_name": "9e1d", "alias_label": "lytics_uid"},
                 "_update_existing_only": true, "lytics_segments": {"remove": ["c"]}},
            ]})
        );
        assert_eq!((track.objects(), track.body().len()), (3, bytes));
    }

    #[test]
    fn every_text_is_escaped() {
        let odd = "\"\\\n\u{1}\u{7f}é😀</script>";
        let attribute = AttributeName::new(odd).unwrap();
        let mut builder = TrackBuilder::new(&attribute, 75, BODY_BYTES_MAX);
        builder.push(&external(odd), &[odd], &[odd]).unwrap();
        let alias = Identifier::Alias {
            label: odd.into(),
            name: odd.into(),
        };
        builder.push(&alias, &[odd], &NONE).unwrap();
        assert_eq!(
            parsed(&builder.finish()),
            json!({"attributes": [
                {"external_id": odd, odd: {"add": [odd], "remove": [odd]}},
                {"user_alias": {"alias_name": odd, "alias_label": odd}, odd: {"add": [odd]}},
            ]})
        );
    }

    #[test]
    fn an_object_ends_as_the_one_before_only_if_it_says_the_same() {
        let says = [
            ("a", true),
            ("a", true),
            ("a", false),
            ("a", false),
            ("b", false),
            ("b", true),
            ("a", true),
        ];
        let mut builder = TrackBuilder::new(&SEGMENTS, 75, BODY_BYTES_MAX);
        for (slug, add) in says {
            let (slug, none) = ([slug], [""; 0]);
            let [add, remove]: [&[&str]; 2] = if add { [&slug, &none] } else { [&none, &slug] };
            builder.push(&external("x"), add, remove).unwrap();
        }
        let objects = says.map(|(slug, add)| {
            if add {
                json!({"external_id": "x", "lytics_segments": {"add": [slug]}})
            } else {
                json!({"external_id": "x", "_update_existing_only": true, "lytics_segments": {"remove": [slug]}})
            }
        });
        assert_eq!(parsed(&builder.finish()), json!({ "attributes": objects }));
    }

    #[test]
    fn the_seventy_sixth_object_is_refused_whatever_limit_was_wished_for() {
        let mut builder = TrackBuilder::new(&SEGMENTS, 1000, BODY_BYTES_MAX);
        for _ in 0..OBJECTS_MAX {
            builder.push(&external("x"), &["a"], &NONE).unwrap();
        }
        assert_eq!(builder.push(&external("x"), &["a"], &NONE), Err(Full::Objects));
        assert_eq!(parsed(&builder.finish())["attributes"].as_array().unwrap().len(), 75);
    }

    #[test]
    fn an_object_that_passes_the_byte_limit_leaves_no_trace() {
        let one = {
            let mut builder = TrackBuilder::new(&SEGMENTS, 75, BODY_BYTES_MAX);
            builder.push(&external("x"), &["a"], &NONE).unwrap();
            builder.finish()
        };
        let mut builder = TrackBuilder::new(&SEGMENTS, 75, one.body().len());
        builder.push(&external("x"), &["a"], &NONE).unwrap();
        assert_eq!(builder.push(&external("x"), &["a"], &NONE), Err(Full::Bytes));
        assert_eq!(builder.finish().body(), one.body());

        let mut tight = TrackBuilder::new(&SEGMENTS, 75, one.body().len() - 1);
        assert_eq!(tight.push(&external("x"), &["a"], &NONE), Err(Full::Bytes));
        assert_eq!(
            (tight.objects(), tight.finish().body().as_ref()),
            (0, br#"{"attributes":[]}"#.as_slice())
        );
    }
}
