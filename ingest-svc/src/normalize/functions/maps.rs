//! Values by key.

use super::super::kind::VALUES_MAX;
use super::super::value::{Entry, Items};
use super::prepare::literal;
use super::{ANY, Function, Kind, Prepared, Value, present};
use crate::normalize::expression::Arguments;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("map", (2, 2), Kind::TextMap, |arguments| {
        let (key, value) = (present(&arguments, 0)?, present(&arguments, 1)?);
        Value::map([(key.into_text()?, value)])
    }),
    Function::new("maptime", (1, 2), Kind::DateMap, |arguments| {
        let key = present(&arguments, 0)?.into_text()?.to_lowercase();
        let now = arguments.scope.now;
        let moment = if arguments.len() == 2 {
            arguments.get(1)?.into_date(now)?
        } else {
            now
        };
        Value::map([(key.into(), Value::Date(moment))])
    }),
    Function::new("match", (1, ANY), Kind::TextMap, matching).prepared(|_, arguments| {
        let prefix = |index| literal(arguments, index, "each argument of `match`").map(str::to_owned);
        (0..arguments.len())
            .map(prefix)
            .collect::<Result<_, _>>()
            .map(Prepared::Prefixes)
    }),
    Function::new("mapkeys", (1, ANY), Kind::Texts, |arguments| {
        let keys = entries(arguments).map(|(key, _)| (key, Value::Bool(true)));
        keys_of(Value::map(keys)?)
    }),
    Function::new("mapvalues", (1, 1), Kind::Texts, |arguments| {
        let values = entries(arguments).filter_map(|(_, value)| Some((value.into_text()?, Value::Bool(true))));
        keys_of(Value::map(values)?)
    }),
    Function::new("mapinvert", (1, 1), Kind::TextMap, |arguments| {
        Value::map(entries(arguments).filter_map(|(key, value)| Some((value.into_text()?, Value::Text(key)))))
    }),
];

/// `match(prefix, …)`: the fields of the record whose names begin so, by what follows.
fn matching(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let Prepared::Prefixes(prefixes) = arguments.prepared else {
        return None;
    };
    let fields = arguments.scope.matched;
    let found = prefixes.iter().flat_map(|prefix| {
        let behind = fields
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix.as_str())?, value)));
        behind.filter(|(name, _)| !name.is_empty())
    });
    Value::map(found.take(VALUES_MAX).map(|(name, value)| (name.into(), value.lend())))
}

/// The entries of all arguments that are maps.
fn entries(arguments: Arguments<'_>) -> impl Iterator<Item = Entry<'_>> {
    let maps = arguments.each(0).filter_map(|value| match value {
        Some(Value::Map(entries)) => Some(entries),
        _ => None,
    });
    maps.flat_map(Items::into_each)
}

fn keys_of(map: Value<'_>) -> Option<Value<'_>> {
    let Value::Map(entries) = map else { return None };
    Some(Value::list(
        entries.into_each().map(|(key, _)| Value::Text(key)).collect(),
    ))
}
