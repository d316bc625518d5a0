//! Jobs that their guards have paused, or that have failed: what the engine knows of a job, and its record does not.

use control::{ExportJob, Move};
use jiff::Timestamp;
use model::{AccountNumber, name};
use proto::export::v1::ExportJobState;
use runtime::grpc::status::failed_precondition;
use tonic::Status;

use super::Service;
use crate::engine::JobStatus;

/// What the log says of a job that goes on though its guard had paused it.
const CONFIRMED: &str = "confirmed: the exits that its guard held back are sent";

/// Takes out of a status what somebody has confirmed since.
pub(in crate::api) fn confirmed(status: &mut JobStatus, job: &ExportJob) {
    if status.guarded && job.guard.lets_go(status.confirms) {
        status.guarded = false;
        if status.state == ExportJobState::Paused {
            (status.state, status.reason) = (ExportJobState::Runnable, String::new());
        }
    }
}

impl Service {
    /// Lets a job go on that somebody has paused or, if that is confirmed, its guard. With what the log is to say of it.
    pub(super) async fn resume(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        confirm: bool,
    ) -> Result<(ExportJob, &'static str), Status> {
        let (jobs, now) = (self.directory.export_jobs(), Timestamp::now());
        match self.guarded(&jobs.get(account, id)?) {
            Some(_) if confirm => Ok((jobs.confirm(account, id, based_on, now).await?, CONFIRMED)),
            Some(reason) => Err(failed_precondition(format!(
                "{} goes on only if that is confirmed: {reason}",
                name::format_child(account, name::EXPORT_JOBS, id)
            ))),
            None => Ok((jobs.resume(account, id, based_on, now).await?, "")),
        }
    }

    /// Why the job's guard has paused it, if it has.
    fn guarded(&self, job: &ExportJob) -> Option<String> {
        let mut status = self.observer.0.job_status(&job.name())?;
        confirmed(&mut status, job);
        status.guarded.then_some(status.reason)
    }

    /// That the job has not failed, if whoever has cannot be moved so: that is observed, its record does not say it.
    pub(super) fn must_not_have_failed(&self, account: AccountNumber, id: &str, what: Move) -> Result<(), Status> {
        let job = self.directory.export_jobs().get(account, id)?;
        // What it removes may have failed alone, and the job goes on.
        let failed = job.removals.is_empty() && self.observer.observed(&job).state() == ExportJobState::Failed;
        match what.refusal(ExportJobState::Failed).filter(|_| failed) {
            Some(problem) => Err(failed_precondition(format!("{} {problem}", job.name()))),
            None => Ok(()),
        }
    }

    /// That no guard has paused the job, for which the move that is asked for does nothing, as it says.
    pub(super) fn must_not_be_guarded(&self, account: AccountNumber, id: &str, nothing: &str) -> Result<(), Status> {
        let job = self.directory.export_jobs().get(account, id)?;
        // What it removes is not paused, and may have failed.
        let reason = self.guarded(&job).filter(|_| job.removals.is_empty());
        reason.map_or(Ok(()), |reason| {
            Err(failed_precondition(format!(
                "{} is paused, {nothing}: {reason}",
                job.name()
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_confirmed_is_not_shown_any_more_and_what_comes_after_it_is() {
        let guarded = |state, confirms| JobStatus {
            state,
            reason: "because".to_owned(),
            guarded: true,
            confirms,
            ..JobStatus::default()
        };
        let guard = control::Guard {
            percent: 20,
            confirms: 2,
            confirmed: None,
        };
        let shown = |state, confirms, percent| {
            let mut job = crate::plan::tests::job(true);
            job.guard = control::Guard { percent, ..guard };
            let mut status = guarded(state, confirms);
            confirmed(&mut status, &job);
            (status.guarded, status.state, status.reason.is_empty())
        };
        use ExportJobState::{Fault, Paused, Runnable};
        assert_eq!(shown(Paused, 1, 20), (false, Runnable, true));
        assert_eq!(shown(Paused, 2, 20), (true, Paused, false));
        assert_eq!(shown(Paused, 2, 0), (false, Runnable, true), "turned off");
        assert_eq!(shown(Fault, 1, 20), (false, Fault, false));
    }
}
