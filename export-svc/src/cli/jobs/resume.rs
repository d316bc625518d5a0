//! `jobs resume`.

use clap::Args;
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;

use crate::cli::refused;
use crate::cli::resource::Moved;

#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    #[command(flatten)]
    moved: Moved,
    /// The job's guard has paused it, and it is right that so many members are removed.
    #[arg(long)]
    confirm: bool,
}

impl Resume {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Moved { one, revision } = self.moved;
        let (channel, name) = one.find::<wire::ExportJob>().await?;
        let request = wire::ResumeExportJobRequest {
            name,
            revision,
            confirm: self.confirm,
        };
        let answer = ExportJobServiceClient::new(channel).resume_export_job(request).await;
        one.show(answer.map_err(refused)?.into_inner().export_job);
        Ok(())
    }
}
