//! `jobs log`.

use clap::Args;
use proto::export::v1 as wire;
use proto::export::v1::export_log_service_client::ExportLogServiceClient;
use proto::export::v1::tail_export_log_request::From;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::show::word;
use super::tail::{self, Tail};
use crate::cli::output::{Show, time};
use crate::cli::refused;
use crate::cli::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Log {
    #[command(flatten)]
    job: One,
    #[command(flatten)]
    tail: Tail,
}

impl Log {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.job.find::<wire::ExportJob>().await?;
        let from = if self.tail.all {
            From::Oldest(())
        } else {
            From::Newest(self.tail.newest)
        };
        let request = wire::TailExportLogRequest {
            name,
            from: Some(from),
            follow: self.tail.follow,
        };
        let mut client = ExportLogServiceClient::new(channel);
        let answers = client.tail_export_log(request).await.map_err(refused)?;
        tail::print(self.job.remote.output, answers.into_inner(), |answer| {
            answer.entry.unwrap_or_default()
        })
        .await
    }
}

impl Show for wire::ExportLogEntry {
    const COLUMNS: &'static [&'static str] = &["TIME", "EVENT", "ADDED", "REMOVED", "OMITTED", "BY", "MESSAGE"];

    fn row(&self) -> Vec<String> {
        let count =
            |of: fn(wire::ExportCounters) -> u64| self.counters.map_or_else(String::new, |all| of(all).to_string());
        let message = match self.left_out {
            0 => self.message.clone(),
            left_out => format!("{} ({left_out} times otherwise since, left out)", self.message),
        };
        vec![
            time(self.time).as_str().unwrap_or_default().to_owned(),
            word(self.event().as_str_name(), "EXPORT_EVENT_"),
            count(|all| all.added),
            count(|all| all.removed),
            count(|all| all.omitted + all.rejected),
            self.token.clone(),
            message,
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let counters = self.counters.unwrap_or_default();
        vec![
            ("time", time(self.time)),
            ("job", json!(self.job)),
            ("event", json!(word(self.event().as_str_name(), "EXPORT_EVENT_"))),
            ("message", json!(self.message)),
            ("added", json!(counters.added)),
            ("removed", json!(counters.removed)),
            ("omitted", json!(counters.omitted)),
            ("rejected", json!(counters.rejected)),
            ("token", json!(self.token)),
            ("leftOut", json!(self.left_out)),
        ]
    }
}
