//! Authorizations and jobs over gRPC, at whichever replica answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{Authorization, CreateAuthorizationRequest, RotateAuthorizationKeyRequest};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{
    Coalesce, CreateExportJobRequest, DeleteExportJobRequest, ExportJob, ListExportJobsRequest, PauseExportJobRequest,
    ResetExportJobRequest, ResetOffsets, ResumeExportJobRequest, reset_export_job_request,
};
use runtime::grpc::Channel;
use secrecy::SecretString;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::fleet::Fleet;
use crate::world::{ACCOUNTS, account, workspace_name};

/// The installation's admin token.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-the-storm";
/// How long one replica may take to answer, and how long it may take until one does.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long a change may wait in its batch: not long, so that there are many calls.
const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// Operates the installation.
pub(crate) struct Control {
    fleet: Arc<Fleet>,
}

impl Control {
    pub(crate) fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }

    /// Stores a key; gives the authorization's name. The installation must be undisturbed.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn authorize(&self, workspace: usize, key: &str) -> anyhow::Result<String> {
        let name = workspace_name(workspace);
        let request = CreateAuthorizationRequest {
            parent: format!("accounts/{}", account(workspace)),
            authorization: Some(Authorization {
                provider: "braze".to_owned(),
                method: "braze".to_owned(),
                label: name.clone(),
                instance: "US-01".to_owned(),
                workspace: name,
                ..Authorization::default()
            }),
            rest_api_key: key.to_owned(),
        };
        let create = async move |channel| {
            let mut client = AuthorizationServiceClient::new(channel);
            client.create_authorization(request).await
        };
        let channel = connect(self.fleet.addresses().first().context("no replica serves")?).await?;
        let answer = create(channel).await?.into_inner();
        Ok(answer.authorization.context("an authorization in the answer")?.name)
    }

    /// Creates a job that exports these audiences from the beginning of the log; gives its name.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn create_job(
        &self,
        account: u64,
        label: &str,
        authorization: &str,
        audiences: Vec<String>,
        coalesce: Coalesce,
    ) -> anyhow::Result<String> {
        let request = CreateExportJobRequest {
            parent: format!("accounts/{account}"),
            export_job: Some(ExportJob {
                r#type: "export_audiences".to_owned(),
                label: label.to_owned(),
                audiences,
                authorization: authorization.to_owned(),
                external_id_field: "user_id".to_owned(),
                existing_users: true,
                // Half of what happens is an exit.
                guard_percent: Some(0),
                flush_after: Some(FLUSH_AFTER.try_into()?),
                coalesce: coalesce.into(),
                ..ExportJob::default()
            }),
        };
        let create = |channel| {
            let request = request.clone();
            async move { ExportJobServiceClient::new(channel).create_export_job(request).await }
        };
        match self.ask(create).await? {
            Ok(answer) => Ok(answer.into_inner().export_job.context("a job in the answer")?.name),
            // An earlier attempt succeeded and its answer was lost.
            Err(status) if status.code() == Code::AlreadyExists => {
                let jobs = self
                    .ask(|channel| list(channel, account))
                    .await??
                    .into_inner()
                    .export_jobs;
                let found = jobs.into_iter().find(|job| job.label == label);
                Ok(found
                    .with_context(|| format!("job {label}: {}", status.message()))?
                    .name)
            }
            Err(status) => Err(status.into()),
        }
    }

    /// Deletes a job.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn delete_job(&self, name: &str) -> anyhow::Result<()> {
        let delete = |channel| {
            let request = DeleteExportJobRequest {
                name: name.to_owned(),
                revision: 0,
            };
            async move { ExportJobServiceClient::new(channel).delete_export_job(request).await }
        };
        match self.ask(delete).await? {
            Err(status) if status.code() != Code::NotFound => Err(status.into()),
            _ => Ok(()),
        }
    }

    /// Gives an authorization another key.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn rotate_key(&self, authorization: &str, key: &str) -> anyhow::Result<()> {
        let rotate = |channel| {
            let request = RotateAuthorizationKeyRequest {
                name: authorization.to_owned(),
                rest_api_key: key.to_owned(),
                revision: 0,
            };
            async move {
                AuthorizationServiceClient::new(channel)
                    .rotate_authorization_key(request)
                    .await
            }
        };
        self.ask(rotate).await??;
        Ok(())
    }

    /// Pauses a job.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn pause_job(&self, name: &str) -> anyhow::Result<()> {
        let pause = |channel| {
            let request = PauseExportJobRequest {
                name: name.to_owned(),
                revision: 0,
            };
            async move { ExportJobServiceClient::new(channel).pause_export_job(request).await }
        };
        moved(self.ask(pause).await?)
    }

    /// Resumes a job.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn resume_job(&self, name: &str) -> anyhow::Result<()> {
        let resume = |channel| {
            let request = ResumeExportJobRequest {
                name: name.to_owned(),
                revision: 0,
                confirm: false,
            };
            async move { ExportJobServiceClient::new(channel).resume_export_job(request).await }
        };
        moved(self.ask(resume).await?)
    }

    /// Lets a job go on at these offsets, or at the beginning; gives back how often it may have been let, for an attempt whose answer
    /// is lost may have succeeded.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) async fn reset_job(&self, name: &str, offsets: Option<HashMap<i32, i64>>) -> anyhow::Result<u64> {
        use reset_export_job_request::To;
        let to = offsets.map_or(To::Beginning(()), |by_partition| {
            To::Offsets(ResetOffsets { by_partition })
        });
        let attempts = AtomicU64::new(0);
        let reset = |channel| {
            attempts.fetch_add(1, Ordering::Relaxed);
            let request = ResetExportJobRequest {
                name: name.to_owned(),
                audiences: Vec::new(),
                to: Some(to.clone()),
                revision: 0,
            };
            async move { ExportJobServiceClient::new(channel).reset_export_job(request).await }
        };
        self.ask(reset).await??;
        Ok(attempts.load(Ordering::Relaxed))
    }

    /// The jobs as each replica shows them.
    ///
    /// # Errors
    /// When a replica does not answer.
    pub(crate) async fn jobs(&self) -> anyhow::Result<Vec<Vec<ExportJob>>> {
        let mut shown = Vec::new();
        for address in self.fleet.addresses() {
            for account in ACCOUNTS {
                shown.push(list(connect(&address).await?, account).await?.into_inner().export_jobs);
            }
        }
        Ok(shown)
    }

    /// Asks one replica after the other until one knows the answer.
    async fn ask<T, F>(&self, call: impl Fn(Channel) -> F) -> anyhow::Result<Result<T, Status>>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        let mut last = anyhow::anyhow!("no replica serves");
        while Instant::now() < deadline {
            for address in self.fleet.addresses() {
                let asked = tokio::time::timeout(CALL_TIMEOUT, async { Ok(call(connect(&address).await?).await) });
                match asked.await.unwrap_or_else(|_| Ok(Err(Status::deadline_exceeded("")))) {
                    Ok(Err(status)) if may_pass(&status) => last = status.into(),
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = error,
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        Err(last.context("no replica answers"))
    }
}

async fn connect(address: &SocketAddr) -> anyhow::Result<Channel> {
    let token = SecretString::from(ADMIN_TOKEN);
    Ok(runtime::grpc::connect(&format!("http://{address}"), Some(&token)).await?)
}

async fn list(
    channel: Channel,
    account: u64,
) -> Result<tonic::Response<proto::export::v1::ListExportJobsResponse>, Status> {
    let request = ListExportJobsRequest {
        parent: format!("accounts/{account}"),
        ..ListExportJobsRequest::default()
    };
    ExportJobServiceClient::new(channel).list_export_jobs(request).await
}

/// A move that is impossible was made by an earlier attempt, whose answer was lost.
fn moved<T>(answer: Result<T, Status>) -> anyhow::Result<()> {
    match answer {
        Err(status) if status.code() != Code::FailedPrecondition => Err(status.into()),
        _ => Ok(()),
    }
}

/// Whether the replica died over the call, or could not reach Kafka, rather than refused it.
fn may_pass(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
    matches!(
        status.code(),
        Aborted | Cancelled | DeadlineExceeded | Internal | Unavailable | Unknown
    )
}
