//! `jobs reset`.

use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::reset_export_job_request::To;
use runtime::exit::Failure;

use crate::cli::refused;
use crate::cli::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Reset {
    #[command(flatten)]
    one: One,
    /// Only this audience of the job; may be given several times.
    #[arg(long = "audience", value_name = "SLUG")]
    audiences: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Only if this is still the job's revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The next offset of a partition, such as 0=1200; several are given with commas between them. The other partitions stay
    /// where they are.
    #[arg(long, value_name = "PARTITION=OFFSET", value_delimiter = ',')]
    to_offset: Vec<PartitionOffset>,
    /// The first records that were written then or later, such as 2026-11-23T18:00:00Z.
    #[arg(long, value_name = "TIME")]
    to_time: Option<Timestamp>,
    /// Every record that the topic still has.
    #[arg(long)]
    to_beginning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PartitionOffset(i32, i64);

impl FromStr for PartitionOffset {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .split_once('=')
            .and_then(|(partition, offset)| Some(Self(partition.parse().ok()?, offset.parse().ok()?)));
        parsed.ok_or("write it as 0=1200")
    }
}

impl Place {
    fn to_wire(&self) -> To {
        match self.to_time {
            Some(time) => To::Time(model::time::to_wire(time)),
            None if self.to_beginning => To::Beginning(()),
            None => To::Offsets(wire::ResetOffsets {
                by_partition: self.to_offset.iter().map(|at| (at.0, at.1)).collect(),
            }),
        }
    }
}

impl Reset {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.one.find::<wire::ExportJob>().await?;
        let request = wire::ResetExportJobRequest {
            name,
            audiences: self.audiences,
            to: Some(self.place.to_wire()),
            revision: self.revision,
        };
        let answer = ExportJobServiceClient::new(channel).reset_export_job(request).await;
        self.one.show(answer.map_err(refused)?.into_inner().export_job);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_written_with_its_partition() {
        assert_eq!("0=1200".parse(), Ok(PartitionOffset(0, 1_200)));
        for bad in ["1200", "0=", "a=1", "0=1=2"] {
            assert!(bad.parse::<PartitionOffset>().is_err(), "{bad}");
        }
    }
}
