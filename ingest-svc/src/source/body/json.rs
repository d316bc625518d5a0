//! The values of a JSON body, each as it was written, without building a tree of values.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{BodyError, first, without_mark};

/// The values of a JSON body: the elements of the array, or the objects one behind the other. Elements may be anything; what is not
/// an object is for the mapping to refuse, one by one. The whole body is read first, so a body with a broken end gives none at all.
pub(super) fn values(body: &[u8], records_max: usize) -> Result<Vec<&RawValue>, BodyError> {
    let begins = first(body);
    let body = without_mark(body);
    match begins {
        Some(b'{') => {
            let mut values = Vec::new();
            let mut count = 0;
            for value in serde_json::Deserializer::from_slice(body).into_iter() {
                let value = value.map_err(BodyError::Broken)?;
                count += 1;
                if count <= records_max {
                    values.push(value);
                }
            }
            at_most(records_max, count)?;
            Ok(values)
        }
        Some(b'[') => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let (records, count) = Elements { records_max }
                .deserialize(&mut deserializer)
                .map_err(BodyError::Broken)?;
            deserializer.end().map_err(BodyError::Broken)?;
            at_most(records_max, count)?;
            Ok(records)
        }
        _ => {
            let _value: &RawValue = serde_json::from_slice(body).map_err(BodyError::Broken)?;
            Err(BodyError::NotRecords)
        }
    }
}

fn at_most(records_max: usize, records: usize) -> Result<(), BodyError> {
    if records > records_max {
        return Err(BodyError::TooMany { records, records_max });
    }
    Ok(())
}

/// Collects the first elements of an array and counts them all, so that memory is bounded by `records_max` and a broken end is
/// found behind too many records, too.
struct Elements {
    records_max: usize,
}

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = (Vec<&'de RawValue>, usize);

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while records.len() < self.records_max {
            match elements.next_element()? {
                Some(record) => records.push(record),
                None => {
                    let count = records.len();
                    return Ok((records, count));
                }
            }
        }
        let mut count = records.len();
        while elements.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((records, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<&str> {
        values(body.as_bytes(), 10)
            .unwrap()
            .into_iter()
            .map(RawValue::get)
            .collect()
    }

    #[test]
    fn objects_one_behind_the_other_are_records_and_a_broken_one_gives_none() {
        assert_eq!(
            texts("{\"a\":1}\r\n{\"b\": 2}\n\n{}"),
            ["{\"a\":1}", "{\"b\": 2}", "{}"]
        );
        assert_eq!(
            texts("{} 7"),
            ["{}", "7"],
            "what is no object is for the mapping to refuse"
        );
        assert!(matches!(values(b"{}\n{\"a\":}\n{}", 10), Err(BodyError::Broken(_))));
        assert!(matches!(
            values(b"{}{}{}", 2),
            Err(BodyError::TooMany { records: 3, .. })
        ));
    }

    #[test]
    fn an_object_is_one_record_and_an_array_is_its_elements_as_they_were_written() {
        assert_eq!(texts(r#" {"a": 1.0}"#), [r#"{"a": 1.0}"#]);
        assert_eq!(
            texts(r#"[{"a":1}, 2 ,"x",{"a":[{}]}]"#),
            [r#"{"a":1}"#, "2", "\"x\"", r#"{"a":[{}]}"#]
        );
        assert!(texts("[]").is_empty());
    }

    #[test]
    fn a_byte_order_mark_in_front_is_skipped() {
        assert_eq!(texts("\u{feff}{\"a\":1}"), [r#"{"a":1}"#]);
        assert_eq!(texts("\u{feff} [1]"), ["1"]);
        assert!(values("{\"a\":1}\u{feff}".as_bytes(), 10).is_err(), "in front only");
    }

    #[test]
    fn a_body_with_a_broken_end_gives_no_records() {
        for broken in [
            "",
            " ",
            "{",
            r#"{"a":}"#,
            r#"{"a":1} x"#,
            r#"[{"a":1},"#,
            r#"[{"a":1}] x"#,
            "{\"a\":\"line\nbreak\"}",
        ] {
            let error = values(broken.as_bytes(), 10).unwrap_err();
            assert!(matches!(error, BodyError::Broken(_)), "{broken}: {error}");
        }
        assert!(matches!(values(b"{\"a\":\"\xff\"}", 10), Err(BodyError::Broken(_))));
    }

    #[test]
    fn json_that_is_neither_object_nor_array_is_no_record() {
        for scalar in ["1", "\"text\"", "null", "true"] {
            assert!(
                matches!(values(scalar.as_bytes(), 10), Err(BodyError::NotRecords)),
                "{scalar}"
            );
        }
    }

    #[test]
    fn one_record_too_many_is_counted_unless_the_end_is_broken() {
        assert_eq!(values(b"[1,2,3]", 3).unwrap().len(), 3);
        assert!(matches!(
            values(b"[1,2,3,4,5]", 3),
            Err(BodyError::TooMany {
                records: 5,
                records_max: 3
            })
        ));
        assert!(matches!(values(b"[1,2,3,4,", 3), Err(BodyError::Broken(_))));
    }

    #[test]
    fn a_very_deep_body_is_read_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(values(format!("{{\"a\":{deep}}}").as_bytes(), 10).is_ok());
    }

    #[test]
    fn the_message_quotes_nothing_of_the_body() {
        let message = values(br#"{"email": secret@example.com}"#, 10).unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
        assert!(message.starts_with("broken JSON: "), "{message}");
    }
}
