//! How the profile store folds a field's values into a profile: only named here, carried out there.

use proto::profile::v1::MergeOperator;

use super::Kind;

/// Reads a merge operator as LQL spells it, in any case.
pub(in super::super) fn parse_merge_operator(text: &str) -> Option<MergeOperator> {
    MERGE_OPERATORS
        .into_iter()
        .find(|(spelling, _)| spelling.eq_ignore_ascii_case(text))
        .map(|(_, operator)| operator)
}

/// Whether values of a kind can be merged by an operator.
pub(in super::super) fn can_merge(operator: MergeOperator, kind: Kind) -> bool {
    let is_set = matches!(kind, Kind::Texts | Kind::Dates | Kind::TimedTexts);
    let (is_ordered_map, is_map) = match kind {
        Kind::IntMap | Kind::NumberMap | Kind::DateMap | Kind::IntSumMap => (true, true),
        Kind::TextMap | Kind::BoolMap => (false, true),
        _ => (false, false),
    };
    match operator {
        MergeOperator::Unspecified | MergeOperator::Latest | MergeOperator::Oldest => true,
        MergeOperator::Max | MergeOperator::Min => matches!(kind, Kind::Int | Kind::Number | Kind::Date),
        MergeOperator::Sum => matches!(kind, Kind::Int | Kind::Number),
        MergeOperator::Count => kind == Kind::Int,
        MergeOperator::Merge => is_set || is_map,
        MergeOperator::Capped => is_set,
        MergeOperator::LatestMap | MergeOperator::OldestMap => is_map,
        MergeOperator::MapMax | MergeOperator::MapMin => is_ordered_map,
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
pub(in super::super) fn merge_operator_names() -> String {
    MERGE_OPERATORS.map(|(spelling, _)| spelling).join(", ")
}
