//! `jobs redrive`.

use clap::Args;
use proto::export::v1 as wire;
use proto::export::v1::omitted_change_service_client::OmittedChangeServiceClient;
use runtime::exit::Failure;

use crate::cli::refused;
use crate::cli::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Redrive {
    #[command(flatten)]
    one: One,
    /// Only what was omitted for this reason, such as blocked; may be given several times.
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<String>,
    /// Only if this is still the job's revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

impl Redrive {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.one.find::<wire::ExportJob>().await?;
        let request = wire::RedriveOmittedChangesRequest {
            name,
            reasons: self.reasons,
            revision: self.revision,
        };
        let mut client = OmittedChangeServiceClient::new(channel);
        let answer = client.redrive_omitted_changes(request).await.map_err(refused)?;
        self.one.show(answer.into_inner().export_job);
        Ok(())
    }
}
