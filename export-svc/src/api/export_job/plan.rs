//! `lytics.export.v1.ExportPlanService`.

use std::time::Duration;

use control::{Budget, ExportJob};
use jiff::Timestamp;
use proto::export::v1::export_plan_service_server::ExportPlanService;
use proto::export::v1::{ExportPlan, PlanExportJobRequest, PlanExportJobResponse};
use tonic::{Request, Response, Status};

use super::Service;
use crate::api::{WRITE, audience, parent};
use crate::catalog::Planned;

/// How long one call reads at most.
const READ_MAX: Duration = Duration::from_secs(20);

/// What requests of a Braze workspace may be like.
#[derive(Clone, Copy, Debug)]
struct Requests {
    objects_max: u32,
    per_second: f64,
}

#[tonic::async_trait]
impl ExportPlanService for Service {
    async fn plan_export_job(
        &self,
        request: Request<PlanExportJobRequest>,
    ) -> Result<Response<PlanExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let request = request.into_inner();
        let account = parent(&caller, &request.parent, WRITE)?;
        let new = self.wanted(account, request.export_job).await?;
        let job = self.jobs(account).plan(account, new, Timestamp::now())?;
        let requests = self.requests(&job)?;
        let (audiences, identifiers) = (job.audiences.clone(), job.identifiers.clone());
        let writes = job.options.writes.clone();
        let planned = self.catalog.plan(job, READ_MAX).await;
        let planned = planned.map_err(|error| audience::refused(&error, account))?;
        Ok(Response::new(PlanExportJobResponse {
            plan: Some(to_wire(&planned, requests)),
            warnings: self.catalog.warnings(account, &audiences, &identifiers, &writes).await,
        }))
    }
}

impl Service {
    /// What the requests of a job would be like: all jobs of its Braze workspace share them. How many a second, whoever serves one of
    /// these has written down; if there is none, what is configured.
    fn requests(&self, job: &ExportJob) -> Result<Requests, Status> {
        let mut objects_max = job.batch_updates_max;
        let mut known = 0.0_f64;
        let others = self.directory.export_jobs().all()?.jobs.into_iter();
        for other in others.filter(|other| !other.killed && other.workspace == job.workspace) {
            objects_max = objects_max.min(other.batch_updates_max);
            let status = self.observer.0.job_status(&other.name());
            known = known.max(status.map_or(0.0, |status| status.requests_per_second));
        }
        let authorizations = self.directory.authorizations().all()?.into_iter();
        let of_workspace = authorizations.filter(|authorization| authorization.workspace_key() == job.workspace);
        let budget = of_workspace.fold(Budget::default(), |budget, of| budget.stricter(of.budget));
        let per_second = if known > 0.0 {
            known
        } else {
            self.observer.0.requests_per_second(budget)
        };
        Ok(Requests {
            objects_max,
            per_second,
        })
    }
}

fn to_wire(planned: &Planned, requests: Requests) -> ExportPlan {
    let Planned { plan, records, unread } = planned;
    let Requests {
        objects_max,
        per_second,
    } = requests;
    let full = plan.writes.div_ceil(u64::from(objects_max.max(1)));
    let takes = Duration::try_from_secs_f64(full as f64 / per_second).ok();
    ExportPlan {
        adds: plan.adds,
        removes: plan.removes,
        omitted_no_identifier: plan.nameless,
        omitted_other: plan.omitted,
        overtaken: plan.overtaken,
        users: plan.users,
        attribute_writes: plan.writes - plan.events - plan.purchases,
        events: plan.events,
        purchases: plan.purchases,
        requests: full,
        users_created: plan.created,
        estimated_duration: takes.and_then(|takes| takes.try_into().ok()),
        requests_per_second: per_second,
        sampled_one_in: plan.one_in,
        records: *records,
        unread: *unread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn requests_are_full_and_take_as_long_as_the_budget_lets_them() {
        let planned = Planned {
            plan: Plan {
                writes: 151,
                ..Plan::default()
            },
            records: 200,
            unread: 3,
        };
        let wire = |objects_max, per_second| {
            to_wire(
                &planned,
                Requests {
                    objects_max,
                    per_second,
                },
            )
        };
        let two_seconds = prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        };
        assert_eq!(
            (wire(75, 2.0).requests, wire(75, 2.0).estimated_duration),
            (3, Some(two_seconds))
        );
        assert_eq!(wire(1, 2.0).requests, 151);
        assert_eq!(wire(75, 0.0).estimated_duration, None, "for ever");
        assert_eq!((wire(75, 2.0).records, wire(75, 2.0).unread), (200, 3));
    }
}
