//! Texts: case, pieces, places. Positions and lengths are in bytes, as in Lytics; one inside of a character gives no value.

use std::borrow::Cow;

use super::super::expression::Arguments;
use super::super::kind::VALUES_MAX;
use super::{ANY, Function, Kind, TEXT_BYTES_MAX, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("tolower", (1, 1), Kind::Text, |arguments| {
        changed(&arguments, |text| text.to_lowercase())
    }),
    Function::new("string.lowercase", (1, 1), Kind::Text, |arguments| {
        changed(&arguments, |text| text.to_lowercase())
    }),
    Function::new("string.uppercase", (1, 1), Kind::Text, |arguments| {
        changed(&arguments, |text| text.to_uppercase())
    }),
    Function::new("string.titlecase", (1, 1), Kind::Text, |arguments| {
        changed(&arguments, title_case)
    }),
    Function::new("split", (2, 2), Kind::Texts, split),
    Function::new("string.split", (2, 2), Kind::Texts, split),
    Function::new("join", (2, ANY), Kind::Text, join),
    Function::new("strip", (1, 1), Kind::Text, strip).giving_argument(0),
    Function::new("string.strip", (1, 1), Kind::Text, strip).giving_argument(0),
    Function::new("replace", (2, 3), Kind::Text, replace),
    Function::new("contains", (2, 2), Kind::Bool, contains),
    Function::new("hasprefix", (2, 2), Kind::Bool, |arguments| {
        at_an_end(&arguments, |text, prefix| text.starts_with(prefix))
    }),
    Function::new("hassuffix", (2, 2), Kind::Bool, |arguments| {
        at_an_end(&arguments, |text, suffix| text.ends_with(suffix))
    }),
    Function::new("string.index", (2, 2), Kind::Int, index),
    Function::new("string.substr", (2, 3), Kind::Text, substr),
    Function::new("len", (1, 1), Kind::Int, len),
];

fn changed<'e>(arguments: &Arguments<'e>, change: impl Fn(&str) -> String) -> Option<Value<'e>> {
    Some(change(&arguments.text(0)?).into())
}

/// Raises the first letter of each word and leaves the rest.
fn title_case(text: &str) -> String {
    let mut title = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            title.push(c);
        } else {
            title.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    title
}

/// `split(text, separator)`: the pieces, also the empty ones.
fn split(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let (text, separator) = (super::filled(&arguments, 0)?, super::filled(&arguments, 1)?);
    Some(Value::list(match text {
        Cow::Borrowed(text) => text.split(&*separator).take(VALUES_MAX).map(Value::from).collect(),
        Cow::Owned(text) => {
            let pieces = text.split(&*separator).take(VALUES_MAX);
            pieces.map(|piece| Value::from(piece.to_owned())).collect()
        }
    }))
}

/// `join(a, b, …, separator)`: lists are spread out; empty texts, and what is neither a text nor a number, is passed over.
fn join(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let last = arguments.len() - 1;
    let separator = arguments.text(last)?;
    let mut joined: Option<String> = None;
    for value in arguments.each(0).take(last).flatten() {
        let items = match value {
            Value::List(items) => items,
            value @ (Value::Text(_) | Value::Int(_) | Value::Number(_)) if !value.is_empty() => value.into_list()?,
            _ => continue,
        };
        for item in items.into_each().filter_map(Value::into_text) {
            let joined = match &mut joined {
                None => joined.insert(String::new()),
                Some(joined) => {
                    joined.push_str(&separator);
                    joined
                }
            };
            joined.push_str(&item);
            if joined.len() > TEXT_BYTES_MAX {
                return None;
            }
        }
    }
    joined.map(Value::from)
}

/// `strip(text or list)`: without blanks, tabs and line ends around it, or around each item.
fn strip(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let strip = |text: Cow<'_, str>| text.trim_matches([' ', '\t', '\r', '\n']).to_owned();
    match arguments.get(0)? {
        Value::Text(text) => Some(strip(text).into()),
        Value::List(items) => {
            let stripped = items.into_each().filter_map(Value::into_text).map(strip);
            Some(Value::list(stripped.map(Value::from).collect()))
        }
        _ => None,
    }
}

/// `replace(text, find [, with])`: every occurrence.
fn replace(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let (text, find) = (arguments.text(0)?, arguments.text(1)?);
    let with = if arguments.len() == 3 {
        arguments.text(2)?
    } else {
        "".into()
    };
    let growth = text.matches(&*find).count().checked_mul(with.len())?;
    (text.len().checked_add(growth)? <= TEXT_BYTES_MAX.max(text.len())).then(|| text.replace(&*find, &with).into())
}

/// `contains(text, part)`: what cannot be a text contains nothing; with an empty text on either side there is no value.
fn contains(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let (Some(text), Some(part)) = (arguments.text(0), arguments.text(1)) else {
        return Some(Value::Bool(false));
    };
    (!text.is_empty() && !part.is_empty()).then(|| Value::Bool(text.contains(&*part)))
}

/// A missing text begins and ends with nothing; an empty part gives no value.
fn at_an_end<'e>(arguments: &Arguments<'e>, is_there: impl Fn(&str, &str) -> bool) -> Option<Value<'e>> {
    let part = super::filled(arguments, 1)?;
    let text = arguments.text(0).unwrap_or_default();
    Some(Value::Bool(is_there(&text, &part)))
}

/// `string.index(text, part)`: the byte where the part begins.
fn index(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let at = super::filled(&arguments, 0)?.find(&*arguments.text(1)?)?;
    Some(Value::Int(at.try_into().ok()?))
}

/// `string.substr(text, start [, end])`, in bytes.
fn substr(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let text = super::filled(&arguments, 0)?;
    let position = |index| usize::try_from(arguments.get(index)?.into_int()?).ok();
    let start = position(1)?;
    let end = if arguments.len() == 3 { position(2)? } else { text.len() };
    Some(match text {
        Cow::Borrowed(text) => text.get(start..end)?.into(),
        Cow::Owned(text) => text.get(start..end)?.to_owned().into(),
    })
}

/// `len(x)`: bytes of a text, entries of a list or a map, 0 for any other value.
fn len(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let length = match arguments.get(0)? {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Date(_) => 0,
    };
    Some(Value::Int(length.try_into().ok()?))
}
