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

#[cfg(test)]
mod tests {
    use control::ImportSchedule;
    use model::time::to_wire;
    use proto::imports::v1::{FileProgress, JobProgress};

    use super::*;
    use crate::imports::id::FileId;
    use crate::imports::plan::tests::{at, end, job};

    /// A job that has looked and found files of these keys, of 100 bytes each.
    fn view(keys: &[&str]) -> JobView {
        let mut view = JobView::default();
        view.job.looks = 1;
        view.job.last_look_time = Some(to_wire(at(0)));
        for (number, key) in (1..).zip(keys) {
            put(&mut view, key, |progress| progress.number = number);
        }
        view
    }

    fn put(view: &mut JobView, key: &str, change: impl FnOnce(&mut FileProgress)) {
        let id = FileId::of(key, "", 0);
        let known = view.files.get(&id).and_then(|file| file.progress.as_deref().cloned());
        let file = ImportFile {
            key: key.to_owned(),
            size: 100,
            ..ImportFile::default()
        };
        let mut progress = known.unwrap_or(FileProgress {
            file: Some(file),
            ..FileProgress::default()
        });
        change(&mut progress);
        view.files.insert(id, File::found(progress));
    }

    fn state_of(job: &ImportJob, view: &JobView) -> (ImportJobState, String, Option<Timestamp>) {
        let observed = observe(job, view, at(10));
        (observed.state, observed.reason, observed.resume_time)
    }

    #[test]
    fn what_somebody_wants_goes_before_what_is_known_and_a_failure_before_a_fault() {
        let mut job = job();
        let mut view = view(&["a"]);
        assert_eq!(state_of(&job, &view).0, ImportJobState::Runnable);
        put(&mut view, "a", |progress| progress.bad = true);
        assert_eq!(state_of(&job, &view).0, ImportJobState::Fault);
        view.job.failed = true;
        assert_eq!(state_of(&job, &view).0, ImportJobState::Failed);
        job.paused = true;
        assert_eq!(state_of(&job, &view).0, ImportJobState::Paused);
        job.killed = true;
        assert_eq!(state_of(&job, &view).0, ImportJobState::Killed);
        (job.paused, job.killed, job.bounces) = (false, false, 1);
        assert_eq!(state_of(&job, &view).0, ImportJobState::Runnable);
    }

    #[test]
    fn a_job_is_in_fault_for_a_bad_file_only_when_all_others_are_read_and_if_it_does_not_pass_over_it() {
        let mut job = job();
        let mut view = view(&["a", "b", "c"]);
        for key in ["a", "c"] {
            put(&mut view, key, |progress| {
                progress.bad = true;
                progress.file.as_mut().unwrap().state_reason = format!("row 3 of {key}");
            });
        }
        assert_eq!(state_of(&job, &view).0, ImportJobState::Runnable);
        end(&mut view, "b", ImportFileState::Done);
        let fault = (
            ImportJobState::Fault,
            "a: row 3 of a (and one other file is bad)".to_owned(),
            None,
        );
        assert_eq!(state_of(&job, &view), fault);
        assert_eq!(counters(&view).files_bad, 2);
        job.skip_bad_files = true;
        assert_eq!(state_of(&job, &view).0, ImportJobState::Completed);
        let states: Vec<_> = files(&job, &view).iter().map(|(_, file)| file.state()).collect();
        use ImportFileState::{Done, Skipped};
        assert_eq!(states, [Skipped, Done, Skipped]);
    }

    #[test]
    fn a_job_sleeps_until_its_next_look_or_its_next_attempt_and_says_why() {
        let mut job = job();
        let mut read = view(&["a"]);
        end(&mut read, "a", ImportFileState::Done);
        assert_eq!(state_of(&job, &read).0, ImportJobState::Completed);
        job.schedule = Some(ImportSchedule::Every(Duration::from_secs(60)));
        let (state, _, resume) = state_of(&job, &read);
        assert_eq!((state, resume), (ImportJobState::Sleeping, Some(at(60))));
        read.job = JobProgress {
            resume_time: Some(to_wire(at(30))),
            reason: "away".to_owned(),
            failures: 1,
            ..read.job
        };
        assert_eq!(
            state_of(&job, &read),
            (ImportJobState::Sleeping, "away".to_owned(), Some(at(30)))
        );
        put(&mut read, "b", |progress| {
            progress.retry_time = Some(to_wire(at(20)));
            progress.file.as_mut().unwrap().state_reason = "no".to_owned();
        });
        assert_eq!(
            state_of(&job, &read),
            (ImportJobState::Sleeping, "b: no".to_owned(), Some(at(20)))
        );
        put(&mut read, "b", |progress| progress.retry_time = Some(to_wire(at(10))));
        assert_eq!(state_of(&job, &read).0, ImportJobState::Runnable);
    }

    #[test]
    fn the_rest_takes_as_long_as_its_bytes_do_at_this_pace() {
        let job = job();
        let mut view = view(&["a", "b"]);
        put(&mut view, "a", |progress| {
            let counters = ImportCounters {
                bytes_read: 50,
                ..ImportCounters::default()
            };
            progress.file.as_mut().unwrap().counters = Some(counters);
        });
        let pace = Pace { rows: 3.0, bytes: 10.0 };
        let observed = observe(&job, &view, at(10)).at(pace);
        assert_eq!(observed.estimated, Some(Duration::from_secs(15)));
        assert_eq!(observe(&job, &view, at(10)).at(Pace::default()).estimated, None);
    }
}
