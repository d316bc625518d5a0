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
//! Fields are handed on while the text is read, so a record costs no more memory than the fields somebody wants. What is
//! nested more than 127 deep is refused.

use std::borrow::Cow;
use std::fmt::Write as _;

use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::Lex as _;
use hifijson::{Expect, SliceLexer};

use super::kind::VALUES_MAX;
use super::value::print_number;
use super::{Reason, Value};

/// Objects and lists within each other, at most.
const DEPTH_MAX: usize = 127;

/// Hands every flat field of a JSON object to `take`, in the order of the text, and what stands between blanks to `keep`.
pub(super) fn flatten<'r>(
    json: &'r [u8],
    keep: impl FnMut(&str),
    take: impl FnMut(&str, Value<'r>),
) -> Result<(), Reason> {
    let json = std::str::from_utf8(json).map_err(|error| Reason::Malformed(error.to_string()))?;
    let mut walk = Walk {
        json,
        at: 0,
        run: 0,
        depth: 0,
        path: String::new(),
        keep,
        take,
    };
    let found = match walk.next() {
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
    walk.record().map_err(|fault| {
        let read = &json.as_bytes()[..walk.at];
        let lines = read.split(|byte| *byte == b'\n');
        let (line, column) = lines.fold((0, 0), |(line, _), text| (line + 1, text.len() + 1));
        Reason::Malformed(format!("{fault} at line {line} column {column}"))
    })
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Syntax(#[from] hifijson::Error),
    #[error("recursion limit exceeded")]
    TooDeep,
    #[error("number out of range")]
    OutOfRange,
}

impl From<Expect> for Fault {
    fn from(expected: Expect) -> Self {
        Self::Syntax(expected.into())
    }
}

/// Where it stands in the text.
struct Walk<'r, K, F> {
    json: &'r str,
    at: usize,
    /// Behind the last blank.
    run: usize,
    depth: usize,
    /// Where it stands within what is nested; the members of the record itself go by their names.
    path: String,
    keep: K,
    take: F,
}

impl<'r, K: FnMut(&str), F: FnMut(&str, Value<'r>)> Walk<'r, K, F> {
    fn record(&mut self) -> Result<(), Fault> {
        if self.peek(Expect::Value)? != b'{' {
            return Err(Expect::Value.into());
        }
        self.object()?;
        match self.next() {
            None => self.keep_run(),
            Some(_) => return Err(Expect::Eof.into()),
        }
        Ok(())
    }

    /// Hands on the fields of the object that begins here.
    fn object(&mut self) -> Result<(), Fault> {
        self.enter()?;
        let mut next = self.peek(Expect::ValueOrEnd)?;
        while next != b'}' {
            if next != b'"' {
                return Err(Expect::String.into());
            }
            let name = self.text()?;
            if self.peek(Expect::Colon)? != b':' {
                return Err(Expect::Colon.into());
            }
            self.at += 1;
            self.member(&name)?;
            next = self.peek(Expect::CommaOrEnd)?;
            match next {
                b',' => {
                    self.at += 1;
                    next = self.peek(Expect::String)?;
                    if next == b'}' {
                        return Err(Expect::String.into());
                    }
                }
                b'}' => {}
                _ => return Err(Expect::CommaOrEnd.into()),
            }
        }
        self.leave();
        Ok(())
    }

    fn member(&mut self, name: &str) -> Result<(), Fault> {
        let next = self.peek(Expect::Value)?;
        let is_of_record = self.depth == 1;
        if is_of_record && !is_nested(next) {
            let value = field(self.scalar(next)?);
            (self.take)(name, value);
            return Ok(());
        }
        let parent = self.path.len();
        if !is_of_record {
            self.path.push('.');
        }
        self.path.push_str(name);
        if is_nested(next) {
            self.nested(next)?;
        } else {
            let value = field(self.scalar(next)?);
            (self.take)(&self.path, value);
        }
        self.path.truncate(parent);
        Ok(())
    }

    fn nested(&mut self, next: u8) -> Result<(), Fault> {
        if next == b'{' { self.object() } else { self.list() }
    }

    /// Hands on the list that begins here: as one field, or as those of its items if not all of them are scalars.
    fn list(&mut self) -> Result<(), Fault> {
        self.enter()?;
        let parent = self.path.len();
        let mut scalars = Vec::new();
        let mut only_scalars = true;
        let mut next = self.peek(Expect::ValueOrEnd)?;
        for index in 0_usize.. {
            if next == b']' {
                break;
            }
            if is_nested(next) {
                only_scalars = false;
                push_index(&mut self.path, index);
                self.nested(next)?;
                self.path.truncate(parent);
            } else if let Some(text) = self.scalar(next)?
                && scalars.len() < VALUES_MAX
            {
                scalars.push((index, text));
            }
            next = self.peek(Expect::CommaOrEnd)?;
            match next {
                b',' => {
                    self.at += 1;
                    next = self.peek(Expect::Value)?;
                    if next == b']' {
                        return Err(Expect::Value.into());
                    }
                }
                b']' => {}
                _ => return Err(Expect::CommaOrEnd.into()),
            }
        }
        self.leave();
        if only_scalars {
            let items = scalars.into_iter().map(|(_, text)| Value::Text(text)).collect();
            (self.take)(&self.path, Value::list(items));
            return Ok(());
        }
        for (index, text) in scalars {
            push_index(&mut self.path, index);
            (self.take)(&self.path, Value::Text(text));
            self.path.truncate(parent);
        }
        Ok(())
    }

    /// The scalar that begins here as a text; `None` if it is null.
    fn scalar(&mut self, next: u8) -> Result<Option<Cow<'r, str>>, Fault> {
        if next == b'"' {
            return self.text().map(Some);
        }
        match next {
            b'-' | b'0'..=b'9' => {
                let (number, parts) = self.lex(|lexer| Ok(lexer.num_string().validated()?))?;
                plain(number, parts.is_int()).ok_or(Fault::OutOfRange).map(Some)
            }
            _ => match self.lex(|lexer| Ok(lexer.null_or_bool().ok_or(Expect::Value)?))? {
                Some(true) => Ok(Some("true".into())),
                Some(false) => Ok(Some("false".into())),
                None => Ok(None),
            },
        }
    }

    /// The text that begins here: a value or a name.
    fn text(&mut self) -> Result<Cow<'r, str>, Fault> {
        let rest = &self.json[self.at + 1..];
        let length = unescaped(rest.as_bytes());
        // Most texts have nothing that is escaped.
        if rest.as_bytes().get(length) == Some(&b'"') {
            self.at += length + 2;
            return Ok(rest[..length].into());
        }
        self.lex(|lexer| Ok(lexer.discarded().str_string()?))
    }

    /// Reads a token that a library knows better.
    fn lex<T>(&mut self, read: impl FnOnce(&mut SliceLexer<'r>) -> Result<T, hifijson::Error>) -> Result<T, Fault> {
        let mut lexer = SliceLexer::new(&self.json.as_bytes()[self.at..]);
        let token = read(&mut lexer);
        self.at = self.json.len() - lexer.as_slice().len();
        Ok(token?)
    }

    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn peek(&mut self, expected: Expect) -> Result<u8, Fault> {
        self.next().ok_or_else(|| expected.into())
    }

    /// The first byte of the next token.
    fn next(&mut self) -> Option<u8> {
        let next = self.here()?;
        if !is_blank(next) {
            return Some(next);
        }
        self.keep_run();
        while self.here().is_some_and(is_blank) {
            self.at += 1;
        }
        self.run = self.at;
        self.here()
    }

    fn here(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn keep_run(&mut self) {
        (self.keep)(&self.json[self.run..self.at]);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_nested(next: u8) -> bool {
    matches!(next, b'{' | b'[')
}

/// What a scalar gives as a field: null is the empty list.
fn field(scalar: Option<Cow<'_, str>>) -> Value<'_> {
    scalar.map_or_else(|| Value::list(Vec::new()), Value::Text)
}

/// How many bytes stand before a quote, a backslash or a control character. Eight are looked at together: what is subtracted turns the
/// high bit of a byte on if there is one of those, and of higher bytes perhaps without.
fn unescaped(text: &[u8]) -> usize {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let is_equal = |word: u64, byte: u64| {
        let difference = word ^ (EACH * byte);
        difference.wrapping_sub(EACH) & !difference
    };
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is_control = word.wrapping_sub(EACH * 0x20) & !word;
        let found = (is_equal(word, 0x22) | is_equal(word, 0x5c) | is_control) & (EACH * 0x80);
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    text.len() - rest.len() + rest.iter().position(ends).unwrap_or(rest.len())
}

/// A number without its exponent. What fits 64 bits is exact. Nothing if it is larger than any float.
fn plain(number: &str, is_int: bool) -> Option<Cow<'_, str>> {
    // Of up to 18 digits all fit.
    let fits = || number.len() <= 18 || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    if is_int && fits() {
        return Some(number.into());
    }
    let number: f64 = number.parse().ok()?;
    number.is_finite().then(|| print_number(number).into())
}

fn push_index(path: &mut String, index: usize) {
    // Writing to a `String` cannot fail.
    let _infallible = write!(path, "[{index}]");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field on a line, a list in brackets.
    fn flat(json: &str) -> Result<String, Reason> {
        let mut lines = Vec::new();
        flatten(
            json.as_bytes(),
            |_| {},
            |path, value| {
                lines.push(match value {
                    Value::List(items) => {
                        let texts: Vec<_> = items.into_each().filter_map(Value::into_text).collect();
                        format!("{path}=[{}]", texts.join(","))
                    }
                    value => format!("{path}={}", value.into_text().unwrap()),
                });
            },
        )?;
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
        flatten(
            br#"{"city":"Porto"}"#,
            |_| {},
            |_, value| assert!(matches!(value, Value::Text(Cow::Borrowed("Porto")))),
        )
        .unwrap();
    }

    #[test]
    fn what_stands_between_blanks_is_kept_as_it_was_written() {
        let kept = |json: &str| {
            let mut kept = String::new();
            flatten(json.as_bytes(), |run| kept.push_str(run), |_, _| {}).unwrap();
            kept
        };
        for (json, expected) in [
            (
                "\r\n{ \"a\" :\t\"x \\\" y\" ,\n\"b\":[1.0 , {} ]} ",
                r#"{"a":"x \" y","b":[1.0,{}]}"#,
            ),
            (r#"{"a":null}"#, r#"{"a":null}"#),
            ("{ }", "{}"),
        ] {
            assert_eq!(kept(json), expected);
        }
    }

    #[test]
    fn wherever_a_text_ends_it_ends_there() {
        for length in 0..40 {
            for end in ["\"", "\\", "\n", "\u{1f}", ""] {
                let text = "é!ÿ~ \u{7f}".chars().cycle().take(length).collect::<String>();
                let json = format!("{text}{end}\"\\ and so on");
                assert_eq!(unescaped(json.as_bytes()), text.len(), "{json:?}");
                assert_eq!(unescaped(text.as_bytes()), text.len(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_number_of_64_bits_is_exact_and_a_larger_one_a_float() {
        for (json, expected) in [
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709552000"),
            ("-0", "-0"),
            ("-0.0", "-0"),
            ("0e5", "0"),
        ] {
            assert_eq!(flat(&format!("{{\"n\":{json}}}")).unwrap(), format!("n={expected}"));
        }
        assert!(matches!(flat(r#"{"n":1e400}"#), Err(Reason::Malformed(_))));
    }

    #[test]
    fn nesting_ends_at_127() {
        let nested = |depth: usize| {
            let json = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            flat(&json).map(|flat| flat.len())
        };
        assert_eq!(nested(127), Ok(127 + 126 + 2));
        assert!(matches!(nested(128), Err(Reason::Malformed(_))));
    }

    #[test]
    fn a_list_ends_after_a_thousand_values() {
        let items = vec!["1"; 1_001].join(",");
        flatten(
            format!(r#"{{"a":[{items}]}}"#).as_bytes(),
            |_| {},
            |_, value| {
                assert!(matches!(value, Value::List(items) if items.len() == 1_000));
            },
        )
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
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a" 1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":truest}"#,
            r#"{"a":"\x"}"#,
            "{a:1}",
            "{,}",
            "\u{feff}{}",
            r#"{"a":"line
break"}"#,
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
            &deep,
        ] {
            assert!(matches!(flat(json), Err(Reason::Malformed(_))), "{json}");
        }
        assert!(matches!(
            flatten(b"{\"a\":\"\xff\"}", |_| {}, |_, _| {}),
            Err(Reason::Malformed(_))
        ));
    }
}
