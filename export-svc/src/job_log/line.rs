//! What is observed of one job, and when it is written: when the state is another than was written last, or the reason is, and
//! when the job has caught up: everything there was is shown to it, and settled. A job that flaps writes a few entries an hour; what
//! is held back is written as it is by then.

use std::time::Duration;

use proto::export::v1::{ExportCounters, ExportEvent, ExportJobState, ExportLogEntry, FeedProgress};

use crate::clock::Time;
use crate::engine::{JobStatus, severity};
use crate::settle;

/// So many entries at once, and then one each time this has passed: at most 20 in an hour.
const AT_ONCE: u32 = 10;
const ONE_EVERY: Duration = Duration::from_secs(360);

/// What is known of a job.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: ExportJobState,
    reason: String,
    counters: ExportCounters,
    pending: u64,
    reset: u64,
    /// Everything there was has been shown to it, and is settled.
    caught_up: bool,
    /// What the log says.
    written: ExportJobState,
    written_reason: String,
    /// What had been sent and kept by then.
    written_count: u64,
    /// The state or the reason is not written yet.
    is_new: bool,
    /// There was no room for it.
    is_held_back: bool,
    /// That it has caught up is written, and it has not begun anew since.
    synced: bool,
    /// How often it was otherwise since, which was never written.
    left_out: u32,
    allowance: Allowance,
}

impl Line {
    /// An audience of the job was served before. Of several the worst counts.
    pub(super) fn restore(&mut self, progress: &FeedProgress) {
        let is_first = self.written == ExportJobState::Unspecified;
        if is_first || severity(progress.state()) > severity(self.state) {
            (self.state, self.written) = (progress.state(), progress.state());
            self.reason.clone_from(&progress.state_reason);
            self.written_reason.clone_from(&progress.state_reason);
        }
        // An audience that has left the job does not count, and is not caught up with.
        let counters = progress.counters.as_ref().filter(|_| progress.removal.is_none());
        self.written_count += counters.map_or(0, count);
        let synced = progress.synced || progress.removal.is_some();
        self.synced = synced && (is_first || self.synced);
        self.reset = self.reset.max(progress.reset);
    }

    pub(super) fn observe(&mut self, status: &JobStatus) {
        (self.counters, self.pending) = (status.counters, status.pending);
        self.caught_up = status.synced == Some(true);
        if status.state != self.state || status.reason != self.reason {
            self.left_out += u32::from(self.is_held_back);
            (self.is_new, self.is_held_back) = (true, false);
            self.state = status.state;
            self.reason.clone_from(&status.reason);
        }
        if status.state != ExportJobState::Runnable || status.reset > self.reset {
            self.synced = false;
        }
        self.reset = status.reset;
    }

    /// Writes what is new, as far as there is room. Whether there was anything.
    pub(super) fn write(&mut self, job: &str, now: Time, mut write: impl FnMut(ExportLogEntry)) -> bool {
        let mut any = false;
        if self.is_new {
            let differs = self.written != self.state || self.written_reason != self.reason;
            let event = event(self.written, self.state, !self.reason.is_empty()).filter(|_| differs);
            // Whoever serves a job anew does not know that it sleeps before it has tried.
            let wakes = self.written == ExportJobState::Sleeping && event == Some(ExportEvent::Started);
            if wakes && self.pending > 0 && count(&self.counters) == self.written_count {
                return false;
            }
            self.is_held_back = event.is_some() && !self.allowance.take(now);
            if self.is_held_back {
                return false;
            }
            (self.written, self.is_new) = (self.state, false);
            self.written_count = count(&self.counters);
            self.written_reason.clone_from(&self.reason);
            if let Some(event) = event {
                write(self.entry(job, event, self.reason.clone(), now));
                (self.left_out, any) = (0, true);
            }
        }
        let runs = self.state == ExportJobState::Runnable;
        if runs && self.caught_up && !self.synced && self.allowance.take(now) {
            write(self.entry(job, ExportEvent::Synced, String::new(), now));
            (self.left_out, self.synced, any) = (0, true, true);
        }
        any
    }

    fn entry(&self, job: &str, event: ExportEvent, message: String, now: Time) -> ExportLogEntry {
        ExportLogEntry {
            job: job.to_owned(),
            event: event.into(),
            time: Some(settle::timestamp(now)),
            message,
            counters: Some(self.counters),
            token: String::new(),
            left_out: self.left_out,
        }
    }
}

fn count(counters: &ExportCounters) -> u64 {
    counters.added + counters.removed + counters.omitted + counters.rejected
}

/// What it means that a job's state is another than was written, or its reason; `None` if the API has said it, or it is nothing.
fn event(written: ExportJobState, state: ExportJobState, has_reason: bool) -> Option<ExportEvent> {
    use ExportJobState as State;
    match (written, state) {
        (State::Runnable, State::Runnable) => has_reason.then_some(ExportEvent::Error),
        (State::Sleeping, State::Sleeping) => Some(ExportEvent::Error),
        (State::Paused, State::Runnable) => None,
        (_, State::Runnable) => Some(ExportEvent::Started),
        (_, State::Sleeping) => Some(ExportEvent::Sleeping),
        (_, State::Fault) => Some(ExportEvent::Fault),
        (_, State::Failed) => Some(ExportEvent::Failed),
        (_, State::Completed) => Some(ExportEvent::Completed),
        // Its guard has, for a reason; of what somebody has paused the API has said it.
        (_, State::Paused) => has_reason.then_some(ExportEvent::Paused),
        (_, State::Killed | State::Removing | State::Unspecified) => None,
    }
}

