//! The exports of segments so far, and the files of those that went to no storage of the customer's.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Exports that are remembered; of more, the oldest that have ended are forgotten.
const RUNS_MAX: usize = 1_000;
/// Files that are kept to be fetched; of more, the oldest are gone.
const DOWNLOADS_MAX: usize = 16;

/// One export of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The workspace of the key that asked for it.
    pub workspace: String,
    /// The segment.
    pub segment_id: String,
    /// As the answer said it.
    pub object_prefix: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When the segment could be exported again; none while it runs.
    pub ended_at: Option<Timestamp>,
    /// The keys of its files in the storage, in the order of writing.
    pub files: Vec<String>,
    /// The users in its files.
    pub users: usize,
    /// The calls that said it was done.
    pub callbacks: Vec<Callback>,
    /// Why it ended early.
    pub error: Option<String>,
}

/// One call of a callback endpoint; its URL is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// When it ended.
    pub at: Timestamp,
    /// The status of the answer; none without one.
    pub status: Option<u16>,
}

/// What became of the exports.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    runs: VecDeque<Export>,
    downloads: VecDeque<Download>,
}

/// A file that can be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    pub(crate) prefix: String,
    pub(crate) bytes: Bytes,
    pub(crate) since: Timestamp,
}

impl Exports {
    /// The newest exports, oldest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Export> {
        self.runs.iter()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Export> {
        self.runs.iter().filter(|run| run.ended_at.is_none())
    }

    pub(crate) fn begin(&mut self, run: Export) {
        self.runs.push_back(run);
        while self.runs.len() > RUNS_MAX
            && let Some(ended) = self.runs.iter().position(|run| run.ended_at.is_some())
        {
            self.runs.remove(ended);
        }
    }

    pub(crate) fn change(&mut self, prefix: &str, change: impl FnOnce(&mut Export)) {
        if let Some(run) = self.runs.iter_mut().rev().find(|run| run.object_prefix == prefix) {
            change(run);
        }
    }

    pub(crate) fn keep(&mut self, download: Download) {
        self.downloads.push_back(download);
        while self.downloads.len() > DOWNLOADS_MAX {
            self.downloads.pop_front();
        }
    }

    pub(crate) fn download(&self, prefix: &str) -> Option<&Download> {
        self.downloads.iter().find(|download| download.prefix == prefix)
    }
}
