//! The body of `POST /users/track`, written straight into one buffer.

use bytes::Bytes;

/// Objects in one request, all arrays together, by Braze's current contracts.
pub const OBJECTS_MAX: usize = 75;
/// Bytes of one request body. Braze says "4 MB"; the smaller reading is safe under both.
pub const BODY_BYTES_MAX: usize = 4_000_000;
/// Bytes of an external id; Braze refuses the object for good above it.
pub const EXTERNAL_ID_BYTES_MAX: usize = 987;
/// Characters of an attribute's name and of each string value; Braze silently drops a longer value.
pub const VALUE_CHARS_MAX: usize = 255;

/// Names that mean something else to Braze than a custom attribute (profile fields and control keys).
const RESERVED: [&str; 30] = [
    "_merge_objects",
    "_update_existing_only",
    "alias_label",
    "alias_name",
    "braze_id",
    "country",
    "current_location",
    "date_of_first_session",
    "date_of_last_session",
    "dob",
    "email",
    "email_click_tracking_disabled",
    "email_open_tracking_disabled",
    "email_subscribe",
    "external_id",
    "facebook",
    "first_name",
    "gender",
    "home_city",
    "language",
    "last_name",
    "marked_email_as_spam_at",
    "phone",
    "push_subscribe",
    "push_token_import",
    "push_tokens",
    "subscription_groups",
    "time_zone",
    "twitter",
    "user_alias",
];

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

/// The name of a custom attribute, checked, and escaped once for all the objects that carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeName {
    name: String,
    /// `,"<name>":{`
    opening: Vec<u8>,
}

/// Why a text cannot be the name of a custom attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// Braze strips blanks around names, so the name would silently be another one.
    #[error("an attribute name must not be empty, nor begin or end with a blank")]
    Blank,
    /// Over [`VALUE_CHARS_MAX`].
    #[error("an attribute name has at most {VALUE_CHARS_MAX} characters")]
    TooLong,
    /// A profile field or control key of Braze's.
    #[error("the name is reserved by Braze")]
    Reserved,
}

impl AttributeName {
    /// Checks and prepares a name such as `lytics_segments`.
    ///
    /// # Errors
    /// [`AttributeError`] if Braze would take the name for something else.
    pub fn new(name: &str) -> Result<Self, AttributeError> {
        if name.is_empty() || name.trim() != name {
            return Err(AttributeError::Blank);
        }
        if name.chars().count() > VALUE_CHARS_MAX {
            return Err(AttributeError::TooLong);
        }
        if RESERVED.contains(&name) {
            return Err(AttributeError::Reserved);
        }
        let mut opening = vec![b','];
        push_text(&mut opening, name);
        opening.extend_from_slice(b":{");
        Ok(Self {
            name: name.to_owned(),
            opening,
        })
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.name
    }
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

