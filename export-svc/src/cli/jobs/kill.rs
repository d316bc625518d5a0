//! `jobs kill`.

use clap::Args;
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;

use crate::cli::refused;
use crate::cli::resource::Moved;

#[derive(Debug, Args)]
pub(in crate::cli) struct Kill {
    #[command(flatten)]
    moved: Moved,
    /// Remove the slugs of its audiences from their members at Braze, going by the membership topic: the job is "removing" until
    /// that is over, which `jobs watch` waits for.
    #[arg(long)]
    remove_slugs: bool,
}

impl Kill {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Moved { one, revision } = self.moved;
        let (channel, name) = one.find::<wire::ExportJob>().await?;
        let request = wire::KillExportJobRequest {
            name,
            revision,
            remove_slugs: self.remove_slugs,
        };
        let answer = ExportJobServiceClient::new(channel).kill_export_job(request).await;
        one.show(answer.map_err(refused)?.into_inner().export_job);
        Ok(())
    }
}
