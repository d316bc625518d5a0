//! How a job is, of what somebody wants of it and what is known of it.

use std::time::Duration;

use control::ImportJob;
use jiff::Timestamp;
use model::time::from_wire;
use proto::imports::v1::{ImportCounters, ImportFile, ImportFileState, ImportJobState};

use super::plan::{self, Step};
use super::rate::Pace;
use super::view::{File, JobView};

/// Files that are being read are shown up to so many.
const READING_MAX: usize = 16;

/// How a job is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    pub(crate) state: ImportJobState,
    /// Why; empty if that goes without saying.
    pub(crate) reason: String,
    /// When it goes on, if it sleeps.
    pub(crate) resume_time: Option<Timestamp>,
    /// Of all files.
    pub(crate) counters: ImportCounters,
    /// The files that are being read, in their order.
    pub(crate) reading: Vec<ImportFile>,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
    /// How long the rest takes at this pace, if that is known.
    pub(crate) estimated: Option<Duration>,
}

impl Observed {
    /// The same, with how fast it is.
    pub(super) fn at(mut self, pace: Pace) -> Self {
        if self.state == ImportJobState::Runnable {
            let left = self.counters.bytes.saturating_sub(self.counters.bytes_read);
            self.rows_per_second = pace.rows;
            #[expect(clippy::cast_precision_loss, reason = "an estimate need not be exact beyond 2^52")]
            let seconds = left as f64 / pace.bytes;
            self.estimated = Duration::try_from_secs_f64(seconds).ok();
        }
        self
    }
}

/// What became of the files and rows of a job.
pub(crate) fn counters(view: &JobView) -> ImportCounters {
    let mut all = ImportCounters::default();
    for file in view.files.values() {
        let one = file.counters();
        let size = file.newest().map_or(0, |newest| newest.size);
        all.files += 1;
        all.files_done += u64::from(file.is_done());
        all.files_bad += u64::from(file.progress.as_ref().is_some_and(|progress| progress.bad) && !file.is_read());
        all.bytes += size;
        // Of what is passed over nothing is left to read.
        all.bytes_read += if file.is_done() { size } else { one.bytes_read.min(size) };
        all.rows += one.rows;
        all.sent += one.sent;
        all.rejected += one.rejected;
        all.dropped += one.dropped;
        all.unchanged += one.unchanged;
    }
    all
}

/// The files of a job in the order of reading, as they are shown; each with a text that sorts so, and stays.
pub(crate) fn files(job: &ImportJob, view: &JobView) -> Vec<(String, ImportFile)> {
    let files = view.in_order().into_iter();
    let shown = files.map(|(id, file)| Some((format!("{:020}/{id}", file.number()), shown(job, file)?)));
    shown.flatten().collect()
}

/// How a job is at this moment.
pub(crate) fn observe(job: &ImportJob, view: &JobView, now: Timestamp) -> Observed {
    let (state, reason, resume_time) = state(job, view, now);
    let is_read = |file: &ImportFile| file.state() == ImportFileState::Reading;
    let reading = match state {
        ImportJobState::Runnable => {
            let shown = files(job, view).into_iter().map(|(_, file)| file).filter(is_read);
            shown.take(READING_MAX).collect()
        }
        _ => Vec::new(),
    };
    Observed {
        state,
        reason,
        resume_time,
        counters: counters(view),
        reading,
        rows_per_second: 0.0,
        estimated: None,
    }
}

fn state(job: &ImportJob, view: &JobView, now: Timestamp) -> (ImportJobState, String, Option<Timestamp>) {
    let known = &view.job;
    let plain = |state| (state, String::new(), None);
    if job.killed {
        return plain(ImportJobState::Killed);
    }
    if job.paused {
        return plain(ImportJobState::Paused);
    }
    // What it waited for is over with the bounce.
    let bounced = job.bounces > known.bounces;
    if known.failed && !bounced {
        return (ImportJobState::Failed, known.reason.clone(), None);
    }
    let open = || {
        view.files
            .values()
            .filter(|file| !file.is_done() && !file.is_bad(job.bounces))
    };
    if open().any(|file| file.retry_time(job.bounces).is_none_or(|time| time <= now)) {
        return plain(ImportJobState::Runnable);
    }
    if bounced {
        return plain(ImportJobState::Runnable);
    }
    let resume_time = known.resume_time.as_ref().and_then(from_wire);
    if resume_time.is_none() && !known.reason.is_empty() {
        return (ImportJobState::Fault, known.reason.clone(), None);
    }
    if let Some(file) = open().min_by_key(|file| file.retry_time(job.bounces)) {
        return (ImportJobState::Sleeping, of_file(file), file.retry_time(job.bounces));
    }
    if let Some(time) = resume_time.filter(|time| *time > now) {
        return (ImportJobState::Sleeping, known.reason.clone(), Some(time));
    }
    let bad = || view.files.values().filter(|file| file.is_bad(job.bounces));
    if let Some(first) = bad().min_by_key(|file| file.number())
        && !job.skip_bad_files
    {
        let others = match bad().count() - 1 {
            0 => String::new(),
            1 => " (and one other file is bad)".to_owned(),
            others => format!(" (and {others} other files are bad)"),
        };
        return (ImportJobState::Fault, of_file(first) + &others, None);
    }
    match plan::next(job, view, now) {
        Step::Bounce | Step::Look => plain(ImportJobState::Runnable),
        Step::Wait(time) => {
            let reason = "all files that were found are read; it looks for further ones then";
            (ImportJobState::Sleeping, reason.to_owned(), Some(time))
        }
        Step::Rest => {
            let reason = match view.files.len() {
                1 => "its file is read".to_owned(),
                files => format!("all {files} files are read"),
            };
            (ImportJobState::Completed, reason, None)
        }
    }
}

fn of_file(file: &File) -> String {
    let newest = file.newest();
    newest.map_or_else(String::new, |file| format!("{}: {}", file.key, file.state_reason))
}

/// A file as it is shown: whether it is bad depends on what happened to the job since.
fn shown(job: &ImportJob, file: &File) -> Option<ImportFile> {
    let mut shown = file.newest()?.clone();
    if !file.is_done() {
        let state = match () {
            () if file.is_bad(job.bounces) && job.skip_bad_files => ImportFileState::Skipped,
            () if file.is_bad(job.bounces) => ImportFileState::Bad,
            () if shown.state() == ImportFileState::Reading && !job.paused && !job.killed => ImportFileState::Reading,
            () => ImportFileState::Waiting,
        };
        shown.set_state(state);
        if state == ImportFileState::Reading {
            shown.state_reason.clear();
        }
    }
    Some(shown)
}
