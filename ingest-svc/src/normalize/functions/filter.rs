//! `filter` takes away what matches, `filtermatch` what does not: keys of a map, items of a list, or the text itself.
//!
//! A pattern with `*` or `%` is matched as a whole, another one is a beginning; an empty one matches only an empty text.

use super::super::expression::{Arguments, is_like};
use super::{ANY, Function, Kind, Value, present};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("filter", (2, ANY), Kind::Text, |arguments| kept(arguments, false)).giving_argument(0),
    Function::new("filtermatch", (2, ANY), Kind::Text, |arguments| kept(arguments, true)).giving_argument(0),
];

/// What is left, if anything is.
fn kept(arguments: Arguments<'_>, wanted: bool) -> Option<Value<'_>> {
    let value = present(&arguments, 0)?;
    let patterns = arguments.each(1).flatten().filter_map(Value::into_list);
    let patterns: Vec<_> = patterns
        .flat_map(super::super::value::Items::into_each)
        .filter_map(Value::into_text)
        .collect();
    let keep = |text: &str| patterns.iter().any(|pattern| matches(text, pattern)) == wanted;
    match value {
        Value::Map(entries) => Value::map(entries.into_each().filter(|(key, _)| keep(key))),
        Value::Text(text) => keep(&text).then_some(Value::Text(text)),
        Value::List(items) => {
            let texts = items.into_each().filter_map(Value::into_text);
            let kept: Vec<_> = texts.filter(|text| keep(text)).map(Value::Text).collect();
            (!kept.is_empty()).then(|| Value::list(kept))
        }
        _ => None,
    }
}

fn matches(text: &str, pattern: &str) -> bool {
    if pattern.is_empty() {
        text.is_empty()
    } else if pattern.contains(['*', '%']) {
        is_like(text, pattern)
    } else {
        text.starts_with(pattern)
    }
}
