//! From the bytes of a body to its records, each as it was written, without building a tree of values.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// JSON has none, but some editors and clients put one in front.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Why a body holds no records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Not JSON, with where and why. The message quotes nothing of the body.
    #[error("broken JSON: {0}")]
    Broken(serde_json::Error),
    /// JSON, but neither an object nor an array.
    #[error("a JSON object or an array of objects is expected")]
    NotRecords,
    /// More records than a request may hold.
    #[error("the array holds {records} records, a request may hold at most {records_max}")]
    TooMany { records: usize, records_max: usize },
}

/// The records of a body: the object itself, or the elements of the array. Elements may be anything; what is not an object is for
/// the mapping to refuse, one by one. The whole body is read first, so a body with a broken end gives no records at all.
///
/// # Errors
/// When the body is not JSON, neither an object nor an array, or holds more than `records_max` records.
pub(crate) fn records(body: &[u8], records_max: usize) -> Result<Vec<&RawValue>, BodyError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let (records, count) = Elements { records_max }
                .deserialize(&mut deserializer)
                .map_err(BodyError::Broken)?;
            deserializer.end().map_err(BodyError::Broken)?;
            if count > records_max {
                return Err(BodyError::TooMany {
                    records: count,
                    records_max,
                });
            }
            Ok(records)
        }
        first => {
            let value: &RawValue = serde_json::from_slice(body).map_err(BodyError::Broken)?;
            if first == Some(&b'{') {
                Ok(vec![value])
            } else {
                Err(BodyError::NotRecords)
            }
        }
    }
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
        records(body.as_bytes(), 10)
            .unwrap()
            .into_iter()
            .map(RawValue::get)
            .collect()
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
        assert!(records("{\"a\":1}\u{feff}".as_bytes(), 10).is_err(), "in front only");
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
            let error = records(broken.as_bytes(), 10).unwrap_err();
            assert!(matches!(error, BodyError::Broken(_)), "{broken}: {error}");
        }
        assert!(matches!(records(b"{\"a\":\"\xff\"}", 10), Err(BodyError::Broken(_))));
    }

    #[test]
    fn json_that_is_neither_object_nor_array_is_no_record() {
        for scalar in ["1", "\"text\"", "null", "true"] {
            assert!(
                matches!(records(scalar.as_bytes(), 10), Err(BodyError::NotRecords)),
                "{scalar}"
            );
        }
    }

    #[test]
    fn one_record_too_many_is_counted_unless_the_end_is_broken() {
        assert_eq!(records(b"[1,2,3]", 3).unwrap().len(), 3);
        assert!(matches!(
            records(b"[1,2,3,4,5]", 3),
            Err(BodyError::TooMany {
                records: 5,
                records_max: 3
            })
        ));
        assert!(matches!(records(b"[1,2,3,4,", 3), Err(BodyError::Broken(_))));
    }

    #[test]
    fn a_very_deep_body_is_read_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(records(format!("{{\"a\":{deep}}}").as_bytes(), 10).is_ok());
    }

    #[test]
    fn the_message_quotes_nothing_of_the_body() {
        let message = records(br#"{"email": secret@example.com}"#, 10)
            .unwrap_err()
            .to_string();
        assert!(!message.contains("secret"), "{message}");
        assert!(message.starts_with("broken JSON: "), "{message}");
    }
}
