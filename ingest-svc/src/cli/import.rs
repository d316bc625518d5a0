//! `import`: sends a local file to a running service, over the endpoints that anybody else uses.

mod batch;
mod collect;
mod progress;
mod service;
#[cfg(test)]
mod tests;
mod upload;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use indicatif::ProgressDrawTarget;
use model::AccountNumber;
use runtime::exit::Failure;
use runtime::stdout;
use tokio::fs::File;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::io::InspectReader;
use url::Url;

use self::batch::Batch;
use self::collect::Collect;
use self::progress::Progress;
use self::upload::Upload;
use super::Connection;
use crate::files::{Compression, Format, Kind, Options, Reader, Row, What};
use crate::source::rows::delimiter;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Call {
    /// HTTP address of the service
    #[arg(
        long,
        global = true,
        env = "INGEST_SVC_URL",
        value_name = "URL",
        default_value = "http://localhost:8080"
    )]
    url: Url,
    #[command(subcommand)]
    upload: Option<Upload>,
    #[command(flatten)]
    import: Option<Import>,
}

#[derive(Debug, Args)]
struct Import {
    /// The file
    file: PathBuf,
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// The stream that its rows go to, which says how they are mapped
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// How its rows are written, csv, ndjson or avro; else its name says so, or its beginning
    #[arg(long, value_name = "FORMAT")]
    format: Option<What>,
    /// none, gzip or zip; else its beginning says so
    #[arg(long, value_name = "HOW")]
    compression: Option<Compression>,
    /// Whose it is: braze for the dashboard's CSV, a segment export and Currents, whose rows come in the words of Braze's webhooks;
    /// plain for anybody's. Else its path says so
    #[arg(long, value_name = "WHOSE")]
    kind: Option<Kind>,
    /// What stands between the columns of a CSV: a comma, t for a tab, | or ;
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter_word)]
    delimiter: Option<u8>,
    /// The names of the columns, with commas, if the first row of the CSV does not have them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    headers: Option<Vec<String>>,
    /// The columns of a CSV to send, with commas; else all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// The field that says when a row happened, in any form of a date
    #[arg(long, value_name = "FIELD")]
    timestamp_field: Option<String>,
    /// Pass over rows that cannot be read, instead of ending there
    #[arg(long)]
    drop_errors: bool,
    /// Read and count everything, and publish nothing
    #[arg(long)]
    dry_run: bool,
    /// The row to begin with, from 1; the header of a CSV is none
    #[arg(long, value_name = "N")]
    from_row: Option<NonZeroU64>,
}

fn delimiter_word(word: &str) -> Result<u8, &'static str> {
    delimiter(word).ok_or("it is a comma, t for a tab, | or ;")
}

pub(super) async fn run(connection: &Connection, call: Call) -> Result<(), Failure> {
    match (call.upload, call.import) {
        (Some(upload), _) => upload::run(connection, &call.url, upload).await,
        (None, Some(import)) => send(connection, &call.url, import).await,
        // One of both is required.
        (None, None) => Ok(()),
    }
}

async fn send(connection: &Connection, url: &Url, import: Import) -> Result<(), Failure> {
    let variable = std::env::var("LYTICS_TOKEN").ok();
    let token = runtime::secrets::token(connection.token_file.as_deref(), variable).map_err(Failure::precondition)?;
    let collect = Collect::new(url, &import, token).map_err(Failure::precondition)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let progress = Progress::new(ProgressDrawTarget::stderr());
    let next = Cell::new(import.first_row());
    let sent = tokio::select! {
        sent = import.send(&collect, &progress, &next) => sent,
        _ = interrupt.recv() => Err(anyhow!("interrupted")),
    };
    progress.end();
    stdout::line(progress.summary());
    sent.map_err(|error| Failure::call(anyhow!("{error:#}\ngo on with --from-row {}", next.get())))
}

impl Import {
    /// Sends the rows; `next` is the first one that is not acknowledged.
    async fn send(&self, collect: &Collect, progress: &Progress, next: &Cell<u64>) -> anyhow::Result<()> {
        let name = self.file.to_string_lossy();
        let cannot = || format!("cannot read {name}");
        let file = File::open(&self.file).await.with_context(cannot)?;
        progress.begin(file.metadata().await.with_context(cannot)?.len());
        let bar = progress.bar();
        let counted = InspectReader::new(file, move |bytes| bar.inc(bytes.len() as u64));
        let mut rows = Reader::open(counted, &name, self.options())
            .await
            .with_context(|| name.to_string())?;
        let mut batch = Batch::default();
        loop {
            let row = match rows.next().await {
                Ok(Some(row)) if self.drop_errors || problem(&row).is_none() => row,
                // What comes before the end, or what is broken, is sent.
                other => {
                    collect.post(&mut batch, progress, next).await?;
                    return match other {
                        Ok(None) => Ok(()),
                        Ok(Some(row)) => Err(stops(&row)),
                        Err(fault) => Err(anyhow::Error::new(fault).context(name.to_string())),
                    };
                }
            };
            if !batch.takes(&row) {
                collect.post(&mut batch, progress, next).await?;
            }
            batch.push(row, progress);
        }
    }

    fn first_row(&self) -> u64 {
        self.from_row.map_or(1, NonZeroU64::get)
    }

    fn options(&self) -> Options {
        Options {
            format: Format {
                what: self.format,
                compression: self.compression,
                kind: self.kind,
            },
            delimiter: self.delimiter,
            headers: self.headers.clone(),
            columns: self.columns.clone(),
            from_row: self.first_row(),
        }
    }
}

/// Why a row cannot be read.
fn problem(row: &Row) -> Option<&str> {
    row.records.iter().find_map(|record| record.unusable.as_deref())
}

fn stops(row: &Row) -> anyhow::Error {
    let (number, problem) = (row.number, problem(row).unwrap_or_default());
    anyhow!("row {number}: {problem}. Mend it, or pass over such rows with --drop-errors")
}
