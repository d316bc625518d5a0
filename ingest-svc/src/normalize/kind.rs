//! The kinds of profile fields and the merge operators, as LQL spells them and as the contract has them.

use std::borrow::Cow;

use jiff::Timestamp;
use proto::profile::v1::{MergeOperator, StringList, Value as Typed, value::Kind as TypedKind};

use super::{Value, dates};

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
}

impl Kind {
    /// Every kind that a mapping may name.
    pub(super) const ALL: [Self; 6] = [Self::Text, Self::Bool, Self::Int, Self::Number, Self::Date, Self::Texts];

    /// As LQL spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Number => "number",
            Self::Date => "date",
            Self::Texts => "[]string",
        }
    }

    /// Reads LQL's spelling, in any case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// A value as this kind; nothing if it cannot be converted or nothing is in it. Texts become dates by the recogniser of
    /// `todate`, with `now` as the anchor.
    pub(super) fn typed(self, value: Value<'_>, now: Timestamp) -> Option<Typed> {
        let kind = match self {
            Self::Text => TypedKind::StringValue(value.into_text().filter(|text| !text.is_empty())?.into_owned()),
            Self::Bool => TypedKind::BoolValue(value.into_bool()?),
            Self::Int => TypedKind::IntValue(value.into_int()?),
            Self::Number => TypedKind::NumberValue(value.into_number()?),
            Self::Date => TypedKind::DateValue(proto_timestamp(match value {
                Value::Date(date) => date,
                value => dates::todate(&value.into_text()?, now)?,
            })),
            Self::Texts => TypedKind::StringList(StringList {
                values: distinct(value.into_list()?)?,
            }),
        };
        Some(Typed { kind: Some(kind) })
    }
}

/// First occurrences, in order, without empty ones; nothing if none is left.
fn distinct(items: Vec<Cow<'_, str>>) -> Option<Vec<String>> {
    let mut values: Vec<String> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for item in &items {
        if !item.is_empty() && seen.insert(&**item) {
            values.push(item.to_string());
        }
    }
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

/// Reads a merge operator as LQL spells it, in any case.
pub(super) fn parse_merge_operator(text: &str) -> Option<MergeOperator> {
    MERGE_OPERATORS
        .into_iter()
        .find(|(spelling, _)| spelling.eq_ignore_ascii_case(text))
        .map(|(_, operator)| operator)
}

/// Whether values of a kind can be merged by an operator.
pub(super) fn can_merge(operator: MergeOperator, kind: Kind) -> bool {
    match operator {
        MergeOperator::Unspecified | MergeOperator::Latest | MergeOperator::Oldest => true,
        MergeOperator::Max | MergeOperator::Min => matches!(kind, Kind::Int | Kind::Number | Kind::Date),
        MergeOperator::Sum => matches!(kind, Kind::Int | Kind::Number),
        MergeOperator::Count => kind == Kind::Int,
        MergeOperator::Merge | MergeOperator::Capped => kind == Kind::Texts,
        MergeOperator::LatestMap | MergeOperator::OldestMap | MergeOperator::MapMax | MergeOperator::MapMin => false,
    }
}

const MERGE_OPERATORS: [(&str, MergeOperator); 12] = [
    ("latest", MergeOperator::Latest),
    ("oldest", MergeOperator::Oldest),
    ("max", MergeOperator::Max),
    ("min", MergeOperator::Min),
    ("sum", MergeOperator::Sum),
    ("count", MergeOperator::Count),
    ("merge", MergeOperator::Merge),
    ("latestmap", MergeOperator::LatestMap),
    ("oldestmap", MergeOperator::OldestMap),
    ("mapmax", MergeOperator::MapMax),
    ("mapmin", MergeOperator::MapMin),
    ("capped", MergeOperator::Capped),
];

/// Every merge operator's spelling, as a sentence part.
pub(super) fn merge_operator_names() -> String {
    MERGE_OPERATORS.map(|(spelling, _)| spelling).join(", ")
}
