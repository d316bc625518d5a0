//! The guard of a job, which pauses it before too many members of an audience are removed: what somebody wants of it. Whether it
//! has paused the job is told by the engine.

use jiff::Timestamp;
use model::AccountNumber;
use proto::control::v1::StoredConfirmation;

use super::moves::Move;
use super::{ExportJob, ExportJobs};
use crate::Error;

/// What somebody wants of the guard of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// No more than this many percent of an audience's members are removed within an hour; 0 and 100: as many as may be.
    pub percent: u32,
    /// How often somebody has let the job go on that the guard had paused.
    pub confirms: u64,
    /// When last: exits that were there by then are not the guard's business.
    pub confirmed: Option<Timestamp>,
}

impl Guard {
    /// Percent unless somebody says otherwise.
    pub const PERCENT: u32 = 20;

    /// One that has paused nothing yet.
    pub fn new(percent: u32) -> Self {
        Self {
            percent,
            confirms: 0,
            confirmed: None,
        }
    }

    /// Whether it never pauses the job.
    pub fn is_off(&self) -> bool {
        self.percent == 0 || self.percent >= 100
    }

    /// Whether a job that the guard had paused when so many confirmations were known is to go on.
    pub fn lets_go(&self, confirms: u64) -> bool {
        self.is_off() || confirms < self.confirms
    }

    pub(super) fn to_stored(self) -> Option<StoredConfirmation> {
        let time = model::time::to_wire(self.confirmed?);
        Some(StoredConfirmation {
            count: self.confirms,
            time: Some(time),
        })
    }

    pub(super) fn from_stored(percent: Option<u32>, stored: Option<StoredConfirmation>) -> Self {
        let stored = stored.unwrap_or_default();
        Self {
            percent: percent.unwrap_or(Self::PERCENT),
            confirms: stored.count,
            confirmed: stored.time.as_ref().and_then(model::time::from_wire),
        }
    }
}

impl ExportJobs<'_> {
    /// Lets a job go on that its guard has paused, and that somebody may have paused besides: the exits that are in the
    /// membership topic by now are sent. Whether the guard has paused it is for the caller to know.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when the job is not at the revision that was asked for;
    /// [`Error::FailedPrecondition`] when it has ended.
    pub async fn confirm(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let apply = move |job: &mut ExportJob| job.confirm(now);
        self.make(Move::Confirm, account, id, based_on, apply, now).await
    }
}

impl ExportJob {
    pub(super) fn confirm(&mut self, now: Timestamp) {
        self.paused = false;
        self.guard.confirms += 1;
        self.guard.confirmed = Some(now);
    }
}
