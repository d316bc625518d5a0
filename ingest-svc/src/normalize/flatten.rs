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
//! nested more than 127 deep is refused. This is the larger part of what a record costs: hence what is always inlined.

mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;

use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::Lex as _;
use hifijson::{Expect, SliceLexer};

use super::kind::VALUES_MAX;
use super::value::print_number;
use super::{Reason, Value};
use scan::end_of_plain;

/// Objects and lists within each other, at most.
const DEPTH_MAX: usize = 127;

/// Takes the flat fields of a record.
pub(super) trait Sink<'r> {
    fn field(&mut self, path: &str, value: Value<'r>);
}

/// Hands every flat field of a JSON object to `sink`, in the order of the text, and what stands between blanks to `keep`.
pub(super) fn flatten<'r>(json: &'r [u8], keep: impl FnMut(&[u8]), sink: &mut impl Sink<'r>) -> Result<(), Reason> {
    let json = std::str::from_utf8(json).map_err(|error| Reason::Malformed(error.to_string()))?;
    let mut walk = Walk {
        json,
        at: 0,
        run: 0,
        depth: 0,
        path: String::new(),
        keep,
        sink,
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
struct Walk<'r, 's, K, S> {
    json: &'r str,
    at: usize,
    /// Behind the last blank.
    run: usize,
    depth: usize,
    /// Where it stands within what is nested; the members of the record itself go by their names.
    path: String,
    keep: K,
    sink: &'s mut S,
}

impl<'r, K: FnMut(&[u8]), S: Sink<'r>> Walk<'r, '_, K, S> {
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
        let mut next = self.first(b'}')?;
        while let Some(quote) = next {
            if quote != b'"' {
                return Err(Expect::String.into());
            }
            let name = self.text()?;
            if self.peek(Expect::Colon)? != b':' {
                return Err(Expect::Colon.into());
            }
            self.at += 1;
            self.member(&name)?;
            next = self.another(b'}')?;
        }
        Ok(())
    }

    /// Hands on the fields of a member.
    fn member(&mut self, name: &str) -> Result<(), Fault> {
        let next = self.peek(Expect::Value)?;
        if self.depth == 1 && next == b'"' {
            // As most are: it goes by its own name, and nothing is copied.
            let text = self.text()?;
            self.sink.field(name, Value::Text(text));
            return Ok(());
        }
        let parent = self.path.len();
        if self.depth > 1 {
            self.path.push('.');
        }
        self.path.push_str(name);
        if is_nested(next) {
            self.nested(next)?;
        } else {
            let scalar = self.scalar(next)?;
            self.hand_on(scalar.map_or_else(|| Value::list(Vec::new()), Value::Text));
        }
        self.path.truncate(parent);
        Ok(())
    }

    fn nested(&mut self, next: u8) -> Result<(), Fault> {
        if next == b'{' { self.object() } else { self.list() }
    }

    /// Hands on the list that begins here: as one field, or as those of its items if not all of them are scalars.
    fn list(&mut self) -> Result<(), Fault> {
        let parent = self.path.len();
        let mut scalars = Vec::new();
        let mut only_scalars = true;
        let mut items = 0..;
        let mut next = self.first(b']')?;
        while let (Some(item), Some(index)) = (next, items.next()) {
            if is_nested(item) {
                only_scalars = false;
                push_index(&mut self.path, index);
                self.nested(item)?;
                self.path.truncate(parent);
            } else if let Some(text) = self.scalar(item)?
                && scalars.len() < VALUES_MAX
            {
                scalars.push((index, text));
            }
            next = self.another(b']')?;
        }
        if only_scalars {
            let items = scalars.into_iter().map(|(_, text)| Value::Text(text)).collect();
            self.hand_on(Value::list(items));
            return Ok(());
        }
        for (index, text) in scalars {
            push_index(&mut self.path, index);
            self.hand_on(Value::Text(text));
            self.path.truncate(parent);
        }
        Ok(())
    }

    fn hand_on(&mut self, value: Value<'r>) {
        self.sink.field(&self.path, value);
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
    #[inline(always)]
    fn text(&mut self) -> Result<Cow<'r, str>, Fault> {
        let begin = self.at + 1;
        let end = end_of_plain(self.json.as_bytes(), begin);
        // Most texts have nothing that is escaped.
        if self.json.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(self.json[begin..end].into());
        }
        self.escaped_text()
    }

    #[cold]
    fn escaped_text(&mut self) -> Result<Cow<'r, str>, Fault> {
        self.lex(|lexer| Ok(lexer.discarded().str_string()?))
    }

    /// Reads a token that a library knows better.
    fn lex<T>(&mut self, read: impl FnOnce(&mut SliceLexer<'r>) -> Result<T, hifijson::Error>) -> Result<T, Fault> {
        let mut lexer = SliceLexer::new(&self.json.as_bytes()[self.at..]);
        let token = read(&mut lexer);
        self.at = self.json.len() - lexer.as_slice().len();
        Ok(token?)
    }

    /// Enters the object or list that begins here: where its first item begins, if it has one.
    fn first(&mut self, end: u8) -> Result<Option<u8>, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let next = self.peek(Expect::ValueOrEnd)?;
        Ok(self.unless_at(end, next))
    }

    /// Where another item begins behind one, if there is one.
    #[inline(always)]
    fn another(&mut self, end: u8) -> Result<Option<u8>, Fault> {
        match self.peek(Expect::CommaOrEnd)? {
            b',' => {
                self.at += 1;
                self.peek(Expect::Value).map(Some)
            }
            next if next == end => Ok(self.unless_at(end, next)),
            _ => Err(Expect::CommaOrEnd.into()),
        }
    }

    /// Leaves the object or list if this is its end.
    fn unless_at(&mut self, end: u8, next: u8) -> Option<u8> {
        if next != end {
            return Some(next);
        }
        self.depth -= 1;
        self.at += 1;
        None
    }

    #[inline(always)]
    fn peek(&mut self, expected: Expect) -> Result<u8, Fault> {
        self.next().ok_or_else(|| expected.into())
    }

    /// The first byte of the next token.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let next = self.here()?;
        if !is_blank(next) {
            return Some(next);
        }
        self.keep_run();
        loop {
            self.at += 1;
            match self.here() {
                Some(byte) if is_blank(byte) => {}
                next => {
                    self.run = self.at;
                    return next;
                }
            }
        }
    }

    fn here(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn keep_run(&mut self) {
        (self.keep)(&self.json.as_bytes()[self.run..self.at]);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_nested(next: u8) -> bool {
    matches!(next, b'{' | b'[')
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
