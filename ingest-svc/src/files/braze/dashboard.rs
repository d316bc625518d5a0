//! The two CSVs of Braze's dashboard, *CSV Export User Data* and *CSV Export Email Addresses*.

use serde::de::IgnoredAny;

use crate::source::rows::push_text;

/// Columns that a webhook, or a segment export, calls otherwise. The order of columns is not promised, nor is their case.
const NAMES: &[(&str, &str)] = &[
    ("appboy id", "braze_id"),
    ("user_id", "external_id"),
    ("timezone", "time_zone"),
    ("in_app_purchase_total", "total_revenue"),
    // Those of the default mapping, however they are spelt.
    ("city", "city"),
    ("country", "country"),
    ("date_of_birth", "date_of_birth"),
    ("email", "email"),
    ("first_name", "first_name"),
    ("gender", "gender"),
    ("language", "language"),
    ("last_name", "last_name"),
    ("phone_number", "phone_number"),
];

/// What a column is called in the record. Custom attributes and events have columns of their own, under their own names.
pub(in super::super) fn name(column: &str) -> &str {
    let found = NAMES.iter().find(|(theirs, _)| column.eq_ignore_ascii_case(theirs));
    found.map_or(column, |(_, ours)| ours)
}

/// Writes a cell. Braze puts an apostrophe before what a spreadsheet would take for a formula; and what is a list or an object, such
/// as the aliases of a user, is written as JSON.
pub(in super::super) fn cell(json: &mut Vec<u8>, cell: &str) {
    let cell = match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['-', '=', '+', '@']) => rest,
        _ => cell,
    };
    if cell.starts_with(['[', '{']) && serde_json::from_str::<IgnoredAny>(cell).is_ok() {
        json.extend_from_slice(cell.as_bytes());
    } else {
        push_text(json, cell);
    }
}
