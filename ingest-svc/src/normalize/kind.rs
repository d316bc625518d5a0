//! The kinds of profile fields, as LQL spells them and as the contract has them.

mod merge;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use proto::profile::v1::value::Kind as TypedKind;
use proto::profile::v1::{BoolMap, IntMap, NumberMap, StringList, StringMap, TimeList, TimeMap};

use super::Value;
use super::event::Typed;
use super::value::Items;
pub(super) use merge::{can_merge, merge_operator_names, parse_merge_operator};

/// Values in one list or map of a profile, at most: Lytics' bound of one attribute's set.
pub(super) const VALUES_MAX: usize = 1_000;

/// The kind of a profile field: what its values are converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `string`
    Text,
    /// `bool`
    Bool,
    /// `int`, 64 bits
    Int,
    /// `number`, a 64-bit float
    Number,
    /// `date`
    Date,
    /// `[]string`, repeats removed
    Texts,
    /// `[]time`, repeats removed
    Dates,
    /// `ts[]string`: a set that the profile keeps in the order of event times
    TimedTexts,
    /// `map[string]int`
    IntMap,
    /// `map[string]number`
    NumberMap,
    /// `map[string]string`
    TextMap,
    /// `map[string]time`
    DateMap,
    /// `map[string]bool`
    BoolMap,
    /// `map[string]intsum`: numbers that the profile adds up
    IntSumMap,
}

impl Kind {
    /// Every kind that a mapping may name.
    pub(super) const ALL: [Self; 14] = [
        Self::Text,
        Self::Bool,
        Self::Int,
        Self::Number,
        Self::Date,
        Self::Texts,
        Self::Dates,
        Self::TimedTexts,
        Self::IntMap,
        Self::NumberMap,
        Self::TextMap,
        Self::DateMap,
        Self::BoolMap,
        Self::IntSumMap,
    ];

    /// Kinds that Lytics fills itself.
    pub(super) const INTERNAL: [&str; 6] = [
        "membership",
        "geolocation",
        "embedding",
        "dynamic",
        "flows",
        "[]timebucket",
    ];

    /// As LQL spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Number => "number",
            Self::Date => "date",
            Self::Texts => "[]string",
            Self::Dates => "[]time",
            Self::TimedTexts => "ts[]string",
            Self::IntMap => "map[string]int",
            Self::NumberMap => "map[string]number",
            Self::TextMap => "map[string]string",
            Self::DateMap => "map[string]time",
            Self::BoolMap => "map[string]bool",
            Self::IntSumMap => "map[string]intsum",
        }
    }

    /// Reads LQL's spelling, in any case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// A value as this kind; nothing if it cannot be converted or nothing is in it. Texts become dates by the recogniser of
    /// `todate`, with `now` as the anchor. Of a list or a map, what cannot be converted is left out.
    pub(super) fn typed<'e>(self, value: Value<'e>, now: Timestamp) -> Option<Typed<'e>> {
        let date = |value: Value<'_>| value.into_date(now).map(proto_timestamp);
        let kind = match self {
            Self::Text => return filled(value).map(Typed::Text),
            Self::Bool => TypedKind::BoolValue(value.into_bool()?),
            Self::Int => TypedKind::IntValue(value.into_int()?),
            Self::Number => TypedKind::NumberValue(value.into_number()?),
            Self::Date => TypedKind::DateValue(date(value)?),
            Self::Texts => TypedKind::StringList(texts(value)?),
            Self::TimedTexts => TypedKind::TimedStringList(texts(value)?),
            Self::Dates => TypedKind::TimeList(TimeList {
                values: distinct(value, date, |date| (date.seconds, date.nanos))?,
            }),
            Self::IntMap | Self::IntSumMap => {
                let map = IntMap {
                    values: by_key(value, Value::into_int)?,
                };
                if self == Self::IntMap {
                    TypedKind::IntMap(map)
                } else {
                    TypedKind::IntSumMap(map)
                }
            }
            Self::NumberMap => TypedKind::NumberMap(NumberMap {
                values: by_key(value, Value::into_number)?,
            }),
            Self::TextMap => TypedKind::StringMap(StringMap {
                values: by_key(value, owned)?,
            }),
            Self::DateMap => TypedKind::TimeMap(TimeMap {
                values: by_key(value, date)?,
            }),
            Self::BoolMap => TypedKind::BoolMap(BoolMap {
                values: by_key(value, Value::into_bool)?,
            }),
        };
        Some(kind.into())
    }
}

/// A text that is not empty.
fn filled(value: Value<'_>) -> Option<Cow<'_, str>> {
    value.into_text().filter(|text| !text.is_empty())
}

fn owned(value: Value<'_>) -> Option<String> {
    filled(value).map(Cow::into_owned)
}

fn texts(value: Value<'_>) -> Option<StringList> {
    let values = distinct(value, owned, String::clone)?;
    Some(StringList { values })
}

/// First occurrences, in order, of what can be converted; nothing if none is left.
fn distinct<'a, T, K: Eq + std::hash::Hash>(
    value: Value<'a>,
    convert: impl Fn(Value<'a>) -> Option<T>,
    identity: impl Fn(&T) -> K,
) -> Option<Vec<T>> {
    let mut seen = HashSet::new();
    let items = value.into_list()?.into_each();
    let values: Vec<T> = items
        .filter_map(convert)
        .filter(|item| seen.insert(identity(item)))
        .take(VALUES_MAX)
        .collect();
    (!values.is_empty()).then_some(values)
}

/// What of a map can be converted; nothing if none is left.
fn by_key<'a, T>(value: Value<'a>, convert: impl Fn(Value<'a>) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let Value::Map(entries) = value else { return None };
    let entries = Items::into_each(entries).take(VALUES_MAX);
    let values: BTreeMap<String, T> = entries
        .filter_map(|(key, value)| Some((key.into_owned(), convert(value)?)))
        .collect();
    (!values.is_empty()).then_some(values)
}

/// A moment as the contract has it.
pub(super) fn proto_timestamp(moment: Timestamp) -> prost_types::Timestamp {
    // jiff's nanoseconds have the sign of the moment, the contract's always count forward.
    let nanos = moment.subsec_nanosecond();
    let (seconds, nanos) = if nanos < 0 {
        (moment.as_second() - 1, nanos + 1_000_000_000)
    } else {
        (moment.as_second(), nanos)
    };
    prost_types::Timestamp { seconds, nanos }
}
