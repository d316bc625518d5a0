//! The name of the attribute that a request writes.

use crate::array::Array;
use crate::json::push_text;

/// Characters of an attribute's name and of each string value; Braze silently drops a longer value.
pub const VALUE_CHARS_MAX: usize = 255;

/// Names that mean something else to Braze than a custom attribute (profile fields and control keys).
const RESERVED: [&str; 31] = [
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
    "email_subscription_info",
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
        Ok(Self::known(name))
    }

    /// Prepares a name that was checked before it was stored.
    pub fn known(name: &str) -> Self {
        let mut opening = vec![b','];
        push_text(&mut opening, name);
        opening.extend_from_slice(b":{");
        Self {
            name: name.to_owned(),
            opening,
        }
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// What an object says, and in which array: everything behind its identifier, escaped once for all the objects that say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    array: Array,
    text: Vec<u8>,
}

impl Clause {
    /// Adds and removes values. A value must not stand in both lists (Braze documents no order between them); an empty list is left
    /// out. Whoever is only removed from something must exist already: an exit creates no user.
    pub fn new<V: AsRef<str>>(
        attribute: &AttributeName,
        add: impl IntoIterator<Item = V>,
        remove: impl IntoIterator<Item = V>,
    ) -> Self {
        let mut add = add.into_iter().peekable();
        Self::of(add.peek().is_none()).and(attribute, add, remove)
    }

    /// Says nothing yet, of a user who must exist already, or of any.
    pub fn of(existing_only: bool) -> Self {
        let flag: &[u8] = if existing_only {
            br#","_update_existing_only":true"#
        } else {
            b""
        };
        Self {
            array: Array::Attributes,
            text: flag.to_vec(),
        }
    }

    /// Adds and removes values of one more attribute, as [`Clause::new`] does.
    #[must_use]
    pub fn and<V: AsRef<str>>(
        self,
        attribute: &AttributeName,
        add: impl IntoIterator<Item = V>,
        remove: impl IntoIterator<Item = V>,
    ) -> Self {
        let Self {
            array,
            text: mut clause,
        } = self;
        clause.extend_from_slice(&attribute.opening);
        let added = push_list(&mut clause, br#""add":["#, add);
        let key: &[u8] = if added { br#","remove":["# } else { br#""remove":["# };
        push_list(&mut clause, key, remove);
        clause.push(b'}');
        Self { array, text: clause }
    }

    /// The array that its object stands in.
    pub fn array(&self) -> Array {
        self.array
    }

    /// How long it is, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "it is never looked for one that says nothing"
    )]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn into_array(self, array: Array) -> Self {
        Self { array, ..self }
    }

    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
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
    use super::*;

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
