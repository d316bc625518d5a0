//! Jobs as they are now, and what was just done with them.

use control::Caller;
use jiff::Timestamp;
use proto::export::v1::{ExportCounters, ExportEvent, ExportJob, ExportJobState, ExportLogEntry};

use super::export_job::{guard, removal};
use crate::engine::EngineHandle;
use crate::settle;

/// What the log calls the installation's admin token, which has no name.
const ADMIN: &str = "admin token";

/// Knows how jobs fare; cheap to clone.
#[derive(Clone)]
pub(super) struct Observer(pub(super) EngineHandle);

impl Observer {
    /// The job with what the engine says of it; one that the engine has not met yet is runnable. Whether it is paused, bounced or
    /// killed its record says, which the engine learns a moment later.
    pub(super) fn observed(&self, job: &control::ExportJob) -> ExportJob {
        let mut wire = job.to_wire();
        let mut status = self.0.job_status(&wire.name);
        if !job.removals.is_empty() {
            let told = status.as_ref().map(|status| status.removals.as_slice());
            wire.removals = removal::told(job, told.unwrap_or_default(), &self.0.removed(job.account));
        }
        if job.killed {
            removal::ending(&mut wire, status);
            return wire;
        }
        if let Some(status) = &mut status {
            guard::confirmed(status, job);
        }
        if let Some(status) = &mut status
            && status.state == ExportJobState::Failed
            && status.bounces < job.bounces
        {
            (status.state, status.reason) = (ExportJobState::Runnable, String::new());
        }
        let state = status.as_ref().map_or(ExportJobState::Runnable, |status| status.state);
        wire.guarded = status.as_ref().is_some_and(|status| status.guarded);
        wire.set_state(match state {
            ExportJobState::Fault => state,
            ExportJobState::Paused if wire.guarded => state,
            _ => job.state(state, Timestamp::now()),
        });
        wire.counters = Some(status.as_ref().map(|status| status.counters).unwrap_or_default());
        if let Some(status) = status {
            wire.pending = status.pending;
            wire.unread = status.lag;
            wire.unread_before_start = status.unread_before_start;
            wire.oldest_unconfirmed_time = status.oldest.map(settle::timestamp);
            wire.estimated_duration = status.estimate.and_then(|left| left.try_into().ok());
            // Of a state that it has not any more there is no reason.
            if wire.state() == status.state {
                wire.resume_time = status.resumes.map(model::time::to_wire);
                wire.state_reason = status.reason;
            }
        }
        wire
    }

    /// What has become of the job's changes by now, if anybody knows. Whoever ends the job asks before.
    pub(super) fn counters(&self, job: &str) -> Option<ExportCounters> {
        self.0.job_status(job).map(|status| status.counters)
    }

    /// The caller has done this with the job, which is observed now.
    pub(super) fn done(&self, caller: &Caller, job: &control::ExportJob, event: ExportEvent) -> ExportJob {
        let observed = self.observed(job);
        self.note(caller, &observed.name, event, observed.counters, "");
        observed
    }

    pub(super) fn note(
        &self,
        caller: &Caller,
        job: &str,
        event: ExportEvent,
        counters: Option<ExportCounters>,
        message: &str,
    ) {
        let token = caller.token().map_or(ADMIN, |token| token.name.as_str()).to_owned();
        tracing::info!(token, "{job}: {}", event.as_str_name());
        self.0.log(ExportLogEntry {
            job: job.to_owned(),
            event: event.into(),
            time: Some(model::time::to_wire(Timestamp::now())),
            message: message.to_owned(),
            counters,
            token,
            left_out: 0,
        });
    }
}