    /// Appends `{<identifier>, [_update_existing_only], <attribute>: {add, remove}}`. A value must not stand in both lists
    /// (Braze documents no order between them); an empty list is left out.
    ///
    /// # Errors
    /// [`Full`] if a limit would be passed; nothing is written then.
    pub fn push<A, R>(
        &mut self,
        identifier: &Identifier,
        attribute: &AttributeName,
        add: A,
        remove: R,
        update_existing_only: bool,
    ) -> Result<(), Full>
    where
        A: IntoIterator<Item: AsRef<str>>,
        R: IntoIterator<Item: AsRef<str>>,
    {
        if self.objects == self.objects_max {
            return Err(Full::Objects);
        }
        let before = self.buffer.len();
        if self.objects > 0 {
            self.buffer.push(b',');
        }
        push_identifier(&mut self.buffer, identifier);
        if update_existing_only {
            self.buffer.extend_from_slice(br#","_update_existing_only":true"#);
        }
        self.buffer.extend_from_slice(&attribute.opening);
        let added = push_list(&mut self.buffer, br#""add":["#, add);
        let key: &[u8] = if added { br#","remove":["# } else { br#""remove":["# };
        push_list(&mut self.buffer, key, remove);
        self.buffer.extend_from_slice(b"}}");
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

fn push_member(buffer: &mut Vec<u8>, key: &[u8], value: &str) {
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

fn push_text(buffer: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        buffer.reserve(text.len() + 2);
        buffer.push(b'"');
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(b'"');
        return;
    }
    serde_json::to_writer(buffer, text).expect("a string always has a JSON form, and a Vec takes every byte");
}

/// Whether a text stands in JSON as it is, between quotes: nearly every one, and a body has some 150 of them. serde_json looks at
/// byte after byte; here it is eight at a time.
pub fn is_plain(text: &str) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    /// A top bit for each byte that is zero, and perhaps for bytes above one.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & TOPS
    }
    let special = |word: u64| {
        let quotes = zeros(word ^ (0x22 * ONES)) | zeros(word ^ (0x5c * ONES));
        // Below 0x20: the three upper bits are zero.
        quotes | zeros(word & (0xe0 * ONES))
    };
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<8>() else {
        let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
        return !bytes.iter().any(is_special);
    };
    // The last look may overlap the one before.
    let words = bytes.as_chunks::<8>().0.iter().chain([last]);
    words.fold(0, |found, word| found | special(u64::from_le_bytes(*word))) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn a_text_is_plain_if_json_leaves_it_as_it_is() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        for (at, special) in all.char_indices() {
            for before in ["", "1", "1234567", "12345678", "12345678ä"] {
                for text in [format!("{before}{special}"), format!("{before}{special}{before}23456")] {
                    let plain = serde_json::to_string(&text).unwrap() == format!("\"{text}\"");
                    assert_eq!(is_plain(&text), plain, "{text:?}, character at {at}");
                }
            }
        }
        assert!(is_plain(""));
    }

    fn segments() -> AttributeName {
        AttributeName::new("lytics_segments").unwrap()
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
        builder
            .push(
                &external("cust-1001"),
                &segments(),
                &["big_spenders"],
                &["at_risk"],
                false,
            )
            .unwrap();
        builder
            .push(
                &Identifier::BrazeId("64b1".into()),
                &segments(),
                &["a", "b"],
                &NONE,
                false,
            )
            .unwrap();
        let alias = Identifier::Alias {
            label: "lytics_uid".into(),
            name: "9e1d".into(),
        };
        builder.push(&alias, &segments(), &NONE, &["c"], true).unwrap();
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
        let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
        let attribute = AttributeName::new(odd).unwrap();
        builder.push(&external(odd), &attribute, &[odd], &[odd], false).unwrap();
        let alias = Identifier::Alias {
            label: odd.into(),
            name: odd.into(),
        };
        builder.push(&alias, &attribute, &[odd], &NONE, false).unwrap();
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
            builder.push(&external("x"), &segments(), &["a"], &NONE, false).unwrap();
        }
        assert_eq!(
            builder.push(&external("x"), &segments(), &["a"], &NONE, false),
            Err(Full::Objects)
        );
        assert_eq!(parsed(&builder.finish())["attributes"].as_array().unwrap().len(), 75);
    }

    #[test]
    fn an_object_that_passes_the_byte_limit_leaves_no_trace() {
        let one = {
            let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
            builder.push(&external("x"), &segments(), &["a"], &NONE, false).unwrap();
            builder.finish()
        };
        let mut builder = TrackBuilder::new(75, one.body().len());
        builder.push(&external("x"), &segments(), &["a"], &NONE, false).unwrap();
        assert_eq!(
            builder.push(&external("x"), &segments(), &["a"], &NONE, false),
            Err(Full::Bytes)
        );
        assert_eq!(builder.finish().body(), one.body());

        let mut tight = TrackBuilder::new(75, one.body().len() - 1);
        assert_eq!(
            tight.push(&external("x"), &segments(), &["a"], &NONE, false),
            Err(Full::Bytes)
        );
        assert_eq!(
            (tight.objects(), tight.finish().body().as_ref()),
            (0, br#"{"attributes":[]}"#.as_slice())
        );
    }

    #[test]
    fn a_name_that_braze_takes_for_something_else_is_no_attribute() {
        for name in ["", " ", " x", "x\n"] {
            assert_eq!(AttributeName::new(name), Err(AttributeError::Blank), "{name:?}");
        }
        for name in RESERVED {
            assert_eq!(AttributeName::new(name), Err(AttributeError::Reserved), "{name}");
        }
        assert_eq!(AttributeName::new(&"ä".repeat(256)), Err(AttributeError::TooLong));
        assert_eq!(AttributeName::new(&"ä".repeat(255)).unwrap().as_str(), "ä".repeat(255));
        assert!(
            AttributeName::new("Email").is_ok(),
            "reserved names are lower case only"
        );
    }
}
