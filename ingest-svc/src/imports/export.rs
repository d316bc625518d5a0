//! What is next for a job whose files Braze writes: whether Braze is to be asked for an export, whether to look if its files are there,
//! and when they are all there.
//!
//! ```text
//! its time has come ─▶ Ask ─▶ Braze has begun ─▶ List … the folder rests ─▶ Import ─▶ the next number
//!                       └▶ no answer ─▶ List … a folder that may be ours: adopted; none: Ask, under the next number
//! ```
//!
//! [`step`] and [`answered`] decide, and know nothing but what is written down and what was just listed; so another coordinator goes on where one
//! has died. What they decide counts only once it is written by compare-and-set.
//!
//! As with every job, a reason with a time is a wait, and a reason without one is a fault, which a bounce ends.

mod answer;
mod ask;
mod folder;
#[cfg(test)]
mod tests;

use control::ImportSchedule;
use jiff::{SignedDuration, Timestamp};
use model::time::{from_wire, to_wire};
use proto::imports::v1::{ExportCallback, JobProgress, SegmentExportProgress};

pub(crate) use self::answer::{Asked, answered};
pub(crate) use self::ask::{Asker, ask};
pub(crate) use self::folder::export_of;
use self::folder::{Folder, Seen};
use crate::imports::plan::Found;

/// How long a folder must not have changed if Braze has not called.
const REST: SignedDuration = SignedDuration::from_mins(5);
/// The same after Braze has called.
const REST_CALLED: SignedDuration = SignedDuration::from_secs(10);
/// How often is looked while nothing is there, or something changes.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// How long a folder is looked for that Braze may be about to write, before Braze is asked again.
const DOUBT: SignedDuration = SignedDuration::from_mins(10);
/// How long Braze may write nothing. Twenty million users take it an hour or longer.
const NOTHING_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a job.
pub(crate) struct Standing<'a> {
    /// The segment that is exported.
    pub(crate) segment_id: &'a str,
    /// When it is exported; `None`: once.
    pub(crate) schedule: Option<&'a ImportSchedule>,
    /// What is written down.
    pub(crate) progress: &'a JobProgress,
    /// The last call of Braze's.
    pub(crate) callback: Option<&'a ExportCallback>,
    /// What is below the prefixes of [`Step::List`], listed just now.
    pub(crate) listing: Option<&'a [Found]>,
    /// Whether files of this export, which is a part of their keys, were imported: see [`export_of`].
    pub(crate) taken: &'a dyn Fn(&str) -> bool,
}

/// What is next. Each progress is to be written if nobody has written since; if somebody has, the step is to be decided anew.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// When the progress, which has the intention, is written: ask Braze ([`ask`]), and write what [`answered`] makes of its answer.
    Ask(Asked, JobProgress),
    /// List what is below these prefixes, nine at most, and decide with it.
    List(Vec<String>),
    /// Write this, and decide anew.
    Write(JobProgress),
    /// Nothing until then, or until Braze calls.
    Wait(Timestamp),
    /// Read these files, all of an export, which are to be written down together with the progress. Of a segment without users there are none.
    Import(Vec<Found>, JobProgress),
    /// Nothing until the job is bounced: it is over, in fault, or has failed.
    Rest,
}

/// What is next for a job that is neither paused nor killed, and whose bounces are followed.
pub(crate) fn step(standing: &Standing<'_>, now: Timestamp) -> Step {
    let progress = standing.progress;
    let resume = progress.resume_time.as_ref().and_then(from_wire);
    if progress.failed || (resume.is_none() && !progress.reason.is_empty()) {
        return Step::Rest;
    }
    let export = progress.export.clone().unwrap_or_default();
    if let Some(until) = resume.filter(|resume| *resume > now && !standing.has_news(&export)) {
        return Step::Wait(until);
    }
    match export.ask_time.as_ref().and_then(from_wire) {
        None => standing.begin(&export, now),
        Some(asked) if export.object_prefix.is_empty() => standing.seek(&export, asked, now),
        Some(asked) => standing.await_files(export, asked, now),
    }
}

