//! What stands between two operands.
//!
//! | operator | operands | without a value on one side |
//! |---|---|---|
//! | `==` | by [`equal`] | false; with none on either side, false |
//! | `!=` | the same, turned round | true; with none on either side, false |
//! | `> >= < <=` | by [`order`] | false |
//! | `LIKE` | texts or lists of them; `*` and `%` stand for anything | false |
//! | `CONTAINS` | a text and its part; a list with an item that has it | none on the left: false; on the right: no value |
//! | `IN`, `INTERSECTS` | an item or a key of each side is the same | false; with none on either side, no value |
//! | `+ - * / %` | numbers; whole ones stay whole | no value |
//!
//! What cannot be compared, divided by nothing or counted gives no value.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::lql::Operator;
use super::super::value::Value;

/// The result of an operator.
pub(super) fn binary<'e>(
    operator: Operator,
    left: Option<Value<'e>>,
    right: Option<Value<'e>>,
    now: Timestamp,
) -> Option<Value<'e>> {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (left, right) => return without(operator, left.is_some(), right.is_some()).map(Value::Bool),
    };
    let order = |left, right| order(left, right, now);
    let truth = match operator {
        Operator::Equal => equal(left, right, now)?,
        Operator::NotEqual => !equal(left, right, now)?,
        Operator::Greater => order(left, right)?.is_gt(),
        Operator::GreaterOrEqual => order(left, right)?.is_ge(),
        Operator::Less => order(left, right)?.is_lt(),
        Operator::LessOrEqual => order(left, right)?.is_le(),
        Operator::Like => any_pair(left, right, is_like)?,
        Operator::Contains => match right {
            Value::Int(_) => intersect(left, right, now)?,
            right => any_pair(left, right, |text, part| text.contains(part))?,
        },
        Operator::In => intersect(left, right, now)?,
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            return arithmetic(operator, left, right);
        }
    };
    Some(Value::Bool(truth))
}

/// The result if one side or both have no value.
fn without(operator: Operator, left: bool, right: bool) -> Option<bool> {
    match operator {
        Operator::Equal | Operator::Like => Some(false),
        Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => Some(false),
        Operator::NotEqual => Some(left || right),
        Operator::Contains => right.then_some(false),
        Operator::In => (left || right).then_some(false),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => None,
    }
}

/// Whether two values are the same: the right one is read as what the left one is, a text on the left as what the right one
/// is. What cannot be read is not the same; only a map cannot be compared.
pub(in super::super) fn equal(left: Value<'_>, right: Value<'_>, now: Timestamp) -> Option<bool> {
    Some(match (left, right) {
        (Value::Map(_), _) | (_, Value::Map(_)) => return None,
        (Value::List(left), Value::List(right)) => {
            let mut pairs = left.iter().zip(right.iter());
            left.len() == right.len()
                && pairs.all(|(left, right)| equal(left.lend(), right.lend(), now).unwrap_or_default())
        }
        (Value::List(_), _) | (_, Value::List(_)) => false,
        (Value::Text(left), Value::Text(right)) => left == right,
        (left, right) if is(&left, &right, |value| matches!(value, Value::Date(_))) => {
            same(left.into_date(now), right.into_date(now))
        }
        (left, right) if is(&left, &right, |value| matches!(value, Value::Bool(_))) => {
            same(left.into_bool(), right.into_bool())
        }
        (Value::Int(left), Value::Int(right)) => left == right,
        (left, right) => same(left.into_number(), right.into_number()),
    })
}

fn is(left: &Value<'_>, right: &Value<'_>, kind: impl Fn(&Value<'_>) -> bool) -> bool {
    kind(left) || kind(right)
}

fn same<T: PartialEq>(left: Option<T>, right: Option<T>) -> bool {
    left.is_some() && left == right
}

/// How two values are ordered: by time if one of them is a moment, else as numbers; texts that are not numbers, by the times
/// that they tell.
pub(in super::super) fn order(left: Value<'_>, right: Value<'_>, now: Timestamp) -> Option<Ordering> {
    if let (Value::Int(left), Value::Int(right)) = (&left, &right) {
        return Some(left.cmp(right));
    }
    if !is(&left, &right, |value| matches!(value, Value::Date(_)))
        && let (Some(left), Some(right)) = (left.lend().into_number(), right.lend().into_number())
    {
        return left.partial_cmp(&right);
    }
    Some(left.into_date(now)?.cmp(&right.into_date(now)?))
}

/// Whether `holds` for a text of the left side and one of the right. A map has no texts.
fn any_pair(left: Value<'_>, right: Value<'_>, holds: impl Fn(&str, &str) -> bool) -> Option<bool> {
    let right: Vec<_> = right.into_list()?.into_each().filter_map(Value::into_text).collect();
    let mut left = left.into_list()?.into_each().filter_map(Value::into_text);
    Some(left.any(|text| right.iter().any(|other| holds(&text, other))))
}

/// Whether an item, or a key of a map, is on both sides.
fn intersect(left: Value<'_>, right: Value<'_>, now: Timestamp) -> Option<bool> {
    let items = |value| match value {
        Value::Map(entries) => Some(entries.into_each().map(|(key, _)| Value::Text(key)).collect()),
        value => Some(value.into_list()?.into_each().collect::<Vec<_>>()),
    };
    let (left, right) = (items(left)?, items(right)?);
    let mut pairs = left
        .iter()
        .flat_map(|left| right.iter().map(move |right| (left.lend(), right.lend())));
    Some(pairs.any(|(left, right)| equal(left, right, now) == Some(true)))
}

/// Whether a text is as a pattern says, in which `*` and `%` stand for anything.
pub(in super::super) fn is_like(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split(['*', '%']);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else {
            return false;
        };
        rest = behind;
    }
    rest.ends_with(last)
}

fn arithmetic<'e>(operator: Operator, left: Value<'e>, right: Value<'e>) -> Option<Value<'e>> {
    if let (Value::Int(left), Value::Int(right)) = (&left, &right) {
        return match operator {
            Operator::Add => left.checked_add(*right),
            Operator::Subtract => left.checked_sub(*right),
            Operator::Multiply => left.checked_mul(*right),
            Operator::Divide => left.checked_div(*right),
            _ => left.checked_rem(*right),
        }
        .map(Value::Int);
    }
    let (left, right) = (left.into_number()?, right.into_number()?);
    let number = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => left.trunc() % right.trunc(),
    };
    number.is_finite().then_some(Value::Number(number))
}
