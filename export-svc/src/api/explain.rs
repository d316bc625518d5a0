//! `lytics.export.v1.ExplainService`.

use std::sync::Arc;
use std::time::Duration;

use control::{Directory, ExportJob};
use model::name;
use proto::export::v1::explain_service_server::ExplainService;
use proto::export::v1::{ExplainMemberRequest, ExplainMemberResponse};
use runtime::grpc::status::{Violations, failed_precondition, unavailable};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{READ, child};
use crate::explain::{Error, Explainer};

/// Calls at a time, each of which has a client of Kafka and a thread.
const CALLS_MAX: usize = 4;
const TRY_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Service {
    directory: Directory,
    explainer: Explainer,
    calls: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(directory: Directory, explainer: Explainer) -> Self {
        Self {
            directory,
            explainer,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }
}

#[tonic::async_trait]
impl ExplainService for Service {
    async fn explain_member(
        &self,
        request: Request<ExplainMemberRequest>,
    ) -> Result<Response<ExplainMemberResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.into_inner();
        let (account, id) = child(&caller, &request.name, name::EXPORT_JOBS, READ)?;
        let job = self.directory.export_jobs().get(account, id)?;
        let audiences = wanted(&job, &request)?;
        let authorization = match name::child(&job.authorization, name::AUTHORIZATIONS) {
            Ok((account, id)) => self.directory.authorizations().get(account, id),
            Err(_) => Err(control::Error::NotFound(job.authorization.clone())),
        };
        let authorization = authorization.map_err(|error| format!("the job's authorization cannot be read: {error}"));
        let permit = Arc::clone(&self.calls).try_acquire_owned();
        let permit = permit.map_err(|_| {
            Status::resource_exhausted(format!("{CALLS_MAX} calls follow a profile already; try again later"))
        })?;
        let explained = self
            .explainer
            .explain(permit, (job, authorization), request.profile_id, audiences);
        let explanations = explained.await.map_err(|error| refused(&error))?;
        Ok(Response::new(ExplainMemberResponse { explanations }))
    }
}

/// Which audiences of the job are asked about, in its order.
fn wanted(job: &ExportJob, request: &ExplainMemberRequest) -> Result<Vec<String>, Status> {
    let mut violations = Violations::default();
    if request.profile_id.trim().is_empty() {
        violations.add("profile_id", "must not be blank");
    }
    for audience in request
        .audiences
        .iter()
        .filter(|audience| !job.audiences.contains(audience))
    {
        let has = job.audiences.join(", ");
        violations.add(
            "audiences",
            format!("\"{audience}\" is none of the job's, which are {has}"),
        );
    }
    violations.into_result()?;
    let is_wanted = |audience: &&String| request.audiences.is_empty() || request.audiences.contains(audience);
    Ok(job.audiences.iter().filter(is_wanted).cloned().collect())
}

fn refused(error: &Error) -> Status {
    match error {
        Error::Kafka(kafka::Error::Topic { topic, problem }) => failed_precondition(format!(
            "topic {topic}: {problem}; `export-svc topics ensure` creates what is missing"
        )),
        other => {
            tracing::warn!(error = other as &dyn std::error::Error, "a profile cannot be followed");
            unavailable(format!("the topics cannot be read: {other}"), TRY_AGAIN)
        }
    }
}
