//! Which of several values counts, and whether there is one.

use super::super::expression::Arguments;
use super::{ANY, Function, Kind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("oneof", (2, ANY), Kind::Text, |arguments| {
        arguments.each(0).flatten().find(|value| !value.is_empty())
    })
    .giving_argument(0),
    Function::new("any", (1, ANY), Kind::Bool, |arguments| {
        let there = arguments.each(0).flatten().any(|value| !value.is_empty());
        Some(Value::Bool(there))
    }),
    Function::new("all", (1, ANY), Kind::Bool, |arguments| {
        let there = arguments.each(0).all(|value| value.is_some_and(|value| passes(&value)));
        Some(Value::Bool(there))
    }),
    Function::new("exists", (1, 1), Kind::Bool, |arguments| {
        Some(Value::Bool(arguments.get(0).is_some()))
    }),
    Function::new("if", (2, 3), Kind::Text, choose).giving_argument(1),
    Function::new("ifcase", (2, ANY), Kind::Text, choose).giving_argument(1),
];

/// What `all` takes for true. As in Lytics, a number other than 0 is not, and 0 is: the wrong way round, against the
/// comment that stands there, but mappings may rely on it.
fn passes(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(bool) => *bool,
        Value::Int(int) => *int == 0,
        Value::Number(number) => number.trunc() == 0.0,
        value => !value.is_empty(),
    }
}

/// `if(condition, then, …, [else])`: the value behind the first condition that is true; else the last one, if it is alone.
fn choose(arguments: Arguments<'_>) -> Option<Value<'_>> {
    for condition in (0..arguments.len() - 1).step_by(2) {
        if arguments.get(condition).and_then(Value::into_bool) == Some(true) {
            return arguments.get(condition + 1);
        }
    }
    if arguments.len() % 2 == 1 {
        arguments.get(arguments.len() - 1)
    } else {
        None
    }
}
