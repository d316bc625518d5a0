//! `braze-sim segments` and `braze-sim exports`.

use std::time::Duration;

use braze_sim::Segment;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::client::{Client, Failure};
use super::{Target, print_lines};

#[derive(Debug, Args)]
pub(super) struct Segments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: SegmentsCommand,
}

#[derive(Debug, Subcommand)]
enum SegmentsCommand {
    /// Print the segments, one JSON object per line, oldest first
    List,
    /// Add a segment of these users, or replace the one with its id: `braze-sim segments add vips "VIPs" cust-1 cust-2`
    Add {
        /// What it is exported by
        id: String,
        /// Its name
        name: String,
        /// The external ids of its users, who need not be there yet
        external_ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Exports {
    #[command(flatten)]
    target: Target,
}

impl Segments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        let workspace = self.target.workspace;
        if let SegmentsCommand::Add { id, name, external_ids } = self.command {
            let segment = Segment {
                workspace: workspace.clone(),
                ..Segment::new(id, name, external_ids)
            };
            client.send(Method::POST, "segments", &json!(segment)).await?;
        }
        print_lines(
            &client
                .get("segments", &[("workspace", workspace)], Duration::ZERO)
                .await?,
        );
        Ok(())
    }
}

impl Exports {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        print_lines(&client.get("exports", &[], Duration::ZERO).await?);
        Ok(())
    }
}
