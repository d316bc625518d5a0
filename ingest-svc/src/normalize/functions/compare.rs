//! Comparisons as functions. They differ from the operators in what a missing value means.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::expression::{Arguments, equal};
use super::{Function, Kind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("eq", (2, 2), Kind::Bool, |arguments| same(&arguments).map(Value::Bool)),
    Function::new("ne", (2, 2), Kind::Bool, |arguments| {
        same(&arguments).map(|same| Value::Bool(!same))
    }),
    Function::new("gt", (2, 2), Kind::Bool, |arguments| {
        ordered(&arguments, Ordering::is_gt)
    }),
    Function::new("ge", (2, 2), Kind::Bool, |arguments| {
        ordered(&arguments, Ordering::is_ge)
    }),
    Function::new("lt", (2, 2), Kind::Bool, |arguments| {
        ordered(&arguments, Ordering::is_lt)
    }),
    Function::new("le", (2, 2), Kind::Bool, |arguments| {
        ordered(&arguments, Ordering::is_le)
    }),
];

/// The right side is read as what the left one is; two missing values are the same.
fn same(arguments: &Arguments<'_>) -> Option<bool> {
    match (arguments.get(0), arguments.get(1)) {
        (None, None) => Some(true),
        (None, _) | (_, None) => Some(false),
        (Some(left), Some(right)) => as_the_left(left, right, arguments.scope.now),
    }
}

/// As in Lytics, what cannot be read as a whole number counts as 0 beside one: `eq(0, "abc")` is true.
fn as_the_left(left: Value<'_>, right: Value<'_>, now: Timestamp) -> Option<bool> {
    match left {
        Value::Text(text) => Some(text == right.into_text()?),
        Value::Int(int) => Some(int == right.into_int().unwrap_or_default()),
        left => equal(left, right, now),
    }
}

/// Both sides as numbers; no value if one is none.
fn ordered<'e>(arguments: &Arguments<'e>, holds: fn(Ordering) -> bool) -> Option<Value<'e>> {
    let number = |index| arguments.get(index)?.into_number();
    Some(Value::Bool(holds(number(0)?.partial_cmp(&number(1)?)?)))
}
