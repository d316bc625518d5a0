//! What an object of `events` says: something that happened to a user, rather than what the user is.

use jiff::Timestamp;

use crate::array::Array;
use crate::attribute::{Clause, VALUE_CHARS_MAX};
use crate::json::push_text;

/// Why a text cannot be the name of a custom event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventNameError {
    /// Braze wants one; blanks around it would be lost.
    #[error("an event name must not be empty, nor begin or end with a blank")]
    Blank,
    /// Over [`VALUE_CHARS_MAX`].
    #[error("an event name has at most {VALUE_CHARS_MAX} characters")]
    TooLong,
    /// Names with it are Braze's own.
    #[error("an event name must not begin with $")]
    Dollar,
}

/// Checks the name of a custom event, such as `lytics_audience`.
///
/// # Errors
/// [`EventNameError`] if Braze would refuse it or take it for something else.
pub fn check_event_name(name: &str) -> Result<(), EventNameError> {
    if name.is_empty() || name.trim() != name {
        return Err(EventNameError::Blank);
    }
    if name.chars().count() > VALUE_CHARS_MAX {
        return Err(EventNameError::TooLong);
    }
    if name.starts_with('$') {
        return Err(EventNameError::Dollar);
    }
    Ok(())
}

impl Clause {
    /// A custom event with properties. Every such object is an event of its own: Braze does not recognise one that is sent twice, so a
    /// repeat has to say the same in every word.
    pub fn event(existing_only: bool, name: &str, time: Timestamp, properties: &[(&str, &str)]) -> Self {
        let mut clause = Self::of(existing_only).into_array(Array::Events);
        clause.member("name", name);
        clause.happened(time, properties);
        clause
    }

    /// When, and what else is to be known of it: the end of an object.
    fn happened(&mut self, time: Timestamp, properties: &[(&str, &str)]) {
        self.member("time", &time.to_string());
        let buffer = self.buffer();
        buffer.extend_from_slice(br#","properties":{"#);
        for (number, (key, value)) in properties.iter().enumerate() {
            if number > 0 {
                buffer.push(b',');
            }
            push_text(buffer, key);
            buffer.push(b':');
            push_text(buffer, value);
        }
        buffer.push(b'}');
    }

    /// `,"<key>":"<text>"`.
    fn member(&mut self, key: &str, text: &str) {
        let buffer = self.buffer();
        buffer.push(b',');
        push_text(buffer, key);
        buffer.push(b':');
        push_text(buffer, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Identifier, TrackBuilder};

    #[test]
    fn a_name_that_braze_does_not_take_is_none() {
        for name in ["", " ", " x", "x\n"] {
            assert_eq!(check_event_name(name), Err(EventNameError::Blank), "{name:?}");
        }
        assert_eq!(check_event_name(&"ä".repeat(256)), Err(EventNameError::TooLong));
        assert_eq!(check_event_name("$x"), Err(EventNameError::Dollar));
        assert_eq!(check_event_name(&"ä".repeat(255)), Ok(()));
        assert_eq!(check_event_name("entered an audience"), Ok(()));
    }

    #[test]
    fn an_event_is_written_as_braze_documents_it_and_every_text_is_escaped() {
        let time = "2026-01-01T10:00:00.25Z".parse().unwrap();
        let mut builder = TrackBuilder::new(75, crate::BODY_BYTES_MAX);
        let kim = Identifier::ExternalId("kim".into());
        let clause = Clause::event(true, "a \"b\"", time, &[("audience", "x\\y"), ("action", "exited")]);
        builder.push(&kim, &clause).unwrap();
        let clause = Clause::event(false, "c", time, &[]);
        builder.push(&kim, &clause).unwrap();
        let body: Value = serde_json::from_slice(builder.finish().body()).unwrap();
        assert_eq!(
            body,
            json!({"events": [
                {"external_id": "kim", "_update_existing_only": true, "name": "a \"b\"", "time": "2026-01-01T10:00:00.25Z",
                 "properties": {"audience": "x\\y", "action": "exited"}},
                {"external_id": "kim", "name": "c", "time": "2026-01-01T10:00:00.25Z", "properties": {}},
            ]})
        );
    }
}
