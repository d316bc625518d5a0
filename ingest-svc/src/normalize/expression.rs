//! Compiled expressions and what they are evaluated against.

mod operators;

use jiff::Timestamp;

use super::event_id::EventId;
use super::functions::{Function, Prepared};
use super::lql::Operator;
use super::value::{Entry, Value};
use super::wanted::Slot;
pub(super) use operators::{equal, is_like};

/// An expression whose fields and functions have been looked up.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// No value, ever.
    Nothing,
    /// The record's field in this slot.
    Field(usize),
    /// A constant.
    Literal(Value<'static>),
    /// Several values; those that are there.
    List(Vec<Expression>),
    /// A function applied to arguments; their number has been checked.
    Call(&'static Function, Vec<Expression>, Prepared),
    /// A number with the other sign.
    Minus(Box<Expression>),
    /// The other truth value.
    Not(Box<Expression>),
    /// Whether there is a value that is not empty.
    Exists(Box<Expression>),
    /// Whether all are true: the first that is not decides.
    All(Vec<Expression>),
    /// Whether one is true.
    Any(Vec<Expression>),
    /// An operator between two operands.
    Binary(Operator, Box<[Expression; 2]>),
    /// Whether the first lies between the others and is neither.
    Between(Box<[Expression; 3]>),
}

/// What is known while one record is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'e> {
    /// The fields of the record by slot.
    pub(super) fields: &'e [Slot<'e>],
    /// The fields whose names begin as the mapping's calls of `match` ask for, in the order of the record.
    pub(super) matched: &'e [Entry<'e>],
    /// The record's time: `now()`, and the anchor of date arithmetic.
    pub(super) now: Timestamp,
    /// The id of the event that the record becomes.
    pub(super) event_id: &'e EventId,
}

impl Expression {
    pub(super) fn evaluate<'e>(&'e self, scope: Scope<'e>) -> Option<Value<'e>> {
        match self {
            Self::Nothing => None,
            Self::Field(slot) => scope.fields.get(*slot)?.lend(),
            Self::Literal(value) => Some(value.lend()),
            Self::List(items) => Some(Value::list(
                items.iter().filter_map(|item| item.evaluate(scope)).collect(),
            )),
            Self::Call(function, arguments, prepared) => (function.apply)(Arguments {
                expressions: arguments,
                prepared,
                scope,
            }),
            Self::Minus(operand) => match operand.evaluate(scope)? {
                Value::Int(int) => int.checked_neg().map(Value::Int),
                value => value.into_number().map(|number| Value::Number(-number)),
            },
            Self::Not(operand) => Some(Value::Bool(!operand.evaluate(scope)?.into_bool()?)),
            Self::Exists(operand) => Some(Value::Bool(
                operand.evaluate(scope).is_some_and(|value| !value.is_empty()),
            )),
            Self::All(operands) => {
                for operand in operands {
                    if !operand.evaluate(scope)?.into_bool()? {
                        return Some(Value::Bool(false));
                    }
                }
                Some(Value::Bool(true))
            }
            Self::Any(operands) => Some(Value::Bool(operands.iter().any(|operand| operand.is_true(scope)))),
            Self::Binary(operator, operands) => {
                let [left, right] = &**operands;
                operators::binary(*operator, left.evaluate(scope), right.evaluate(scope), scope.now)
            }
            Self::Between(operands) => {
                let [value, low, high] = &**operands;
                let value = value.evaluate(scope)?;
                let over = operators::order(value.clone(), low.evaluate(scope)?, scope.now)?.is_gt();
                let under = operators::order(value, high.evaluate(scope)?, scope.now)?.is_lt();
                Some(Value::Bool(over && under))
            }
        }
    }

    /// The text of a bare field, which most expressions are; nothing if it is another expression, or has none.
    pub(super) fn lent_text<'e>(&self, scope: &Scope<'e>) -> Option<&'e str> {
        match self {
            Self::Field(slot) => scope.fields.get(*slot)?.text(),
            _ => None,
        }
    }

    /// As a condition: no value is not true.
    pub(super) fn is_true(&self, scope: Scope<'_>) -> bool {
        self.evaluate(scope).and_then(Value::into_bool) == Some(true)
    }
}

/// The arguments of a call. Each is evaluated when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments<'e> {
    expressions: &'e [Expression],
    /// What was made of constant arguments when the mapping was compiled.
    pub(super) prepared: &'e Prepared,
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

    /// One argument as a text.
    pub(super) fn text(&self, index: usize) -> Option<std::borrow::Cow<'e, str>> {
        let expression = self.expressions.get(index)?;
        match expression.lent_text(&self.scope) {
            Some(text) => Some(text.into()),
            None => expression.evaluate(self.scope)?.into_text(),
        }
    }

    /// The values of all arguments from one on.
    pub(super) fn each(self, from: usize) -> impl Iterator<Item = Option<Value<'e>>> {
        (from..self.len()).map(move |index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::event_id::Distinct;
    use super::super::value::Items;
    use super::*;

    #[test]
    fn a_bare_field_is_lent_and_not_copied() {
        let fields = [Value::from("Porto"), Value::list(vec![Value::from("a")])].map(Slot::from);
        let scope = Scope {
            fields: &fields,
            matched: &[],
            now: Timestamp::UNIX_EPOCH,
            event_id: &Distinct::new(1, "s", 0).id(),
        };
        let (text, list) = (Expression::Field(0), Expression::Field(1));
        assert!(matches!(
            text.evaluate(scope),
            Some(Value::Text(Cow::Borrowed("Porto")))
        ));
        assert!(matches!(list.evaluate(scope), Some(Value::List(Items::Lent([_])))));
        let constant = Expression::Literal(Value::from(String::from("made once")));
        assert!(matches!(constant.evaluate(scope), Some(Value::Text(Cow::Borrowed(_)))));
    }
}
