//! Files → rows: CSV, a JSON object a line, Avro; each plain, gzip, or in a zip.
//!
//! ```text
//! bytes ─▶ unpack (gzip, zip) ─▶ source/rows (CSV, lines), avro ─▶ Row { number, member, records } ─▶ normalize
//!                                                 └▶ braze: in the words of its webhooks and of Currents over HTTP
//! ```
//!
//! * Nothing is held but a piece of 64 KiB and a row of at most [`ROW_BYTES_MAX`], or a block of Avro of at most 16 MiB, however large the file is and whatever is in it.
//! * Rows are numbered from 1 as they stand in the file, through all members of a zip; the header of a CSV and blank lines are none.
//!   A row that cannot be read has a number, too, and the reason with its line and column; the next one is read all the same.
//! * To go on at row n, open the file again with [`Options::from_row`] n: what comes before is read and dropped, without being turned into
//!   records. Of one file a row always has the same number.
//! * What is broken beyond that – a gzip that is cut off, a checksum, a block of Avro – ends the file with a [`Fault`] that says behind which row.
//!   What came before it stands.

mod avro;
mod braze;
mod format;
mod reader;
#[cfg(test)]
mod tests;
mod unpack;
mod zip;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use self::format::{Compression, Format, Kind, What};
pub use self::reader::Reader;
use crate::source::Raw;

/// Bytes of a row, at most: 1 MiB. More than the 16 KB of the Collect API, since a user of a segment export has a line with all
/// that they did.
pub const ROW_BYTES_MAX: usize = 1 << 20;

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it is, as far as that is known.
    pub format: Format,
    /// What stands between two columns of a CSV; a comma, or a tab in a `.tsv`, unless it is said.
    pub delimiter: Option<u8>,
    /// The names of the columns; `None` if the first row has them.
    pub headers: Option<Vec<String>>,
    /// The columns to keep, by their names in the file; empty: all.
    pub columns: Vec<String>,
    /// The first row that is wanted, from 1.
    pub from_row: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::default(),
            delimiter: None,
            headers: None,
            columns: Vec::new(),
            from_row: 1,
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the file, from 1.
    pub number: u64,
    /// The file within the zip that it is in.
    pub member: Option<Arc<str>>,
    /// What it says: one record, which may be unusable. Of a user of a segment export there are more: each campaign and Canvas that
    /// they received.
    pub records: Vec<Raw>,
}

/// Where a file goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Rows before it.
    pub rows: u64,
    /// The file within the zip.
    pub member: Option<Arc<str>>,
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Where it comes from does not give it. It may some other time, and then goes on at the row behind `place`.
    #[error("the file cannot be read {place}")]
    Source {
        /// How far it was read.
        place: Place,
        /// What the system says.
        source: io::Error,
    },
    /// It is broken there, and will be.
    #[error("the file is broken {place}: {problem}")]
    Broken {
        /// How far it was read.
        place: Place,
        /// Written for whoever has the file.
        problem: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            0 => f.write_str("before its first row")?,
            rows => write!(f, "behind row {rows}")?,
        }
        match &self.member {
            Some(member) => write!(f, ", in {member}"),
            None => Ok(()),
        }
    }
}
