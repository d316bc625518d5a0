//! How jobs fare, as it is shown.

use std::time::Duration;

use control::ImportJob;
use jiff::Timestamp;
use proto::imports::v1 as wire;
use wire::{ImportCounters, ImportFile, ImportJobState};

/// Knows how jobs fare. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Observer;

/// How a job is, going by its files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observed {
    /// Whatever somebody wants of the job.
    pub(super) state: ImportJobState,
    /// Why; empty if that goes without saying.
    pub(super) reason: String,
    /// When it goes on, if it sleeps.
    pub(super) resume_time: Option<Timestamp>,
    /// Of all files.
    pub(super) counters: ImportCounters,
    /// The files that are being read, in their order.
    pub(super) reading: Vec<ImportFile>,
    /// Rows a second.
    pub(super) rows_per_second: f64,
    /// How long the rest takes at this pace, if that is known.
    pub(super) estimated: Option<Duration>,
}

impl Observer {
    /// How a job is at this moment.
    pub(super) fn observed(&self, _job: &ImportJob) -> Observed {
        Observed::default()
    }

    /// The files of a job in the order of reading, each with a text that sorts so.
    pub(super) fn files(&self, _job: &ImportJob) -> Vec<(String, ImportFile)> {
        Vec::new()
    }
}

impl Observed {
    /// The state of the job: what somebody wants of it comes first.
    pub(super) fn state(&self, job: &ImportJob) -> ImportJobState {
        job.state(self.state)
    }

    /// The job as the contracts write it.
    pub(super) fn shown(self, job: &ImportJob) -> wire::ImportJob {
        let state = self.state(job);
        let mut shown = wire::ImportJob {
            counters: Some(self.counters),
            ..job.to_wire()
        };
        shown.set_state(state);
        // Of a state that it has not any more there is no reason.
        if state == self.state {
            shown.state_reason = self.reason;
            shown.resume_time = self.resume_time.map(model::time::to_wire);
        }
        if state == ImportJobState::Runnable {
            shown.rows_per_second = self.rows_per_second;
            shown.estimated_duration = self.estimated.and_then(|left| left.try_into().ok());
            shown.reading = self.reading;
        }
        shown
    }
}
