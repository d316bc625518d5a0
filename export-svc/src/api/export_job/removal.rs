//! Audiences that leave a job, or are left when it is killed, and whose slugs are removed.

use control::{ExportJob, ExportJobEdit, ExportJobs, Removed};
use model::AccountNumber;
use proto::export::v1::{self as wire, AudienceRemoval, ExportJobState};
use runtime::grpc::status::Violations;
use tonic::Status;

use super::Service;
use crate::engine::{JobStatus, RemovalStatus};

impl Service {
    /// The jobs of an account, to be edited by somebody who knows which removals are over.
    pub(super) fn jobs(&self, account: AccountNumber) -> ExportJobs<'_> {
        self.directory.export_jobs().knowing(self.observer.0.removed(account))
    }
}

/// That slugs are to be removed only where audiences may leave.
pub(super) fn check(remove_slugs: bool, edit: &ExportJobEdit) -> Result<(), Status> {
    let mut violations = Violations::new();
    if remove_slugs && edit.audiences.is_none() {
        violations.add(
            "remove_slugs",
            "needs audiences among what changes: those that the job is to keep; kill the job with remove_slugs to remove all",
        );
    }
    violations.into_result()
}

/// The removals of a job, in the order in which they were asked for. `removed`: those that are over.
pub(in crate::api) fn told(job: &ExportJob, statuses: &[RemovalStatus], removed: &Removed) -> Vec<AudienceRemoval> {
    let pending: Vec<_> = job.still_removes(removed).collect();
    let removal = |(number, audience): (u64, &String)| {
        let is_it = |status: &&RemovalStatus| status.audience == *audience && status.number == number;
        let status = statuses.iter().find(is_it);
        AudienceRemoval {
            audience: audience.clone(),
            done: !pending.contains(&audience),
            counters: Some(status.map(|status| status.counters).unwrap_or_default()),
            unread: status.and_then(|status| status.unread),
            estimated_duration: status.and_then(|status| status.estimate?.try_into().ok()),
        }
    };
    let removals = job.removals.iter();
    let audiences = removals.flat_map(|removal| removal.audiences.iter().map(|slug| (removal.number, slug)));
    audiences.map(removal).collect()
}

/// A job that is killed, or is when its slugs are removed, which tells why that does not go on, and how long it takes.
pub(in crate::api) fn ending(job: &mut wire::ExportJob, status: Option<JobStatus>) {
    if job.removals.iter().all(|removal| removal.done) {
        job.set_state(ExportJobState::Killed);
        return;
    }
    job.set_state(ExportJobState::Removing);
    let mut counters = job.removals.iter().filter_map(|removal| removal.counters);
    job.counters = counters.next().map(|first| counters.fold(first, crate::engine::sum));
    if let Some(status) = status {
        job.unread = status.lag;
        job.unread_before_start = status.unread_before_start;
        job.estimated_duration = status.estimate.and_then(|left| left.try_into().ok());
        job.resume_time = status.resumes.map(model::time::to_wire);
        job.state_reason = status.reason;
    }
}
