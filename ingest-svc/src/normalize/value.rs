//! Values and "no value".
//!
//! What an expression gives is `Option<Value>`: Lytics' pair *(value, ok)*. `None` means that the column produces nothing
//! for this record – never an error, never an empty overwrite.
//!
//! * A field of the record is a text or a list of texts, since every JSON scalar becomes a text (see `flatten`).
//! * **A column whose value is empty – an empty text, an empty list – produces nothing.** In Lytics `tostring("")`
//!   gives an empty text, but a Braze template fills what it does not know with an empty string, so empty means unknown
//!   and must not overwrite what is known. Within an expression an empty text is still a value, so that functions can tell
//!   it from a missing field. `null` is a field with an empty list.
//! * A list becomes a text by its first element, as in Lytics; a map does not become one.
//! * What Lytics calls nil or empty: an empty text, list or map, not a number, and the whole number −2147483648.

mod items;

use std::borrow::Cow;
use std::collections::{HashMap, hash_map};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::dates;
pub(super) use items::Items;

/// A value of a record or of an expression. Texts, lists and maps are lent by the record or the mapping where they can be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A text; may be empty.
    Text(Cow<'a, str>),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Number(f64),
    /// A moment.
    Date(Timestamp),
    /// Several values, as given: not sorted, repeats kept.
    List(Items<'a, Value<'a>>),
    /// Values by key, in the order they were found; no key is there twice.
    Map(Items<'a, Entry<'a>>),
}

/// A key of a map and its value.
pub(super) type Entry<'a> = (Cow<'a, str>, Value<'a>);

