//! The body of `POST /users/track`, written straight into one buffer.

use bytes::Bytes;

use crate::attribute::Clause;
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
    /// An e-mail address. Of several users who have it Braze takes the one that was updated last, those with an external id
    /// first. An unknown one creates a user who has nothing else, unless the object is for existing users only.
    Email(String),
    /// A phone number in E.164 form; for the rest as an e-mail address. Braze says nothing of one in another form.
    Phone(String),
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
pub struct TrackBuilder {
    buffer: Vec<u8>,
    objects: usize,
    objects_max: usize,
    bytes_max: usize,
}

/// What a full body takes, nearly always.
const BODY_BYTES_USUAL: usize = 12 << 10;
const HEAD: &[u8] = br#"{"attributes":["#;
const TAIL: &[u8] = b"]}";

impl TrackBuilder {
    /// An empty body with limits of its own, each at least 1 object and at most Braze's ([`OBJECTS_MAX`], [`BODY_BYTES_MAX`]).
    pub fn new(objects_max: usize, bytes_max: usize) -> Self {
        let mut buffer = Vec::with_capacity(BODY_BYTES_USUAL.min(bytes_max));
        buffer.extend_from_slice(HEAD);
        Self {
            buffer,
            objects: 0,
            objects_max: objects_max.clamp(1, OBJECTS_MAX),
            bytes_max: bytes_max.min(BODY_BYTES_MAX),
        }
    }

    /// Appends `{<identifier>, [_update_existing_only], <attribute>: {add, remove}, …}`.
    ///
    /// # Errors
    /// [`Full`] if a limit would be passed; nothing is written then.
    #[inline]
    pub fn push(&mut self, identifier: &Identifier, clause: &Clause) -> Result<(), Full> {
        if self.objects == self.objects_max {
            return Err(Full::Objects);
        }
        let before = self.buffer.len();
        if self.objects > 0 {
            self.buffer.push(b',');
        }
        push_identifier(&mut self.buffer, identifier);
        self.buffer.extend_from_slice(clause.as_bytes());
        self.buffer.push(b'}');
        if self.buffer.len() + TAIL.len() > self.bytes_max {
            self.buffer.truncate(before);
            return Err(Full::Bytes);
        }
        self.objects += 1;
        Ok(())
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
        Identifier::Email(address) => push_member(buffer, br#"{"email":"#, address),
        Identifier::Phone(number) => push_member(buffer, br#"{"phone":"#, number),
    }
}

#[inline(always)]
fn push_member<const N: usize>(buffer: &mut Vec<u8>, key: &[u8; N], value: &str) {
    buffer.extend_from_slice(key);
    push_text(buffer, value);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::attribute::AttributeName;

    fn clause(add: &[&str], remove: &[&str]) -> Clause {
        Clause::new(&AttributeName::new("lytics_segments").unwrap(), add, remove)
    }

    fn a() -> Clause {
        clause(&["a"], &[])
    }

    fn external(id: &str) -> Identifier {
        Identifier::ExternalId(id.to_owned())
    }

    fn parsed(track: &Track) -> Value {
        serde_json::from_slice(track.body()).unwrap()
    }

    #[test]
    fn each_kind_of_object_is_written_as_braze_documents_it() {
        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        let both = builder.push(&external("cust-1001"), &clause(&["big_spenders"], &["at_risk"]));
        both.unwrap();
        let adds = builder.push(&Identifier::BrazeId("64b1".into()), &clause(&["a", "b"], &[]));
        adds.unwrap();
        let alias = Identifier::Alias {
            label: "lytics_uid".into(),
            name: "9e1d".into(),
        };
        builder.push(&alias, &clause(&[], &["c"])).unwrap();
        let email = Identifier::Email("kim@example.org".into());
        let several = Clause::of(true).and(&AttributeName::new("lytics_segments").unwrap(), ["d"], []);
        let several = several.and(&AttributeName::new("other").unwrap(), ["d"], ["e"]);
        builder.push(&email, &several).unwrap();
        builder.push(&Identifier::Phone("+15551234567".into()), &a()).unwrap();
        let bytes = builder.bytes();
        let track = builder.finish();
        assert_eq!(
            parsed(&track),
            json!({"attributes": [
                {"external_id": "cust-1001", "lytics_segments": {"add": ["big_spenders"], "remove": ["at_risk"]}},
                {"braze_id": "64b1", "lytics_segments": {"add": ["a", "b"]}},
                {"user_alias": {"alias_name": "9e1d", "alias_label": "lytics_uid"},
                 "_update_existing_only": true, "lytics_segments": {"remove": ["c"]}},
                {"email": "kim@example.org", "_update_existing_only": true, "lytics_segments": {"add": ["d"]},
                 "other": {"add": ["d"], "remove": ["e"]}},
                {"phone": "+15551234567", "lytics_segments": {"add": ["a"]}},
            ]})
        );
        assert_eq!((track.objects(), track.body().len()), (5, bytes));
    }

    #[test]
    fn every_text_is_escaped() {
        let odd = "\"\\\n\u{1}\u{7f}é😀</script>";
        let attribute = AttributeName::new(odd).unwrap();
        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        let both = Clause::new(&attribute, [odd], [odd]);
        builder.push(&external(odd), &both).unwrap();
        let alias = Identifier::Alias {
            label: odd.into(),
            name: odd.into(),
        };
        builder.push(&alias, &Clause::new(&attribute, [odd], [])).unwrap();
        assert_eq!(
            parsed(&builder.finish()),
            json!({"attributes": [
                {"external_id": odd, odd: {"add": [odd], "remove": [odd]}},
                {"user_alias": {"alias_name": odd, "alias_label": odd}, odd: {"add": [odd]}},
            ]})
        );
    }

    #[test]
    fn the_seventy_sixth_object_is_refused_whatever_limit_was_wished_for() {
        let mut builder = TrackBuilder::new(1000, BODY_BYTES_MAX);
        for _ in 0..OBJECTS_MAX {
            builder.push(&external("x"), &a()).unwrap();
        }
        assert_eq!(builder.push(&external("x"), &a()), Err(Full::Objects));
        assert_eq!(parsed(&builder.finish())["attributes"].as_array().unwrap().len(), 75);
    }

    #[test]
    fn an_object_that_passes_the_byte_limit_leaves_no_trace() {
        let one = {
            let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
            builder.push(&external("x"), &a()).unwrap();
            builder.finish()
        };
        let mut builder = TrackBuilder::new(75, one.body().len());
        builder.push(&external("x"), &a()).unwrap();
        assert_eq!(builder.push(&external("x"), &a()), Err(Full::Bytes));
        assert_eq!(builder.finish().body(), one.body());

        let mut tight = TrackBuilder::new(75, one.body().len() - 1);
        assert_eq!(tight.push(&external("x"), &a()), Err(Full::Bytes));
        assert_eq!(
            (tight.objects(), tight.finish().body().as_ref()),
            (0, br#"{"attributes":[]}"#.as_slice())
        );
    }
}
