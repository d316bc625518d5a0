//! Compiled expressions and what they are evaluated against.

use jiff::Timestamp;

use super::Value;
use super::functions::Function;

/// An expression whose fields and functions have been looked up.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// The record's field in this slot.
    Field(usize),
    /// A constant.
    Literal(Value<'static>),
    /// A function applied to arguments; their number has been checked.
    Call(&'static Function, Vec<Expression>),
}

/// What is known while one record is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'e> {
    /// The fields of the record by slot; `None` if the record does not have it.
    pub(super) fields: &'e [Option<Value<'e>>],
    /// The record's time: the anchor of date arithmetic.
    pub(super) now: Timestamp,
}

impl Expression {
    pub(super) fn evaluate<'e>(&'e self, scope: Scope<'e>) -> Option<Value<'e>> {
        match self {
            Self::Field(slot) => scope.fields.get(*slot)?.as_ref().map(Value::lend),
            Self::Literal(value) => Some(value.lend()),
            Self::Call(function, arguments) => (function.apply)(Arguments {
                expressions: arguments,
                scope,
            }),
        }
    }
}

/// The arguments of a call. Each is evaluated when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments<'e> {
    expressions: &'e [Expression],
    /// What the call is evaluated against.
    pub(super) scope: Scope<'e>,
}

impl<'e> Arguments<'e> {
    pub(super) fn len(&self) -> usize {
        self.expressions.len()
    }

    /// The value of one argument, from 0.
    pub(super) fn get(&self, index: usize) -> Option<Value<'e>> {
        self.expressions.get(index)?.evaluate(self.scope)
    }
}
