//! What Braze's answer to being asked for an export changes.

use std::time::Duration;

use braze::{Denial, Denied, StartedExport};
use jiff::{SignedDuration, Timestamp};
use model::time::{from_wire, to_wire};
use proto::imports::v1::{JobProgress, SegmentExportProgress};

use super::{DOUBT, LOOK_EVERY, exporting, going_well, in_seconds, next, waiting};

/// The first pause after a refusal; the next ones are twice as long each.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// The longest of them.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);
/// A job that has met nothing but errors for so long fails.
const FAILS_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Braze hands the files out by itself.
const NO_STORAGE: &str = "Braze has no storage to write to; connect that of the job's storage authorization in Braze (Partner Integrations > \
     Technology Partners, as the default data export destination), then bounce the job";

/// One time that Braze is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What stands in the callback's URL.
    pub(crate) number: u64,
    /// When the intention was written.
    pub(crate) time: Timestamp,
}

/// The progress after the answer; `None` if it is not about what is written down any more.
pub(crate) fn answered(
    progress: &JobProgress,
    asked: Asked,
    answer: &Result<StartedExport, Denied>,
    now: Timestamp,
) -> Option<JobProgress> {
    let export = progress.export.as_ref()?;
    let is_open = export.object_prefix.is_empty() && export.ask_time == Some(to_wire(asked.time));
    if export.number != asked.number || !is_open {
        return None;
    }
    Some(match answer {
        Ok(StartedExport { url: Some(_), .. }) => fault(progress, next(export), NO_STORAGE.to_owned()),
        Ok(StartedExport { object_prefix, .. }) => {
            let begun = SegmentExportProgress {
                object_prefix: object_prefix.clone(),
                doubt_time: None,
                ..export.clone()
            };
            waiting(&going_well(progress), begun, exporting(asked.time), now + LOOK_EVERY)
        }
        Err(denied) => refused(progress, export, asked, denied, now),
    })
}

fn refused(
    progress: &JobProgress,
    export: &SegmentExportProgress,
    asked: Asked,
    Denied { denial, message }: &Denied,
    now: Timestamp,
) -> JobProgress {
    let pause = pause(progress.failures);
    let again = |reason: String, pause| again(progress, not_begun(export), reason, pause, now);
    match denial {
        // Its folder is looked for meanwhile.
        Denial::Unknown => {
            let until = in_seconds(asked.time + DOUBT);
            let reason = format!(
                "Braze has not said whether it has begun to export the segment ({message}); what it writes is looked for until {until}, then it \
                 is asked again"
            );
            self::again(progress, export.clone(), reason, LOOK_EVERY, now)
        }
        Denial::Busy => again(
            format!("Braze exports the segment already, or too many others at once ({message}); it is asked again"),
            pause,
        ),
        Denial::RateLimited { retry_after } => again(
            format!("the Braze workspace has used up its requests ({message}); Braze is asked again"),
            retry_after.and_then(told).unwrap_or(pause),
        ),
        Denial::Unauthorized { .. } => again(
            format!(
                "Braze does not take the authorization's key, which needs the permission users.export.segment: {message}; rotate it"
            ),
            pause,
        ),
        Denial::NotSent => again(format!("Braze cannot be reached: {message}"), pause),
        Denial::Unusable => fault(
            progress,
            not_begun(export),
            format!("Braze does not export this segment with these fields: {message}"),
        ),
        Denial::Other { status } => fault(
            progress,
            not_begun(export),
            format!("Braze answers with status {status}: {message}"),
        ),
    }
}

/// Braze has said that it has not begun. If it has not said so of an earlier time, that one is as open as it was.
fn not_begun(export: &SegmentExportProgress) -> SegmentExportProgress {
    let ask_time = export.doubt_time.and(export.ask_time);
    SegmentExportProgress {
        ask_time,
        ..export.clone()
    }
}

fn again(
    progress: &JobProgress,
    export: SegmentExportProgress,
    reason: String,
    pause: SignedDuration,
    now: Timestamp,
) -> JobProgress {
    let since = progress.failing_since.as_ref().and_then(from_wire).unwrap_or(now);
    let failed = now.duration_since(since) >= FAILS_AFTER;
    JobProgress {
        export: Some(export),
        failures: progress.failures.saturating_add(1),
        failing_since: Some(to_wire(since)),
        resume_time: (!failed).then(|| to_wire(now + pause)),
        failed,
        reason,
        ..progress.clone()
    }
}

/// What a repeat would not change.
fn fault(progress: &JobProgress, export: SegmentExportProgress, reason: String) -> JobProgress {
    JobProgress {
        export: Some(export),
        resume_time: None,
        reason,
        ..progress.clone()
    }
}

/// After so many errors in a row before this one.
fn pause(failures: u32) -> SignedDuration {
    (PAUSE * 2_i32.pow(failures.min(4))).min(PAUSE_MAX)
}

/// At least a second, or it would not be a pause.
fn told(wait: Duration) -> Option<SignedDuration> {
    SignedDuration::try_from(wait.max(Duration::from_secs(1))).ok()
}
