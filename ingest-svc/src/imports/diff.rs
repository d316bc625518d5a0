//! The rows of a file, by their hashes: 16 bytes a row.

use tokio::task;
use twox_hash::XxHash3_128;

use super::open::Source;
use super::read::{End, of_fault, problem};
use crate::files::{Options, Reader, Row};

/// The rows of a file.
pub(super) struct Rows {
    /// Ascending.
    hashes: Vec<u128>,
}

impl Rows {
    /// Reads a file to its end. What cannot be read of it is not among its rows; if it is broken at some place, what is before that is.
    ///
    /// # Errors
    /// When its storage does not give it.
    pub(super) async fn of(source: Source, name: &str, options: Options) -> Result<Self, End> {
        let mut reader = Reader::open(source, name, options).await.map_err(of_fault)?;
        let mut hashes = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(row)) if problem(&row).is_none() => hashes.push(hash(&row)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(fault) => match of_fault(fault) {
                    End::Bad(_) => break,
                    end => return Err(end),
                },
            }
        }
        let sorted = task::spawn_blocking(move || {
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        });
        let hashes = sorted.await.unwrap_or_default();
        Ok(Self { hashes })
    }

    /// Whether the file has a row that says the same.
    pub(super) fn has(&self, row: &Row) -> bool {
        self.hashes.binary_search(&hash(row)).is_ok()
    }
}

fn hash(row: &Row) -> u128 {
    let mut hasher = XxHash3_128::new();
    for record in &row.records {
        // The length keeps one from running into the next.
        hasher.write(&(record.json.len() as u64).to_be_bytes());
        hasher.write(&record.json);
    }
    hasher.finish_128()
}