impl Standing<'_> {
    /// Braze has nothing to do for us.
    fn begin(&self, export: &SegmentExportProgress, now: Timestamp) -> Step {
        let last = self.progress.last_look_time.as_ref().and_then(from_wire);
        let due = last.map_or(Some(now), |last| self.next_after(last));
        match due {
            None => Step::Rest,
            Some(until) if until > now => Step::Wait(until),
            Some(_) => self.ask(export.number.max(1), None, now),
        }
    }

    /// It is not known whether Braze has begun: if it has, the folder shows up, and while it is at it, it does not begin again.
    fn seek(&self, export: &SegmentExportProgress, asked: Timestamp, now: Timestamp) -> Step {
        let first = export.doubt_time.as_ref().and_then(from_wire).unwrap_or(asked);
        let folder = Folder {
            segment_id: self.segment_id,
            object_prefix: None,
        };
        let Some(listing) = self.listing else {
            return Step::List(folder.prefixes(first, now));
        };
        if let Some(adopted) = folder.begun_at(listing, first, self.taken) {
            let export = SegmentExportProgress {
                object_prefix: adopted.to_owned(),
                doubt_time: None,
                ..export.clone()
            };
            let reason = "Braze has not said that it has begun, but its files appear".to_owned();
            return Step::Write(waiting(&going_well(self.progress), export, reason, now));
        }
        let until = asked + DOUBT;
        if until > now {
            let (reason, until) = (self.progress.reason.clone(), until.min(now + LOOK_EVERY));
            return Step::Write(waiting(self.progress, export.clone(), reason, until));
        }
        // What it has begun without a word would call under this number.
        self.ask(export.number + 1, Some(first), now)
    }

    /// Braze writes, or has written.
    fn await_files(&self, mut export: SegmentExportProgress, asked: Timestamp, now: Timestamp) -> Step {
        let folder = Folder {
            segment_id: self.segment_id,
            object_prefix: Some(&export.object_prefix),
        };
        let Some(listing) = self.listing else {
            return Step::List(folder.prefixes(asked, now));
        };
        let called = self.has_called(&export);
        let files = folder.files(listing);
        let seen = Seen::new(&files, called).to_string();
        let since = export.resting_since.as_ref().and_then(from_wire);
        let since = since.filter(|_| export.listing == seen).unwrap_or(now);
        // Of a segment without users there is no file; nor is one here if Braze writes elsewhere.
        let rest = if called && !files.is_empty() { REST_CALLED } else { REST };
        let nothing = files.is_empty() && !called;
        if !nothing && now.duration_since(since) >= rest {
            let progress = self.over(&export, asked, files.is_empty());
            return Step::Import(files, progress);
        }
        let gives_up = asked + NOTHING_MAX;
        if nothing && now >= gives_up {
            return Step::Write(waiting(self.progress, next(&export), given_up(asked), now));
        }
        let until = if nothing { gives_up } else { since + rest };
        (export.listing, export.resting_since) = (seen, Some(to_wire(since)));
        let reason = match (called, files.len()) {
            (true, _) => "Braze says that the export is ready".to_owned(),
            (false, 0) => exporting(asked),
            (false, files) => format!("{}, and has written {files} files so far", exporting(asked)),
        };
        Step::Write(waiting(
            &going_well(self.progress),
            export,
            reason,
            until.min(now + LOOK_EVERY),
        ))
    }

    fn ask(&self, number: u64, doubt: Option<Timestamp>, now: Timestamp) -> Step {
        let export = SegmentExportProgress {
            number,
            ask_time: Some(to_wire(now)),
            doubt_time: doubt.map(to_wire),
            ..SegmentExportProgress::default()
        };
        let reason = "Braze is asked to export the segment".to_owned();
        Step::Ask(Asked { number, time: now }, waiting(self.progress, export, reason, now))
    }

    /// With one look more.
    fn over(&self, export: &SegmentExportProgress, asked: Timestamp, empty: bool) -> JobProgress {
        let over = JobProgress {
            looks: self.progress.looks + 1,
            last_look_time: Some(to_wire(asked)),
            export: Some(next(export)),
            ..going_well(self.progress)
        };
        if !empty {
            return over;
        }
        let reason = "Braze says that the export is ready, and there is no file of it: nobody is in the segment, or Braze writes to another storage";
        JobProgress {
            resume_time: self.next_after(asked).map(to_wire),
            reason: reason.to_owned(),
            ..over
        }
    }

    fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        self.schedule.map(|schedule| schedule.next(last))
    }

    fn has_called(&self, export: &SegmentExportProgress) -> bool {
        let is_this = |callback: &ExportCallback| callback.number == export.number && callback.success;
        self.callback.is_some_and(is_this)
    }

    /// Braze has called since the folder was listed last. An error has its own time to wait.
    fn has_news(&self, export: &SegmentExportProgress) -> bool {
        let is_known = export.object_prefix.is_empty() || Seen::has_called(&export.listing);
        self.progress.failures == 0 && !is_known && self.has_called(export)
    }
}

/// The next number, which Braze was not asked for yet.
fn next(export: &SegmentExportProgress) -> SegmentExportProgress {
    SegmentExportProgress {
        number: export.number + 1,
        ..SegmentExportProgress::default()
    }
}

/// As it is after something has succeeded.
fn going_well(progress: &JobProgress) -> JobProgress {
    JobProgress {
        failures: 0,
        failing_since: None,
        resume_time: None,
        reason: String::new(),
        ..progress.clone()
    }
}

fn waiting(progress: &JobProgress, export: SegmentExportProgress, reason: String, until: Timestamp) -> JobProgress {
    JobProgress {
        export: Some(export),
        resume_time: Some(to_wire(until)),
        reason,
        ..progress.clone()
    }
}

fn exporting(asked: Timestamp) -> String {
    format!("Braze exports the segment since {}", in_seconds(asked))
}

fn given_up(asked: Timestamp) -> String {
    let asked = in_seconds(asked);
    format!(
        "Braze has written nothing in the 24 hours since it was asked to export the segment at {asked}; it is asked again"
    )
}

/// For people.
fn in_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
