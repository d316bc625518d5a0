//! Fields of a form or of a query string → the JSON object that they make.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::BodyError;

/// Fields of a form, at most.
const FIELDS_MAX: usize = 1_000;

/// What a form says of one name.
#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    One(Cow<'a, str>),
    Several(Vec<Cow<'a, str>>),
}

/// The record that fields make: texts by name; a name that comes several times has a list. Their order does not matter, so
/// that the same fields are the same record.
///
/// # Errors
/// When there are more than [`FIELDS_MAX`].
pub(crate) fn record_of_fields<'a>(
    fields: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
) -> Result<Bytes, BodyError> {
    let mut record = BTreeMap::<_, Field<'_>>::new();
    for (index, (name, value)) in fields.enumerate() {
        if index == FIELDS_MAX {
            return Err(BodyError::TooManyFields(FIELDS_MAX));
        }
        match record.remove(&name) {
            None => record.insert(name, Field::One(value)),
            Some(Field::One(first)) => record.insert(name, Field::Several(vec![first, value])),
            Some(Field::Several(mut values)) => {
                values.push(value);
                record.insert(name, Field::Several(values))
            }
        };
    }
    serde_json::to_vec(&record).map(Bytes::from).map_err(BodyError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(form: &str) -> Result<Bytes, BodyError> {
        record_of_fields(form_urlencoded::parse(form.as_bytes()))
    }

    #[test]
    fn fields_are_decoded_and_a_name_that_repeats_has_a_list() {
        assert_eq!(
            record("b=x+y&a=Jos%C3%A9%20%22J%22&tag=1&tag=2&tag=3&c&d=&&%ff=e=f").unwrap(),
            "{\"a\":\"José \\\"J\\\"\",\"b\":\"x y\",\"c\":\"\",\"d\":\"\",\"tag\":[\"1\",\"2\",\"3\"],\"�\":\"e=f\"}"
        );
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        assert_eq!(record("a=1&b=2").unwrap(), record("b=2&a=1").unwrap());
        assert_ne!(record("a=1&a=2").unwrap(), record("a=2&a=1").unwrap());
    }

    #[test]
    fn a_form_is_bounded_in_fields() {
        let form = |fields| vec!["a=1"; fields].join("&");
        assert!(record(&form(1_000)).is_ok());
        assert!(matches!(record(&form(1_001)), Err(BodyError::TooManyFields(1_000))));
    }
}
