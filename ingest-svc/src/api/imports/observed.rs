//! How jobs fare, as it is shown.

use control::ImportJob;
use jiff::Timestamp;
use proto::imports::v1 as wire;
use wire::{ImportFile, ImportJobState};

use crate::imports::{self, Observed, Progress};

/// Knows how jobs fare. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Observer(Progress);

impl Observer {
    /// Going by what every replica knows of the files.
    pub(crate) fn new(progress: Progress) -> Self {
        Self(progress)
    }

    /// The state of a job: what somebody wants of it comes first.
    pub(super) fn state(&self, job: &ImportJob) -> ImportJobState {
        job.state(self.0.observed(job, Timestamp::now()).state)
    }

    /// A job at this moment, as the contracts write it.
    pub(super) fn shown(&self, job: &ImportJob) -> wire::ImportJob {
        shown(job, self.0.observed(job, Timestamp::now()))
    }

    /// The files of a job in the order of reading, each with a text that sorts so.
    pub(super) fn files(&self, job: &ImportJob) -> Vec<(String, ImportFile)> {
        imports::files(job, &self.0.job(&job.name()))
    }
}

fn shown(job: &ImportJob, observed: Observed) -> wire::ImportJob {
    let state = job.state(observed.state);
    let mut shown = wire::ImportJob {
        counters: Some(observed.counters),
        ..job.to_wire()
    };
    shown.set_state(state);
    // Of a state that it has not any more there is no reason.
    if state == observed.state {
        shown.state_reason = observed.reason;
        shown.resume_time = observed.resume_time.map(model::time::to_wire);
        shown.rows_per_second = observed.rows_per_second;
        shown.estimated_duration = observed.estimated.and_then(|left| left.try_into().ok());
        shown.reading = observed.reading;
    }
    shown
}
