//! What goes into one request.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::progress::Progress;
use crate::files::Row;
use crate::source::rows::RECORD_BYTES_MAX;

/// Rows and bytes of a request, at most, unless a row is larger by itself: a window of the service's.
const ROWS_MAX: usize = 1_000;
const BYTES_MAX: usize = 1 << 20;

/// Records that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each with the number of its row.
    records: Vec<(u64, Bytes)>,
    bytes: usize,
    rows: usize,
    /// The number of the last row in it.
    last: u64,
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// `json` or `bulk`: the endpoint.
    pub(super) endpoint: &'static str,
    pub(super) bytes: Vec<u8>,
    /// The number of each record's row.
    pub(super) rows: Vec<u64>,
}

impl Batch {
    /// Whether there is room for a row.
    pub(super) fn takes(&self, row: &Row) -> bool {
        let bytes: usize = row.records.iter().map(|record| record.json.len()).sum();
        self.rows == 0 || (self.rows < ROWS_MAX && self.bytes + bytes <= BYTES_MAX)
    }

    /// Takes the records of a row that are some.
    pub(super) fn push(&mut self, row: Row, progress: &Progress) {
        (self.rows, self.last) = (self.rows + 1, row.number);
        progress.read();
        for record in row.records {
            match record.unusable {
                Some(problem) => progress.drop(row.number, &problem),
                // The service tells by the first of them what it is sent.
                None if !record.json.starts_with(b"{") => progress.drop(row.number, "it is no JSON object"),
                None => {
                    self.bytes += record.json.len() + 1;
                    self.records.push((row.number, in_a_line(record.json)));
                }
            }
        }
    }

    /// The row behind the last.
    pub(super) fn next(&self) -> Option<u64> {
        (self.rows > 0).then_some(self.last + 1)
    }

    /// The request, if there is anything to send. The endpoint for files takes records of up to 16 KB; larger ones, and what is sent
    /// with them, go to the one for programs, which takes a body only if all of it is JSON.
    pub(super) fn take(&mut self, progress: &Progress) -> Option<Body> {
        let mut records = std::mem::take(self).records;
        let is_large = records.iter().any(|(_, json)| json.len() > RECORD_BYTES_MAX);
        if is_large {
            // As the service reads it, which wants UTF-8 as well.
            records.retain(|(row, json)| match serde_json::from_slice::<&RawValue>(json) {
                Ok(_) => true,
                Err(problem) => {
                    progress.drop(*row, &problem.to_string());
                    false
                }
            });
        }
        let (rows, records): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let bytes = match is_large {
            true => [b"[".as_slice(), &records.join(&b","[..]), b"]"].concat(),
            false => records.join(&b"\n"[..]),
        };
        (!rows.is_empty()).then_some(Body {
            endpoint: if is_large { "json" } else { "bulk" },
            bytes,
            rows,
        })
    }
}

/// Records are sent a line each. In JSON a line break stands between two tokens or nowhere, so a blank says the same.
fn in_a_line(json: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &json).is_none() {
        return json;
    }
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    json.iter().map(blank).collect()
}
