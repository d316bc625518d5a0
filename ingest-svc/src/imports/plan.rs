//! What a job does next: pure, of what somebody wants and what is known.

mod listing;
mod order;
mod segment;
#[cfg(test)]
pub(in crate::imports) mod tests;

use std::time::Duration;

use control::{ImportJob, ImportSource};
use jiff::{SignedDuration, Timestamp};
use model::time::{from_wire, to_wire};
use proto::imports::v1::{FileProgress, JobProgress};

pub(crate) use self::listing::{FILES_MAX, Found, Listing, looked};
pub(crate) use self::segment::{exported, of_segment};
use super::export;
use super::id::FileId;
use super::view::{File, JobView};

/// The first wait after an outage, and after a refusal; each is doubled from one failure to the next.
const OUTAGE_WAIT: Duration = Duration::from_secs(1);
const REFUSAL_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether all of an upload has arrived.
const UPLOADING_WAIT: Duration = Duration::from_secs(5);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// A job that has met nothing but errors for so long has failed.
const FAILED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A file that could not be had so often in a row, which takes a day, is bad.
const FILE_FAILURES_MAX: u32 = 150;

/// What its coordinator does for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until something changes.
    Rest,
    /// Nothing, until then.
    Wait(Timestamp),
    /// It notes that the job was bounced.
    Bounce,
    /// It looks for files.
    Look,
}

/// What kept a job or a file from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may be over with the next attempt.
    Outage,
    /// Somebody has to act.
    Refusal,
}

/// What its coordinator does for a job at this moment.
pub(crate) fn next(job: &ImportJob, view: &JobView, now: Timestamp) -> Step {
    let known = &view.job;
    if job.killed || job.paused {
        return Step::Rest;
    }
    if job.bounces > known.bounces {
        return Step::Bounce;
    }
    if let ImportSource::SegmentExport(files) = &job.source {
        return match of_segment(job, files, view, None, now) {
            export::Step::Rest => Step::Rest,
            export::Step::Wait(time) => Step::Wait(time),
            _ => Step::Look,
        };
    }
    if known.failed {
        return Step::Rest;
    }
    match known.resume_time.as_ref().and_then(from_wire) {
        Some(time) if time > now => return Step::Wait(time),
        // It is in fault.
        None if !known.reason.is_empty() => return Step::Rest,
        _ => {}
    }
    let last_look = known.last_look_time.as_ref().and_then(from_wire);
    let Some(last_look) = last_look else { return Step::Look };
    if known.failures > 0 || known.export.is_some() || view.misses_a_file() {
        return Step::Look;
    }
    match &job.schedule {
        Some(schedule) => match schedule.next(last_look) {
            time if time > now => Step::Wait(time),
            _ => Step::Look,
        },
        // A file that is missing is waited for.
        None if view.files.is_empty() => Step::Look,
        None => Step::Rest,
    }
}

/// For how many seconds a job has been due for a look.
pub(crate) fn lateness(job: &ImportJob, view: &JobView, now: Timestamp) -> f64 {
    let known = &view.job;
    let resume = known.resume_time.as_ref().and_then(from_wire);
    let scheduled = || {
        let last_look = known.last_look_time.as_ref().and_then(from_wire)?;
        Some(job.schedule.as_ref()?.next(last_look))
    };
    let due = resume.or_else(scheduled).unwrap_or(job.update_time);
    now.duration_since(due).as_secs_f64().max(0.0)
}

/// The job has followed its bounce: whatever it waited for is over, and it looks at once.
pub(crate) fn bounced(job: &ImportJob, known: &JobProgress) -> JobProgress {
    JobProgress {
        looks: known.looks,
        bounces: job.bounces,
        export: known.export.clone(),
        ..JobProgress::default()
    }
}

/// A look, or a call to Braze, came to nothing.
pub(crate) fn failed(known: &JobProgress, trouble: Trouble, reason: &str, now: Timestamp) -> JobProgress {
    let since = known.failing_since.as_ref().and_then(from_wire).unwrap_or(now);
    let failed = now.duration_since(since) >= FAILED_AFTER;
    JobProgress {
        failures: known.failures + 1,
        failing_since: Some(to_wire(since)),
        resume_time: (!failed).then(|| to_wire(later(now, wait(trouble, known.failures)))),
        reason: reason.to_owned(),
        failed,
        ..known.clone()
    }
}

/// Not all of an uploaded file has arrived: it is looked again soon.
pub(crate) fn uploading(known: &JobProgress, arrived: u64, size: u64, now: Timestamp) -> JobProgress {
    JobProgress {
        failures: 0,
        failing_since: None,
        resume_time: Some(to_wire(later(now, UPLOADING_WAIT))),
        reason: format!("{arrived} of {size} bytes have arrived; it waits for the rest of the upload"),
        ..known.clone()
    }
}

/// The storage did not give a file, or not all of it.
pub(crate) fn file_failed(known: &FileProgress, trouble: Trouble, reason: &str, now: Timestamp) -> FileProgress {
    let mut failed = known.clone();
    failed.failures += 1;
    failed.bad = failed.failures >= FILE_FAILURES_MAX;
    failed.retry_time = (!failed.bad).then(|| to_wire(later(now, wait(trouble, known.failures))));
    if let Some(file) = &mut failed.file {
        reason.clone_into(&mut file.state_reason);
    }
    failed
}

/// The files of a job that may be read at this moment, in their order.
pub(crate) fn readable(job: &ImportJob, view: &JobView, now: Timestamp) -> Vec<FileId> {
    if job.killed || job.paused || (view.job.failed && job.bounces <= view.job.bounces) {
        return Vec::new();
    }
    let files = view.in_order().into_iter();
    let open = files.filter(|(_, file)| !file.is_done() && !file.is_bad(job.bounces));
    // Of two files that are compared, the first is read first.
    let at_once = if job.diff { 1 } else { usize::MAX };
    let is_due = |file: &File| file.retry_time(job.bounces).is_none_or(|time| time <= now);
    let due = open.take(at_once).filter(|(_, file)| is_due(file));
    due.map(|(id, _)| id).collect()
}

/// When one of the files that wait for their storage is to be read again.
pub(crate) fn next_retry(job: &ImportJob, view: &JobView) -> Option<Timestamp> {
    let open = view
        .files
        .values()
        .filter(|file| !file.is_done() && !file.is_bad(job.bounces));
    open.filter_map(|file| file.retry_time(job.bounces)).min()
}

/// The file that one is compared with: the last before it that was read.
pub(crate) fn previous(view: &JobView, file: FileId) -> Option<&File> {
    let number = view.files.get(&file)?.number();
    let before = view
        .files
        .values()
        .filter(|other| other.is_read() && other.number() < number);
    before.max_by_key(|other| other.number())
}

/// The wait after so many failures before this one.
pub(super) fn wait(trouble: Trouble, failures: u32) -> Duration {
    let first = match trouble {
        Trouble::Outage => OUTAGE_WAIT,
        Trouble::Refusal => REFUSAL_WAIT,
    };
    first.saturating_mul(1 << failures.min(16)).min(WAIT_MAX)
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
