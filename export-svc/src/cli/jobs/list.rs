//! `jobs list`.

use clap::{Args, ValueEnum};
use proto::authorization::v1::Authorization;
use proto::export::v1 as wire;
use proto::export::v1::ExportJobState;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;

use crate::cli::resource::{every_page, resolve};
use crate::cli::{Account, Remote};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    account: Account,
    /// Only jobs in this state; may be given several times.
    #[arg(long = "state", value_enum)]
    states: Vec<State>,
    /// Only jobs of this authorization: its label, or its name.
    #[arg(long)]
    auth: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Runnable,
    Sleeping,
    Paused,
    Completed,
    Fault,
    Failed,
    Killed,
    Removing,
}

impl From<State> for ExportJobState {
    fn from(state: State) -> Self {
        match state {
            State::Runnable => Self::Runnable,
            State::Sleeping => Self::Sleeping,
            State::Paused => Self::Paused,
            State::Completed => Self::Completed,
            State::Fault => Self::Fault,
            State::Failed => Self::Failed,
            State::Killed => Self::Killed,
            State::Removing => Self::Removing,
        }
    }
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let channel = self.remote.connect().await?;
        let authorization = match &self.auth {
            Some(auth) => resolve::<Authorization>(&channel, Some(self.account.account), auth).await?,
            None => String::new(),
        };
        let asked = wire::ListExportJobsRequest {
            parent: self.account.name(),
            states: self
                .states
                .into_iter()
                .map(|state| ExportJobState::from(state).into())
                .collect(),
            authorization,
            ..wire::ListExportJobsRequest::default()
        };
        self.remote.output.list(&listed(&channel, &asked).await?);
        Ok(())
    }
}

/// Every job that a request asks for, page by page.
pub(super) async fn listed(
    channel: &Channel,
    asked: &wire::ListExportJobsRequest,
) -> Result<Vec<wire::ExportJob>, Failure> {
    every_page(async |page_token| {
        let mut client = ExportJobServiceClient::new(channel.clone());
        let request = wire::ListExportJobsRequest {
            page_token,
            ..asked.clone()
        };
        let page = client.list_export_jobs(request).await?.into_inner();
        Ok((page.export_jobs, page.next_page_token))
    })
    .await
}
