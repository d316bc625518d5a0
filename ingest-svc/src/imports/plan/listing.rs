//! What a look has found, and what is written of it.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use model::time::to_wire;
use proto::imports::v1::{FileProgress, ImportFile, ImportFileState, JobProgress};

use super::{Trouble, later, order, wait};
use crate::imports::id::FileId;
use crate::imports::progress::Write;
use crate::imports::view::JobView;

/// Files that are remembered of a job, at most.
pub(crate) const FILES_MAX: usize = 100_000;
/// Files that are written down at once.
pub(super) const WRITES_MAX: usize = 1_000;

/// A file as its storage lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) etag: String,
    /// Bytes, as it is stored.
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
}

impl Found {
    /// What it is called in the table.
    pub(crate) fn id(&self) -> FileId {
        FileId::of(&self.key, &self.etag, self.size)
    }
}

/// What a look has found so far: at most twice as many files as are remembered.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Looks that were over when this one began, and files that were known to be gone.
    looks: u64,
    gone: usize,
    known: HashSet<FileId>,
    /// Of those that were known, which are there still.
    listed: BTreeSet<FileId>,
    new: Vec<Found>,
    files_max: usize,
}

/// There are more files than are remembered of a job.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are more than {0} files, which is as many as a job remembers: give the job a narrower prefix or pattern, \
     or remove files that were read from the storage, and bounce it"
)]
struct TooMany(usize);

impl Listing {
    /// A look at the files of a job of which so much is known.
    pub(crate) fn new(view: &JobView) -> Self {
        Self::with_room(view, FILES_MAX)
    }

    pub(super) fn with_room(view: &JobView, files_max: usize) -> Self {
        Self {
            looks: view.job.looks,
            gone: view.gone(),
            known: view.files.keys().copied().collect(),
            listed: BTreeSet::new(),
            new: Vec::new(),
            files_max,
        }
    }

    /// Takes a file in. `false`: there are too many already, so that no more need be listed.
    pub(crate) fn take(&mut self, file: Found) -> bool {
        let id = file.id();
        if self.known.contains(&id) {
            self.listed.insert(id);
        } else {
            self.new.push(file);
        }
        self.new.len() <= self.files_max
    }

    /// Looks that were over when it began.
    pub(crate) fn looks(&self) -> u64 {
        self.looks
    }

    /// The same in the order of reading.
    pub(crate) fn in_order(mut self) -> Self {
        self.new.sort_by(|one, other| order::of(one).cmp(&order::of(other)));
        self
    }
}

/// What the coordinator writes of a look: the files that are new, in their order, and at last that the look is over. If there are many
/// it is asked several times. Nothing, if somebody else has looked meanwhile.
pub(crate) fn looked(view: &JobView, listing: &Listing, is_kept_updated: bool, now: Timestamp) -> Vec<Write> {
    if view.job.looks != listing.looks {
        return Vec::new();
    }
    // One key with two etags in a listing are two files; one that was listed twice is one.
    let mut seen = HashSet::new();
    let new: Vec<_> = listing
        .new
        .iter()
        .map(|file| (file.id(), file))
        .filter(|(id, _)| !view.files.contains_key(id) && seen.insert(*id))
        .collect();
    let too_many = (view.files.len() + new.len()).saturating_sub(listing.files_max);
    let mut old = view.in_order();
    old.retain(|(id, file)| file.is_done() && !listing.listed.contains(id));
    if old.len() < too_many {
        let reason = TooMany(listing.files_max).to_string();
        return vec![Write::Job(JobProgress {
            resume_time: None,
            reason,
            ..over(&view.job, now)
        })];
    }
    let mut writes: Vec<_> = old
        .into_iter()
        .take(too_many.min(WRITES_MAX))
        .map(|(id, _)| Write::Forget(id))
        .collect();
    let number = view.next_number();
    let found = new.iter().zip(number..).take(WRITES_MAX);
    writes.extend(found.map(|((id, file), number)| Write::Found(*id, progress(file, number))));
    if new.len() > WRITES_MAX || too_many > WRITES_MAX {
        return writes;
    }
    let mut job = over(&view.job, now);
    if view.gone() != listing.gone {
        // One has gone after it was listed: what came in its place may not have been listed.
        job.last_look_time = None;
    }
    if view.files.is_empty() && new.is_empty() && !is_kept_updated {
        let looks = u32::try_from(view.job.looks).unwrap_or(u32::MAX);
        job.resume_time = Some(to_wire(later(now, wait(Trouble::Refusal, looks))));
        "no file matches prefix and pattern yet; it is looked for again".clone_into(&mut job.reason);
    }
    writes.push(Write::Job(job));
    writes
}

/// The look is over, and no error with it.
fn over(known: &JobProgress, now: Timestamp) -> JobProgress {
    JobProgress {
        looks: known.looks + 1,
        last_look_time: Some(to_wire(now)),
        bounces: known.bounces,
        ..JobProgress::default()
    }
}

pub(super) fn progress(file: &Found, number: u64) -> FileProgress {
    let mut shown = ImportFile {
        key: file.key.clone(),
        etag: file.etag.clone(),
        size: file.size,
        modify_time: Some(to_wire(file.modified)),
        ..ImportFile::default()
    };
    shown.set_state(ImportFileState::Waiting);
    FileProgress {
        file: Some(shown),
        number,
        next_row: 1,
        ..FileProgress::default()
    }
}
