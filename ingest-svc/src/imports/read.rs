//! Reads a file a window of rows at a time. The next window is read while one waits for Kafka, and no further one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime::window::Window;
use tokio::sync::mpsc;
use tokio_util::io::InspectReader;

use super::diff::Rows;
use super::open::Source;
use super::plan::Trouble;
use crate::files::{Fault, Options, Reader, Row};
use crate::source::Raw;
use crate::store;

/// Rows of a window, at most.
const ROWS_MAX: usize = 1_000;

/// A file that is to be read.
pub(super) struct Reading {
    /// Its key, which says how it is to be read as far as nobody has.
    pub(super) name: String,
    pub(super) options: Options,
    /// Rows that cannot be read are passed over.
    pub(super) drop_errors: bool,
    /// The rows of the file before it, which are not sent again.
    pub(super) before: Option<Rows>,
}

/// Rows that are published together.
#[derive(Debug, Default)]
pub(super) struct Rowset {
    pub(super) records: Vec<Raw>,
    /// The number of each record's row.
    pub(super) numbers: Vec<u64>,
    /// Rows that were read, those included that were passed over, or are not new.
    pub(super) rows: u64,
    pub(super) dropped: u64,
    pub(super) unchanged: u64,
    /// The row behind it.
    pub(super) next_row: u64,
    /// Bytes of the file that were read by then.
    pub(super) bytes_read: u64,
}

/// What is read of a file.
pub(super) enum Piece {
    Rows(Rowset),
    End(End),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// At its end.
    Whole,
    /// It is bad, and will be.
    Bad(String),
    /// It has changed while it was read.
    Gone(String),
    /// Its storage does not give more of it now.
    Trouble(Trouble, String),
}

impl Reading {
    /// Reads until the end, or until nobody wants more.
    pub(super) async fn run(self, source: Source, pieces: mpsc::Sender<Piece>) {
        // Whoever waits for the window that is read now is told its end behind it.
        let end = match self.windows(source, &pieces).await {
            Ok(Some(end)) => end,
            Ok(None) => return,
            Err(fault) => of_fault(fault),
        };
        drop(pieces.send(Piece::End(end)).await);
    }

    /// `None`: nobody wants more.
    async fn windows(&self, source: Source, pieces: &mpsc::Sender<Piece>) -> Result<Option<End>, Fault> {
        let (counted, bytes) = count(source);
        let mut reader = Reader::open(counted, &self.name, self.options.clone()).await?;
        let mut held = None;
        loop {
            // A window is begun when the one before it has been taken.
            let Ok(room) = pieces.reserve().await else {
                return Ok(None);
            };
            let mut rowset = Rowset::default();
            let mut window = Window::new(ROWS_MAX);
            let end = loop {
                let row = match held.take() {
                    Some(row) => Ok(Some(row)),
                    None => reader.next().await,
                };
                let row = match row {
                    Ok(Some(row)) => row,
                    Ok(None) => break Some(Ok(End::Whole)),
                    Err(fault) => break Some(Err(fault)),
                };
                if let Some(problem) = problem(&row).filter(|_| !self.drop_errors) {
                    break Some(Ok(End::Bad(at(&row, problem))));
                }
                if !window.takes(row.records.iter().map(|record| record.json.len()).sum()) {
                    held = Some(row);
                    break None;
                }
                rowset.push(row, self.before.as_ref());
            };
            rowset.bytes_read = bytes.load(Ordering::Relaxed);
            if rowset.rows > 0 {
                room.send(Piece::Rows(rowset));
            }
            if let Some(end) = end {
                return end.map(Some);
            }
        }
    }
}

impl Rowset {
    fn push(&mut self, row: Row, before: Option<&Rows>) {
        self.rows += 1;
        self.next_row = row.number + 1;
        if problem(&row).is_some() {
            self.dropped += 1;
        } else if before.is_some_and(|before| before.has(&row)) {
            self.unchanged += 1;
        } else {
            for record in row.records {
                self.records.push(record);
                self.numbers.push(row.number);
            }
        }
    }
}

/// Why a row cannot be read.
pub(super) fn problem(row: &Row) -> Option<&str> {
    row.records.iter().find_map(|record| record.unusable.as_deref())
}

fn at(row: &Row, problem: &str) -> String {
    match &row.member {
        Some(member) => format!("row {} of {member} cannot be read: {problem}", row.number),
        None => format!("row {} cannot be read: {problem}", row.number),
    }
}

/// Counts the bytes that are read.
pub(super) fn count(source: Source) -> (impl tokio::io::AsyncRead + Send + Unpin, Arc<AtomicU64>) {
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&bytes);
    let source = InspectReader::new(source, move |read| {
        counted.fetch_add(read.len() as u64, Ordering::Relaxed);
    });
    (source, bytes)
}

pub(super) fn of_fault(fault: Fault) -> End {
    match fault {
        Fault::Broken { .. } => End::Bad(fault.to_string()),
        Fault::Source { source, .. } => match store::Error::of(&source) {
            Some(store::Error::Changed(_) | store::Error::Missing(_)) => {
                End::Gone("it has changed or gone while it was read".to_owned())
            }
            Some(error) if !error.is_temporary() => End::Trouble(Trouble::Refusal, error.to_string()),
            Some(error) => End::Trouble(Trouble::Outage, error.to_string()),
            None => End::Trouble(Trouble::Outage, source.to_string()),
        },
    }
}
