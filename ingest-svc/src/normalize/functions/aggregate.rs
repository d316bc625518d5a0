//! Several values as one, and arithmetic. Lists are spread out, what is missing or empty is passed over.

use super::super::expression::Arguments;
use super::super::kind::VALUES_MAX;
use super::{ANY, Function, Kind, Value, present};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("set", (1, ANY), Kind::Texts, set),
    Function::new("count", (1, 1), Kind::Int, |arguments| {
        present(&arguments, 0).map(|_| Value::Int(1))
    }),
    Function::new("valuect", (1, ANY), Kind::IntSumMap, valuect),
    Function::new("sum", (1, ANY), Kind::Number, |arguments| {
        of_numbers(arguments, |numbers| numbers.iter().sum())
    }),
    Function::new("avg", (1, ANY), Kind::Number, |arguments| {
        of_numbers(arguments, |numbers| {
            #[expect(clippy::cast_precision_loss, reason = "nobody passes 2^53 numbers")]
            let count = numbers.len() as f64;
            numbers.iter().sum::<f64>() / count
        })
    }),
    Function::new("min", (1, ANY), Kind::Number, |arguments| {
        of_numbers(arguments, |numbers| numbers.iter().copied().fold(f64::MAX, f64::min))
    }),
    Function::new("max", (1, ANY), Kind::Number, |arguments| {
        of_numbers(arguments, |numbers| numbers.iter().copied().fold(f64::MIN, f64::max))
    }),
    Function::new("sqrt", (1, 1), Kind::Number, |arguments| {
        finite(arguments.get(0)?.into_number()?.sqrt())
    }),
    Function::new("pow", (2, 2), Kind::Number, |arguments| {
        let (base, exponent) = (arguments.get(0)?.into_number()?, arguments.get(1)?.into_number()?);
        finite(base.powf(exponent))
    }),
];

/// The values of all arguments, of lists their items.
fn spread(arguments: Arguments<'_>) -> impl Iterator<Item = Value<'_>> {
    let lists = arguments.each(0).flatten().filter_map(Value::into_list);
    lists
        .flat_map(super::super::value::Items::into_each)
        .filter(|value| !value.is_empty())
}

/// `set(x, …)`: each once, in the order they are found.
fn set(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let texts = spread(arguments).filter_map(|value| Some((value.into_text()?, Value::Int(1))));
    let Value::Map(entries) = Value::map(texts)? else {
        return None;
    };
    let keys = entries.into_each().map(|(key, _)| Value::Text(key));
    Some(Value::list(keys.take(VALUES_MAX).collect()))
}

/// `valuect(x, …)`: how often each is there.
fn valuect(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let mut counts = std::collections::HashMap::new();
    let texts: Vec<_> = spread(arguments).filter_map(Value::into_text).collect();
    for text in &texts {
        *counts.entry(&**text).or_insert(0) += 1;
    }
    Value::map(texts.iter().map(|text| (text.clone(), Value::Int(counts[&**text]))))
}

/// Nothing if there is no number, or something that is none.
fn of_numbers<'e>(arguments: Arguments<'e>, of: impl Fn(&[f64]) -> f64) -> Option<Value<'e>> {
    let number = |value| match value {
        Value::Bool(_) => None,
        value => value.into_number(),
    };
    let numbers: Vec<f64> = spread(arguments).map(number).collect::<Option<_>>()?;
    if numbers.is_empty() { None } else { finite(of(&numbers)) }
}

fn finite<'e>(number: f64) -> Option<Value<'e>> {
    number.is_finite().then_some(Value::Number(number))
}
