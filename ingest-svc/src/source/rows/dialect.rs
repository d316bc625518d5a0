//! What a CSV may be besides what the Collect API takes.

use super::RECORD_BYTES_MAX;

/// How the CSV of some sender differs.
#[derive(Clone)]
pub struct Dialect {
    /// Bytes of a row, at most.
    pub row_bytes_max: usize,
    /// The columns to keep, by the names of the header; empty: all.
    pub keep: Vec<String>,
    /// What a column is called in the records.
    pub name: fn(&str) -> &str,
    /// Writes a cell, as JSON.
    pub cell: fn(&mut Vec<u8>, &str),
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            row_bytes_max: RECORD_BYTES_MAX,
            keep: Vec::new(),
            name: |name| name,
            cell: push_text,
        }
    }
}

/// Writes a text, as JSON.
pub(crate) fn push_text(json: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail, and a text is always JSON.
    let _infallible = serde_json::to_writer(json, text).is_ok();
}
