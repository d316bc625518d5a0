//! The body of `POST /users/track`, written straight into one buffer.

use bytes::Bytes;

use crate::array::{Array, Counts};
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
    objects: Counts,
}

impl Track {
    /// A request without objects: no user is touched and no data point used. Braze refuses it with 400 if the key is good,
    /// with 401 or 403 if not.
    pub fn probe() -> Self {
        Self {
            body: Bytes::from_static(b"{}"),
            objects: Counts::default(),
        }
    }

    /// The JSON text.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Number of objects, which is also the number of verdicts an answer gives.
    pub fn objects(&self) -> usize {
        self.objects.total()
    }

    pub(crate) fn counts(&self) -> Counts {
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

/// Writes one request body, object by object, in any order of arrays.
#[derive(Debug)]
pub struct TrackBuilder {
    /// By array. The first begins the body, and each of the others with what ends the one before.
    buffers: [Vec<u8>; 3],
    objects: Counts,
    objects_max: usize,
    bytes_max: usize,
}

/// What a full body takes, nearly always.
const BODY_BYTES_USUAL: usize = 12 << 10;
/// What stands before the objects of each array.
const HEADS: [&[u8]; 3] = [br#"{"attributes":["#, br#"],"events":["#, br#"],"purchases":["#];
const TAIL: &[u8] = b"]}";

impl TrackBuilder {
    /// An empty body with limits of its own, each at least 1 object and at most Braze's ([`OBJECTS_MAX`], [`BODY_BYTES_MAX`]).
    pub fn new(objects_max: usize, bytes_max: usize) -> Self {
        let mut buffer = Vec::with_capacity(BODY_BYTES_USUAL.min(bytes_max));
        buffer.extend_from_slice(HEADS[0]);
        Self {
            buffers: [buffer, Vec::new(), Vec::new()],
            objects: Counts::default(),
            objects_max: objects_max.clamp(1, OBJECTS_MAX),
            bytes_max: bytes_max.min(BODY_BYTES_MAX),
        }
    }

    /// Appends `{<identifier>, [_update_existing_only], …}` to the array of the clause.
    ///
    /// # Errors
    /// [`Full`] if a limit would be passed; nothing is written then.
    #[inline]
    pub fn push(&mut self, identifier: &Identifier, clause: &Clause) -> Result<(), Full> {
        if self.objects() == self.objects_max {
            return Err(Full::Objects);
        }
        let array = clause.array() as usize;
        let buffer = &mut self.buffers[array];
        let before = buffer.len();
        if self.objects.0[array] > 0 {
            buffer.push(b',');
        } else if array > 0 {
            buffer.extend_from_slice(HEADS[array]);
        }
        push_identifier(buffer, identifier);
        buffer.extend_from_slice(clause.as_bytes());
        buffer.push(b'}');
        if self.bytes() > self.bytes_max {
            self.buffers[array].truncate(before);
            return Err(Full::Bytes);
        }
        self.objects.0[array] += 1;
        Ok(())
    }

    /// Objects so far.
    pub fn objects(&self) -> usize {
        self.objects.total()
    }

    /// Length in bytes that the finished body would have now; a little less if it has no attributes.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(Vec::len).sum::<usize>() + TAIL.len()
    }

    /// Closes the body.
    pub fn finish(self) -> Track {
        let [mut body, events, purchases] = self.buffers;
        if self.objects.0[Array::Attributes as usize] == 0 && self.objects.total() > 0 {
            // An array that holds nothing is left out; what follows need not end it.
            body.clear();
            body.push(b'{');
        }
        for others in [events, purchases] {
            let ends = if body.len() == 1 { b"],".len() } else { 0 };
            body.extend_from_slice(others.get(ends..).unwrap_or_default());
        }
        body.extend_from_slice(TAIL);
        Track {
            body: body.into(),
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

    fn event(name: &str) -> Clause {
        Clause::event(false, name, "2026-01-01T00:00:00Z".parse().unwrap(), &[])
    }

    #[test]
    fn attributes_and_events_stand_in_arrays_of_their_own_whatever_their_order_and_count_together() {
        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        builder.push(&external("1"), &event("e")).unwrap();
        builder.push(&external("2"), &a()).unwrap();
        builder.push(&external("3"), &event("f")).unwrap();
        builder.push(&external("4"), &a()).unwrap();
        let bytes = builder.bytes();
        let track = builder.finish();
        let (body, counts) = (parsed(&track), track.counts());
        let ids = |array: &str| -> Vec<_> {
            let objects = body[array].as_array().unwrap().iter();
            objects
                .map(|object| object["external_id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            (ids("attributes"), ids("events")),
            (vec!["2".into(), "4".into()], vec!["1".into(), "3".into()])
        );
        assert_eq!(body["events"][1]["name"], "f");
        assert_eq!((track.objects(), track.body().len()), (4, bytes));
        assert_eq!(
            (counts.range(Array::Attributes), counts.range(Array::Events)),
            (0..2, 2..4)
        );

        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        for number in 0..OBJECTS_MAX {
            let clause = if number % 2 == 0 { a() } else { event("e") };
            builder.push(&external("x"), &clause).unwrap();
        }
        assert_eq!(builder.push(&external("x"), &event("e")), Err(Full::Objects));
        assert_eq!(builder.push(&external("x"), &a()), Err(Full::Objects));
    }

    #[test]
    fn the_byte_limit_is_that_of_all_arrays_together() {
        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        builder.push(&external("x"), &a()).unwrap();
        builder.push(&external("x"), &event("e")).unwrap();
        let both = builder.finish();
        let mut tight = TrackBuilder::new(75, both.body().len() - 1);
        tight.push(&external("x"), &a()).unwrap();
        assert_eq!(tight.push(&external("x"), &event("e")), Err(Full::Bytes));
        assert_eq!(
            parsed(&tight.finish()),
            json!({"attributes": [{"external_id": "x", "lytics_segments": {"add": ["a"]}}]})
        );
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
