//! How the removals of a job's slugs fare.

use std::time::Duration;

use control::Removed;
use jiff::Timestamp;
use model::AccountNumber;
use proto::export::v1::{ExportCounters, ExportJobState, FeedProgress};

use super::{EngineHandle, JobStatus, severity};

/// How the removal of one audience's slug fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemovalStatus {
    /// Slug of the audience.
    pub audience: String,
    /// Which removal of the job it is.
    pub number: u64,
    /// There is nothing left to do. Whether a crash may undo that is not said here.
    pub done: bool,
    /// What became of its updates.
    pub counters: ExportCounters,
    /// Records that have still to be looked at, at most; `None` before that is known.
    pub unread: Option<u64>,
    /// How long they take at the present pace, if that is known.
    pub estimate: Option<Duration>,
    /// As of a job.
    pub state: ExportJobState,
    /// Why it is in that state.
    pub reason: String,
    /// See [`JobStatus::bounces`].
    pub bounces: u64,
    /// See [`JobStatus::resumes`].
    pub resumes: Option<Timestamp>,
}

impl RemovalStatus {
    /// As whoever serves it has written down.
    pub(super) fn of(audience: &str, progress: &FeedProgress) -> Option<Self> {
        let removal = progress.removal.as_ref()?;
        let estimate = progress.estimated_duration.and_then(|left| left.try_into().ok());
        Some(Self {
            audience: audience.to_owned(),
            number: removal.number,
            done: removal.done,
            counters: progress.counters.unwrap_or_default(),
            unread: unread(removal.done, !removal.until.is_empty(), progress.unread_before_start),
            estimate: estimate.filter(|_| !removal.done),
            state: progress.state(),
            reason: progress.state_reason.clone(),
            bounces: progress.bounces,
            resumes: progress.resume_time.as_ref().and_then(model::time::from_wire),
        })
    }
}

/// What is unread of so much up to its end, if that is known.
pub(crate) fn unread(done: bool, end_is_known: bool, left: u64) -> Option<u64> {
    if done {
        Some(0)
    } else {
        Some(left).filter(|_| end_is_known)
    }
}

impl JobStatus {
    /// Of a job that has only removals, so far.
    pub(crate) fn of_removals() -> Self {
        Self {
            state: ExportJobState::Runnable,
            reset: u64::MAX,
            redrive: u64::MAX,
            bounces: u64::MAX,
            confirms: u64::MAX,
            ..Self::default()
        }
    }

    /// It has this removal besides, and is no better than that as long as it goes on.
    pub(crate) fn removing(mut self, removal: RemovalStatus) -> Self {
        if !removal.done {
            if severity(removal.state) > severity(self.state) {
                self.state = removal.state;
                self.reason.clone_from(&removal.reason);
            }
            self.lag = self.lag.max(removal.unread.filter(|unread| *unread > 0));
            self.unread_before_start = self.unread_before_start.max(removal.unread.unwrap_or(0));
            self.estimate = self.estimate.max(removal.estimate);
            self.bounces = self.bounces.min(removal.bounces);
            self.resumes = self.resumes.max(removal.resumes);
        }
        self.removals.push(removal);
        self
    }
}

impl EngineHandle {
    /// The removals of an account's jobs that are over and of which that is written down: no crash undoes it.
    pub fn removed(&self, account: AccountNumber) -> Removed {
        self.elsewhere.removed(account)
    }
}
