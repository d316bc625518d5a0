//! What is made of constant arguments once, when a mapping is compiled.

use jiff::tz::TimeZone;
use regex::Regex;

use super::super::Kind;
use super::super::lql::Expression;

/// Something made of a call's constant arguments.
#[derive(Clone, Debug)]
pub(in super::super) enum Prepared {
    Nothing,
    /// A zone by its IANA name.
    Zone(TimeZone),
    /// Patterns of parameters of an URL.
    Patterns(Vec<Regex>),
    /// What names of a record's fields begin with.
    Prefixes(Vec<String>),
    /// A path into JSON.
    Path(super::jmespath::Path),
    /// What `cast` converts to.
    Cast(Cast),
    /// Where in the statement the call stands: what tells it from another call of the same function.
    Place(usize),
}

/// What `cast` converts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cast {
    Text,
    Int,
    Date,
}

impl Cast {
    /// The kind of what it gives.
    pub(in super::super) fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Int => Kind::Int,
            Self::Date => Kind::Date,
        }
    }
}

/// A constant text among the arguments.
pub(super) fn literal<'e>(arguments: &'e [Expression], index: usize, what: &str) -> Result<&'e str, String> {
    match arguments.get(index) {
        Some(Expression::Text(text)) => Ok(text),
        _ => Err(format!("{what} must be a text in quotes")),
    }
}
