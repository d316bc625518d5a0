//! `jobs bounce`.

use clap::{Args, ValueEnum};
use model::{AccountNumber, name};
use proto::export::v1 as wire;
use proto::export::v1::ExportJobState;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use tonic::{Code, Status};

use super::list::listed;
use crate::cli::resource::resolve;
use crate::cli::{Remote, refused};

#[derive(Debug, Args)]
pub(in crate::cli) struct Bounce {
    /// Its name in full, or with --account its label or the last part of its name.
    #[arg(value_name = "NAME", required_unless_present = "state")]
    wanted: Option<String>,
    /// Number of the account; not needed with a name in full.
    #[arg(long, value_name = "NUMBER", required_unless_present = "wanted")]
    account: Option<AccountNumber>,
    /// All jobs of the account that are in this state.
    #[arg(long, value_enum, conflicts_with_all = ["wanted", "revision"], requires = "account")]
    state: Option<State>,
    /// Only if this is still the job's revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Failed,
    Sleeping,
    Fault,
}

impl From<State> for ExportJobState {
    fn from(state: State) -> Self {
        match state {
            State::Failed => Self::Failed,
            State::Sleeping => Self::Sleeping,
            State::Fault => Self::Fault,
        }
    }
}

impl Bounce {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let channel = self.remote.connect().await?;
        if let Some(wanted) = &self.wanted {
            let name = resolve::<wire::ExportJob>(&channel, self.account, wanted).await?;
            let bounced = bounce(&channel, name, self.revision).await.map_err(refused)?;
            self.remote.output.one(&bounced);
            return Ok(());
        }
        let asked = wire::ListExportJobsRequest {
            parent: self.account.map(name::format_account).unwrap_or_default(),
            states: self
                .state
                .map(|state| ExportJobState::from(state).into())
                .into_iter()
                .collect(),
            ..wire::ListExportJobsRequest::default()
        };
        let mut bounced = Vec::new();
        for job in listed(&channel, &asked).await? {
            match bounce(&channel, job.name, 0).await {
                Ok(job) => bounced.push(job),
                // It has come out of that state by itself, or is gone.
                Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => {}
                Err(status) => return Err(refused(status)),
            }
        }
        self.remote.output.list(&bounced);
        Ok(())
    }
}

async fn bounce(channel: &Channel, name: String, revision: u64) -> Result<wire::ExportJob, Status> {
    let request = wire::BounceExportJobRequest { name, revision };
    let mut client = ExportJobServiceClient::new(channel.clone());
    Ok(client
        .bounce_export_job(request)
        .await?
        .into_inner()
        .export_job
        .unwrap_or_default())
}
