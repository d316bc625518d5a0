//! Parts of lists. A negative place counts from the end.

use super::super::expression::Arguments;
use super::super::value::Items;
use super::{Function, Kind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("array.index", (2, 2), Kind::Text, |arguments| {
        let items = items(&arguments)?;
        let place = place(&arguments, 1, items.len())?;
        items.into_nth(place)
    }),
    Function::new("array.slice", (2, 3), Kind::Texts, slice).giving_argument(0),
];

/// `array.slice(list, from [, to])`: without the item at `to`.
fn slice(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let items = items(&arguments)?;
    let from = place(&arguments, 1, items.len()).filter(|from| *from < items.len())?;
    let to = if arguments.len() == 3 {
        place(&arguments, 2, items.len())?
    } else {
        items.len()
    };
    // Out of range, or the wrong way round: no value.
    items.get(from..to)?;
    Some(Value::list(items.into_each().take(to).skip(from).collect()))
}

fn items<'e>(arguments: &Arguments<'e>) -> Option<Items<'e, Value<'e>>> {
    match arguments.get(0)? {
        Value::List(items) => Some(items),
        _ => None,
    }
}

fn place(arguments: &Arguments<'_>, index: usize, length: usize) -> Option<usize> {
    let place = arguments.get(index)?.into_int()?;
    let from_the_end = if place < 0 { i64::try_from(length).ok()? } else { 0 };
    usize::try_from(place.checked_add(from_the_end)?).ok()
}