impl<'a> Value<'a> {
    /// A list of its own.
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Items::Own(items))
    }

    /// A map of its own; of entries with one key the last counts, in the place of the first. Nothing if there is none.
    pub(super) fn map(entries: impl IntoIterator<Item = Entry<'a>>) -> Option<Self> {
        let mut places = HashMap::<_, usize>::new();
        let mut map: Vec<Entry<'a>> = Vec::new();
        for (key, value) in entries {
            match places.entry(key.clone()) {
                hash_map::Entry::Occupied(place) => map[*place.get()].1 = value,
                hash_map::Entry::Vacant(place) => {
                    place.insert(map.len());
                    map.push((key, value));
                }
            }
        }
        (!map.is_empty()).then_some(Self::Map(Items::Own(map)))
    }

    /// The same value without copying anything.
    pub(super) fn lend(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::Number(number) => Value::Number(*number),
            Self::Date(date) => Value::Date(*date),
            Self::List(items) => Value::List(Items::Lent(items)),
            Self::Map(entries) => Value::Map(Items::Lent(entries)),
        }
    }

    /// Whether it is what Lytics calls nil or empty.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Int(int) => *int == i64::from(i32::MIN),
            Self::Number(number) => number.is_nan(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            Self::Bool(_) | Self::Date(_) => false,
        }
    }

    /// As a text: scalars print plainly (numbers without an exponent, dates by RFC 3339), a list gives its first element.
    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) => text,
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Int(int) => int.to_string().into(),
            Self::Number(number) => print_number(number).into(),
            Self::Date(date) => date.to_string().into(),
            Self::List(items) => items.into_first()?.into_text()?,
            Self::Map(_) => return None,
        })
    }

    /// As a whole number: decimals are cut off, `$ , £ €` and blanks are passed over, a date gives Unix milliseconds.
    pub(super) fn into_int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Number(number) => cut_off(number),
            Self::Date(date) => Some(date.as_millisecond()),
            Self::Text(_) | Self::List(_) => {
                let text = without_currency(self.into_text()?);
                text.parse().ok().or_else(|| cut_off(parse_number(&text)?))
            }
            Self::Bool(_) | Self::Map(_) => None,
        }
    }

    /// As a number: the same cleaning; true is 1 and false 0.
    pub(super) fn into_number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number).filter(|number| number.is_finite()),
            #[expect(clippy::cast_precision_loss, reason = "a number is a 64-bit float, as in Lytics")]
            Self::Int(int) => Some(int as f64),
            Self::Bool(bool) => Some(f64::from(u8::from(bool))),
            Self::Text(_) | Self::List(_) => parse_number(&without_currency(self.into_text()?)),
            Self::Date(_) | Self::Map(_) => None,
        }
    }

    /// As a truth value: the usual spellings of true and false, and the numbers 1 and 0. "yes" and "no" are neither.
    pub(super) fn into_bool(self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(bool),
            Self::Int(0) => Some(false),
            Self::Int(1) => Some(true),
            Self::Number(0.0) => Some(false),
            Self::Number(1.0) => Some(true),
            Self::Text(_) | Self::List(_) => match &*self.into_text()? {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
                "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
                _ => None,
            },
            Self::Int(_) | Self::Number(_) | Self::Date(_) | Self::Map(_) => None,
        }
    }

    /// As a moment, by the recogniser of `todate`; a number only if it lies in the years 1800 to 2120.
    pub(super) fn into_date(self, now: Timestamp) -> Option<Timestamp> {
        let years = Timestamp::constant(-5_364_662_400, 0)..Timestamp::constant(4_765_132_800, 0);
        match self {
            Self::Date(date) => Some(date),
            Self::Text(_) | Self::List(_) => dates::todate(&self.into_text()?, now),
            Self::Int(_) | Self::Number(_) => {
                dates::todate(&self.into_text()?, now).filter(|moment| years.contains(moment))
            }
            Self::Bool(_) | Self::Map(_) => None,
        }
    }

    /// As several values; a scalar is a list of one.
    pub(super) fn into_list(self) -> Option<Items<'a, Self>> {
        match self {
            Self::List(items) => Some(items),
            Self::Map(_) => None,
            scalar => Some(Items::Own(vec![scalar])),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// Prints a number without an exponent: 1e21 is `1000000000000000000000`, 1.50 is `1.5`, 2.0 is `2`.
pub(super) fn print_number(number: f64) -> String {
    let mut text = String::new();
    // Rust's `Display` never uses an exponent, and writing to a `String` cannot fail.
    let _infallible = write!(text, "{number}");
    text
}

fn without_currency(text: Cow<'_, str>) -> Cow<'_, str> {
    let noise = |c: char| matches!(c, '$' | ',' | '£' | '€' | ' ');
    if text.contains(noise) {
        text.replace(noise, "").into()
    } else {
        text
    }
}

/// Decimal numbers only: Rust would also read `inf` and `NaN`.
fn parse_number(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Towards zero; nothing if it does not fit.
fn cut_off(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cutting off is the rule, and the range is checked"
    )]
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list<'a>(items: &[&'a str]) -> Value<'a> {
        Value::list(items.iter().map(|item| Value::from(*item)).collect())
    }

    #[test]
    fn scalars_print_plainly_and_a_list_gives_its_first_element() {
        for (value, text) in [
            (Value::from("a"), "a"),
            (Value::Int(-7), "-7"),
            (Value::Number(1e21), "1000000000000000000000"),
            (Value::Number(1.50), "1.5"),
            (Value::Number(1e-7), "0.0000001"),
            (Value::Date(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00Z"),
            (list(&["p", "q"]), "p"),
        ] {
            assert_eq!(value.clone().into_text().as_deref(), Some(text), "{value:?}");
        }
        assert_eq!(list(&[]).into_text(), None);
    }

    #[test]
    fn numbers_are_read_through_currency_signs_and_cut_off() {
        for (text, int) in [
            ("7", Some(7)),
            ("7.9", Some(7)),
            ("-7.9", Some(-7)),
            ("$1,234.00", Some(1234)),
            ("€ 5", Some(5)),
        ] {
            assert_eq!(Value::from(text).into_int(), int, "{text}");
        }
        for text in ["seven", "", "inf", "NaN", "1e300"] {
            assert_eq!(Value::from(text).into_int(), None, "{text}");
        }
        assert_eq!(Value::from("£1,000.5").into_number(), Some(1000.5));
        assert_eq!(Value::from("inf").into_number(), None);
    }

    #[test]
    fn yes_and_no_are_not_truth_values() {
        assert_eq!(Value::from("T").into_bool(), Some(true));
        assert_eq!(Value::from("False").into_bool(), Some(false));
        assert_eq!(Value::Int(1).into_bool(), Some(true));
        for value in [
            Value::from("yes"),
            Value::from("no"),
            Value::Int(2),
            Value::from("tRUE"),
        ] {
            assert_eq!(value.clone().into_bool(), None, "{value:?}");
        }
    }
}