/// Entries that may be written.
#[derive(Debug, Default)]
struct Allowance {
    used: u32,
    /// Since when the oldest of those is given back.
    since: Option<Time>,
}

impl Allowance {
    fn take(&mut self, now: Time) -> bool {
        let since = *self.since.get_or_insert(now);
        let back = now.since(since).as_secs() / ONE_EVERY.as_secs();
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        self.used = self.used.saturating_sub(back);
        self.since = Some(if self.used == 0 { now } else { since + ONE_EVERY * back });
        let allowed = self.used < AT_ONCE;
        self.used += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use proto::export::v1::RemovalProgress;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn status(state: ExportJobState, reason: &str, synced: bool) -> JobStatus {
        JobStatus {
            state,
            reason: reason.to_owned(),
            lag: Some(0),
            synced: Some(synced),
            ..JobStatus::default()
        }
    }

    fn written(line: &mut Line, status: &JobStatus, now: Time) -> Vec<(ExportEvent, u32)> {
        let mut entries = Vec::new();
        line.observe(status);
        line.write("job", now, |entry| entries.push((entry.event(), entry.left_out)));
        entries
    }

    #[test]
    fn a_change_of_state_is_written_once_and_that_it_has_caught_up_too() {
        use ExportJobState::{Failed, Fault, Paused, Runnable, Sleeping};
        let mut line = Line::default();
        for (state, reason, synced, expected) in [
            (Runnable, "", false, &[ExportEvent::Started][..]),
            (Runnable, "", false, &[]),
            (Runnable, "", true, &[ExportEvent::Synced]),
            // An audience has come to it.
            (Runnable, "", false, &[]),
            (Runnable, "", true, &[]),
            (Sleeping, "429", true, &[ExportEvent::Sleeping]),
            (Sleeping, "429", false, &[]),
            (Sleeping, "401", false, &[ExportEvent::Error]),
            (Runnable, "", false, &[ExportEvent::Started]),
            (Paused, "", false, &[]),
            (Runnable, "", true, &[ExportEvent::Synced]),
            (Paused, "too many exits", true, &[ExportEvent::Paused]),
            (Failed, "ten hours", true, &[ExportEvent::Failed]),
            (Fault, "resync", true, &[ExportEvent::Fault]),
        ] {
            let events: Vec<_> = written(&mut line, &status(state, reason, synced), at(0))
                .into_iter()
                .map(|(event, _)| event)
                .collect();
            assert_eq!(events, expected, "{state:?} {reason} {synced}");
        }
    }

    #[test]
    fn a_job_that_flaps_writes_so_many_at_once_and_then_a_few_an_hour_which_say_what_is_left_out() {
        let mut line = Line::default();
        let mut all = Vec::new();
        for second in 0..3_600 {
            let (state, reason) = if second % 2 == 0 {
                (ExportJobState::Sleeping, "429")
            } else {
                (ExportJobState::Runnable, "")
            };
            all.extend(written(&mut line, &status(state, reason, false), at(second)));
        }
        assert!((18..=20).contains(&all.len()), "{all:?}");
        assert!(
            all.iter().all(|(event, _)| *event != ExportEvent::Error),
            "it is the same one"
        );
        let left_out: u32 = all.iter().map(|(_, left_out)| left_out).sum();
        assert!((1_400..1_800).contains(&left_out), "{left_out}");
        // It has come to rest.
        let last = status(ExportJobState::Failed, "for good", false);
        let rest: Vec<_> = (3_600..7_200)
            .flat_map(|second| written(&mut line, &last, at(second)))
            .collect();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].0, ExportEvent::Failed);
    }

    #[test]
    fn a_successor_writes_nothing_that_was_so_before() {
        let progress = |state: ExportJobState, synced| FeedProgress {
            state: state.into(),
            synced,
            ..FeedProgress::default()
        };
        let mut line = Line::default();
        line.restore(&progress(ExportJobState::Runnable, true));
        line.restore(&progress(ExportJobState::Runnable, true));
        line.restore(&FeedProgress {
            removal: Some(RemovalProgress::default()),
            ..progress(ExportJobState::Runnable, false)
        });
        assert!(written(&mut line, &status(ExportJobState::Runnable, "", true), at(0)).is_empty());
        let mut line = Line::default();
        line.restore(&progress(ExportJobState::Runnable, true));
        line.restore(&progress(ExportJobState::Sleeping, false));
        let untried = JobStatus {
            pending: 1,
            ..status(ExportJobState::Runnable, "", false)
        };
        assert!(written(&mut line, &untried, at(0)).is_empty(), "it may sleep on");
        assert!(written(&mut line, &status(ExportJobState::Sleeping, "", false), at(0)).is_empty());
        assert!(written(&mut line, &untried, at(0)).is_empty());
        let mut went_well = untried;
        (went_well.counters.added, went_well.synced) = (1, Some(true));
        let expected = [(ExportEvent::Started, 0), (ExportEvent::Synced, 0)];
        assert_eq!(written(&mut line, &went_well, at(0)), expected);
        // What a removal has done says nothing of whether the job goes well.
        let counted = |removal: Option<RemovalProgress>| FeedProgress {
            counters: Some(ExportCounters {
                removed: 3,
                ..ExportCounters::default()
            }),
            removal,
            ..progress(ExportJobState::Sleeping, false)
        };
        let mut line = Line::default();
        line.restore(&counted(None));
        line.restore(&counted(Some(RemovalProgress::default())));
        let mut untried = status(ExportJobState::Runnable, "", false);
        (untried.pending, untried.counters.removed) = (1, 3);
        assert!(written(&mut line, &untried, at(0)).is_empty(), "it may sleep on");
    }
}
