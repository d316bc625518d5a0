//! JSON object → flat fields, by the rules of Lytics' collector.
//!
//! | JSON | fields |
//! |---|---|
//! | `{"address": {"city": "Porto"}}` | `address.city` = Porto |
//! | `{"tags": ["a", 2, true]}` | `tags` = the list a, 2, true |
//! | `{"devices": [{"os": "iOS"}, {"os": "Android"}]}` | `devices[0].os` = iOS, `devices[1].os` = Android |
//! | `{"mixed": ["a", {"b": 1}, ["c"]]}` | `mixed[0]` = a, `mixed[1].b` = 1, `mixed[2]` = the list c |
//! | `{"gone": null}` | `gone` = the empty list |
//! | `{"n": 1e3, "f": 2.50, "b": true}` | `n` = 1000, `f` = 2.5, `b` = true |
//!
//! Every scalar becomes a text; numbers lose their exponent. Of a list of scalars `null`s are left out and the first 1,000
//! values count. When two members give the same field, the last one counts. A list of objects, which Lytics' collector
//! calls invalid, is accepted: Braze's exports are full of them.
//!
//! Fields are handed on while the text is read, so a record costs no more memory than the fields somebody wants. Nesting
//! is bounded by serde_json's recursion limit of 128.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::kind::VALUES_MAX;
use super::value::print_number;
use super::{Reason, Value};

/// Hands every flat field of a JSON object to `take`, in the order of the text.
pub(super) fn flatten<'r>(json: &'r [u8], mut take: impl FnMut(&str, Value<'r>)) -> Result<(), Reason> {
    let text = std::str::from_utf8(json).map_err(|error| Reason::Malformed(error.to_string()))?;
    let found = match text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next() {
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b'0'..=b'9' | b'-') => "a number",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        _ => "",
    };
    if !found.is_empty() {
        return Err(Reason::NotAnObject { found });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut path = String::new();
    let walk = Walk {
        path: &mut path,
        top: true,
        take: &mut take,
    };
    walk.deserialize(&mut deserializer)
        .and_then(|_| deserializer.end())
        .map_err(|error| Reason::Malformed(error.to_string()))
}

/// What stood at a path.
enum Seen<'r> {
    Null,
    Scalar(Cow<'r, str>),
    /// An object or a list; its fields are already handed on.
    Nested,
}

/// Reads the value at `path`: hands on the fields of an object or a list, gives back a scalar.
struct Walk<'w, F> {
    path: &'w mut String,
    top: bool,
    take: &'w mut F,
}

impl<'r, F: FnMut(&str, Value<'r>)> DeserializeSeed<'r> for Walk<'_, F> {
    type Value = Seen<'r>;

