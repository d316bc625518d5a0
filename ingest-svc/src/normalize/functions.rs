//! The functions of LQL. Each is a row of one table: name, arguments, kind of the result, and what it does.

mod email;

use std::ops::RangeInclusive;

use super::expression::Arguments;
use super::{Kind, Value, dates};

/// A function that mappings may call.
pub(super) struct Function {
    /// In lower case; mappings may spell it in any case.
    pub(super) name: &'static str,
    /// How many arguments it takes.
    pub(super) arity: RangeInclusive<usize>,
    /// The kind of a column that does not state one.
    pub(super) kind: Kind,
    pub(super) apply: for<'e> fn(Arguments<'e>) -> Option<Value<'e>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

static FUNCTIONS: [Function; 2] = [
    Function {
        name: "email",
        arity: 1..=1,
        kind: Kind::Text,
        apply: email,
    },
    Function {
        name: "todate",
        arity: 1..=2,
        kind: Kind::Date,
        apply: todate,
    },
];

/// The function of a name in lower case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// `email(x)`: the address in an RFC 5322 mailbox, in lower case. Takes a text or the first text of a list; other kinds give
/// no value.
fn email(arguments: Arguments<'_>) -> Option<Value<'_>> {
    match arguments.get(0)? {
        text @ (Value::Text(_) | Value::List(_)) => {
            email::address(&text.into_text()?).map(|email| Value::Text(email.into()))
        }
        _ => None,
    }
}

/// `todate(x)`: the moment that a text tells, see [`dates`]. `todate(layout, x)`: by a layout in the style of Go.
fn todate(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let date = if arguments.len() == 1 {
        match arguments.get(0)? {
            Value::Date(date) => date,
            value => dates::todate(&value.into_text()?, arguments.scope.now)?,
        }
    } else {
        dates::parse_layout(&arguments.get(0)?.into_text()?, &arguments.get(1)?.into_text()?)?
    };
    Some(Value::Date(date))
}
