//! The functions of LQL. Each is a row of one table: name, arguments, kind of the result, and what it does.
//!
//! A function gives a value or none, and never fails. It sees which of its arguments have no value, and decides itself what
//! that means. Whatever a mapping does with a record, no text of more than 1 MiB and no list of more than 1,000 items comes
//! out of it: Lytics' bounds of a profile and of one attribute's set.

mod aggregate;
mod array;
mod choose;
mod compare;
mod convert;
mod dates;
mod email;
mod filter;
mod hash;
mod jmespath;
mod maps;
mod network;
mod prepare;
mod text;
mod url;

use super::expression::Arguments;
use super::lql::Expression;
use super::{Kind, Value};
pub(super) use prepare::Prepared;

/// Bytes of a text that a function makes, at most: Lytics' bound of a profile.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A function that mappings may call.
pub(super) struct Function {
    /// In lower case; mappings may spell it in any case.
    pub(super) name: &'static str,
    /// How many arguments it takes, at least and at most.
    pub(super) arity: (usize, usize),
    /// The kind of a column that does not state one.
    pub(super) gives: Gives,
    pub(super) apply: Apply,
    /// Checks constant arguments when a mapping is compiled, and keeps what was made of them. The place is the call's.
    pub(super) prepare: fn(usize, &[Expression]) -> Result<Prepared, String>,
}

type Apply = for<'e> fn(Arguments<'e>) -> Option<Value<'e>>;

/// The kind of what a function gives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// Always this one.
    Kind(Kind),
    /// That of one of its arguments.
    Argument(usize),
}

impl Function {
    const fn new(name: &'static str, arity: (usize, usize), gives: Kind, apply: Apply) -> Self {
        Self {
            name,
            arity,
            gives: Gives::Kind(gives),
            apply,
            prepare: |_, _| Ok(Prepared::Nothing),
        }
    }

    /// The same, giving what one of its arguments is.
    const fn giving_argument(mut self, argument: usize) -> Self {
        self.gives = Gives::Argument(argument);
        self
    }

    /// The same, with constant arguments that are checked when a mapping is compiled.
    const fn prepared(mut self, prepare: fn(usize, &[Expression]) -> Result<Prepared, String>) -> Self {
        self.prepare = prepare;
        self
    }

    /// Whether it can be called with so many arguments.
    pub(super) fn takes(&self, arguments: usize) -> bool {
        (self.arity.0..=self.arity.1).contains(&arguments)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// No bound of the number of arguments.
const ANY: usize = usize::MAX;

static FUNCTIONS: [&[Function]; 14] = [
    text::FUNCTIONS,
    convert::FUNCTIONS,
    dates::FUNCTIONS,
    email::FUNCTIONS,
    url::FUNCTIONS,
    network::FUNCTIONS,
    choose::FUNCTIONS,
    compare::FUNCTIONS,
    aggregate::FUNCTIONS,
    array::FUNCTIONS,
    maps::FUNCTIONS,
    filter::FUNCTIONS,
    hash::FUNCTIONS,
    jmespath::FUNCTIONS,
];

/// Every function.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().copied().flatten()
}

/// The function of a name in lower case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// A text that is not empty: of the argument itself or of its first item.
fn filled<'e>(arguments: &Arguments<'e>, index: usize) -> Option<std::borrow::Cow<'e, str>> {
    arguments.text(index).filter(|text| !text.is_empty())
}

/// A value that is not empty.
fn present<'e>(arguments: &Arguments<'e>, index: usize) -> Option<Value<'e>> {
    arguments.get(index).filter(|value| !value.is_empty())
}