    fn deserialize<D: Deserializer<'r>>(self, deserializer: D) -> Result<Seen<'r>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'r, F: FnMut(&str, Value<'r>)> Visitor<'r> for Walk<'_, F> {
    type Value = Seen<'r>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut members: A) -> Result<Seen<'r>, A::Error> {
        let parent = self.path.len();
        while members
            .next_key_seed(Key {
                path: self.path,
                top: self.top,
            })?
            .is_some()
        {
            let seen = members.next_value_seed(Walk {
                path: self.path,
                top: false,
                take: self.take,
            })?;
            match seen {
                Seen::Null => (self.take)(self.path, Value::list(Vec::new())),
                Seen::Scalar(text) => (self.take)(self.path, Value::Text(text)),
                Seen::Nested => {}
            }
            self.path.truncate(parent);
        }
        Ok(Seen::Nested)
    }

    fn visit_seq<A: SeqAccess<'r>>(self, mut items: A) -> Result<Seen<'r>, A::Error> {
        let parent = self.path.len();
        let mut scalars = Vec::new();
        let mut only_scalars = true;
        for index in 0_usize.. {
            push_index(self.path, index);
            let seen = items.next_element_seed(Walk {
                path: self.path,
                top: false,
                take: self.take,
            })?;
            self.path.truncate(parent);
            match seen {
                None => break,
                Some(Seen::Scalar(text)) if scalars.len() < VALUES_MAX => scalars.push((index, text)),
                Some(Seen::Scalar(_) | Seen::Null) => {}
                Some(Seen::Nested) => only_scalars = false,
            }
        }
        if only_scalars {
            (self.take)(
                self.path,
                Value::list(scalars.into_iter().map(|(_, text)| Value::Text(text)).collect()),
            );
        } else {
            for (index, text) in scalars {
                push_index(self.path, index);
                (self.take)(self.path, Value::Text(text));
                self.path.truncate(parent);
            }
        }
        Ok(Seen::Nested)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'r str) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(Cow::Borrowed(if bool { "true" } else { "false" })))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(int.to_string().into()))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(int.to_string().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Seen<'r>, E> {
        Ok(Seen::Scalar(print_number(number).into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Seen<'r>, E> {
        Ok(Seen::Null)
    }
}

fn push_index(path: &mut String, index: usize) {
    // Writing to a `String` cannot fail.
    let _infallible = write!(path, "[{index}]");
}

/// Appends a member's name to the path.
struct Key<'p> {
    path: &'p mut String,
    top: bool,
}

impl<'r> DeserializeSeed<'r> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if !self.top {
            self.path.push('.');
        }
        self.path.push_str(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field on a line, a list in brackets.
    fn flat(json: &str) -> Result<String, Reason> {
        let mut lines = Vec::new();
        flatten(json.as_bytes(), |path, value| {
            lines.push(match value {
                Value::List(items) => {
                    let texts: Vec<_> = items.into_each().filter_map(Value::into_text).collect();
                    format!("{path}=[{}]", texts.join(","))
                }
                value => format!("{path}={}", value.into_text().unwrap()),
            });
        })?;
        Ok(lines.join(" "))
    }

    #[test]
    fn nesting_becomes_dots_lists_and_indexes() {
        for (json, expected) in [
            (r#"{"a":{"b":{"c":"x"}},"d":"y"}"#, "a.b.c=x d=y"),
            (r#"{"tags":["a",2,true,null]}"#, "tags=[a,2,true]"),
            (
                r#"{"devices":[{"os":"iOS"},{"os":"Android"}]}"#,
                "devices[0].os=iOS devices[1].os=Android",
            ),
            (
                r#"{"mixed":["a",{"b":1},["c"],null,"d"]}"#,
                "mixed[1].b=1 mixed[2]=[c] mixed[0]=a mixed[4]=d",
            ),
            (r#"{"gone":null,"none":[],"no":{}}"#, "gone=[] none=[]"),
            (r#"{"":{"a":1},"b":{"":2}}"#, ".a=1 b.=2"),
            (r#"{"a.b":1,"a":{"b":2}}"#, "a.b=1 a.b=2"),
            ("{}", ""),
        ] {
            assert_eq!(flat(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn numbers_lose_their_exponent_and_texts_their_escapes() {
        assert_eq!(
            flat(r#"{"n":[1e3,2.50,-0.5,1e21,18446744073709551615,-7,1e-7]}"#).unwrap(),
            "n=[1000,2.5,-0.5,1000000000000000000000,18446744073709551615,-7,0.0000001]"
        );
        assert_eq!(flat(r#"{"t":"Jos\u00e9 \"J\" 😀"}"#).unwrap(), "t=José \"J\" 😀");
    }

    #[test]
    fn a_text_without_escapes_is_borrowed_from_the_record() {
        flatten(br#"{"city":"Porto"}"#, |_, value| {
            assert!(matches!(value, Value::Text(Cow::Borrowed("Porto"))))
        })
        .unwrap();
    }

    #[test]
    fn a_list_ends_after_a_thousand_values() {
        let items = vec!["1"; 1_001].join(",");
        flatten(format!(r#"{{"a":[{items}]}}"#).as_bytes(), |_, value| {
            assert!(matches!(value, Value::List(items) if items.len() == 1_000));
        })
        .unwrap();
    }

    #[test]
    fn what_is_not_an_object_is_named() {
        for (json, found) in [
            (" [1]", "a list"),
            ("\"x\"", "a text"),
            ("-1", "a number"),
            ("true", "a truth value"),
            ("null", "null"),
        ] {
            assert_eq!(flat(json), Err(Reason::NotAnObject { found }), "{json}");
        }
    }

    #[test]
    fn broken_text_and_deep_nesting_are_malformed_not_a_panic() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for json in [
            "",
            "{",
            r#"{"a":}"#,
            r#"{"a":1} x"#,
            r#"{"a":"line
break"}"#,
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
            &deep,
        ] {
            assert!(matches!(flat(json), Err(Reason::Malformed(_))), "{json}");
        }
        assert!(matches!(
            flatten(b"{\"a\":\"\xff\"}", |_, _| {}),
            Err(Reason::Malformed(_))
        ));
    }
}
