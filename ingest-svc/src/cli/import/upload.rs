//! `import csv FILE`: uploads a local file in pieces, whatever becomes of a connection, by the tus protocol that `/files` speaks.

use std::cell::Cell;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::AccountNumber;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder};
use runtime::exit::Failure;
use runtime::stdout;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use super::delimiter_word;
use super::service::{Waits, authorization, client, is_for_now, refusal, retry_after};
use crate::cli::Connection;
use crate::cli::imports::watch;
use crate::files::{Compression, Kind};

/// Bytes that are sent at once: a piece that the service keeps as one.
const PIECE_BYTES: u64 = 8 << 20;
const BAR: &str = "{msg} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}";
const RESUMABLE: &str = "tus-resumable";
const OFFSET: &str = "upload-offset";
const LENGTH: &str = "upload-length";
const METADATA: &str = "upload-metadata";
const IMPORT_JOB: &str = "import-job";

#[derive(Debug, Subcommand)]
pub(super) enum Upload {
    /// Upload a CSV, which an import job reads
    ///
    /// In pieces, each kept when it is answered: a connection that breaks costs a piece, and an upload that was interrupted goes on with
    /// --resume. When all of it is there, a job reads it on whichever replica has time.
    #[command(after_long_help = examples!("import csv people.csv --account 1234 --stream braze_users"))]
    Csv(Upsent),
    /// Upload a file with a JSON object a line, which an import job reads
    ///
    /// As `import csv` does.
    #[command(after_long_help = examples!("import ndjson users.ndjson.gz --account 1234 --stream braze_users"))]
    Ndjson(Upsent),
    /// Upload an Avro file, which an import job reads
    ///
    /// As `import csv` does.
    #[command(after_long_help = examples!("import avro opens.avro --account 1234 --stream braze_currents"))]
    Avro(Upsent),
}

#[derive(Debug, Args)]
pub(super) struct Upsent {
    /// The file
    file: PathBuf,
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// The stream that its rows go to, which says how they are mapped
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Label of the import job; else the file's name and the upload's id
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// none, gzip or zip; else its beginning says so
    #[arg(long, value_name = "HOW")]
    compression: Option<Compression>,
    /// Whose it is: braze for what Braze exports, plain for anybody's; else its path says so
    #[arg(long, value_name = "WHOSE")]
    kind: Option<Kind>,
    /// What stands between the columns of a CSV: a comma, t for a tab, | or ;
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter_word)]
    delimiter: Option<u8>,
    /// The names of the columns, with commas, if the first row of the CSV does not have them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    headers: Vec<String>,
    /// The columns of a CSV to keep, with commas; else all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// The field that says when a row happened, in any form of a date
    #[arg(long, value_name = "FIELD")]
    timestamp_field: Option<String>,
    /// Pass over rows that cannot be read, instead of ending there
    #[arg(long)]
    drop_errors: bool,
    /// Do not follow the job that reads it
    #[arg(long)]
    no_watch: bool,
    /// Go on with an upload that was interrupted: its address, as it was told then
    #[arg(long, value_name = "URL")]
    resume: Option<Url>,
}

/// Uploads it, and tells the job that reads it.
pub(super) async fn run(connection: &Connection, url: &Url, upload: Upload) -> Result<(), Failure> {
    let variable = std::env::var("LYTICS_TOKEN").ok();
    let token = runtime::secrets::token(connection.token_file.as_deref(), variable).map_err(Failure::precondition)?;
    let (format, upsent) = match upload {
        Upload::Csv(upsent) => ("csv", upsent),
        Upload::Ndjson(upsent) => ("ndjson", upsent),
        Upload::Avro(upsent) => ("avro", upsent),
    };
    let token = authorization(token).map_err(Failure::precondition)?;
    let http = client(url).map_err(Failure::precondition)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let sender = Sender {
        http,
        token,
        bar: bar(ProgressDrawTarget::stderr()),
        address: Cell::new(upsent.resume.clone()),
    };
    let sent = tokio::select! {
        sent = sender.send(url, &upsent, format) => sent,
        _ = interrupt.recv() => Err(anyhow!("interrupted")),
    };
    sender.bar.finish_and_clear();
    match sent {
        Ok(job) => {
            stdout::line(format!("{job} reads it"));
            match upsent.no_watch {
                true => Ok(()),
                false => watch(connection, job).await,
            }
        }
        Err(error) => Err(Failure::call(match sender.address.take() {
            Some(address) => anyhow!("{error:#}\ngo on with --resume {address}"),
            None => error,
        })),
    }
}

fn bar(target: ProgressDrawTarget) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target).with_message("uploading");
    match ProgressStyle::with_template(BAR) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Whoever uploads.
struct Sender {
    http: Client,
    token: Option<HeaderValue>,
    bar: ProgressBar,
    /// Where the upload is, once that is known.
    address: Cell<Option<Url>>,
}

impl Sender {
    /// Sends the file to its end; the name of the job that reads it.
    async fn send(&self, url: &Url, upsent: &Upsent, format: &str) -> anyhow::Result<String> {
        let cannot = || format!("cannot read {}", upsent.file.display());
        let mut file = File::open(&upsent.file).await.with_context(cannot)?;
        let size = file.metadata().await.with_context(cannot)?.len();
        self.bar.set_length(size);
        let address = match &upsent.resume {
            Some(address) => address.clone(),
            None => self.create(url, upsent, format, size).await?,
        };
        self.address.set(Some(address.clone()));
        let (mut offset, mut job) = self.stands(&address, size).await?;
        let mut waits = Waits::default();
        while offset < size {
            self.bar.set_position(offset);
            file.seek(SeekFrom::Start(offset)).await.with_context(cannot)?;
            let mut piece = Vec::new();
            let read = (&mut file)
                .take(PIECE_BYTES.min(size - offset))
                .read_to_end(&mut piece)
                .await;
            if read.with_context(cannot)? == 0 {
                bail!("{} has become shorter", upsent.file.display());
            }
            let request = self.request(Method::PATCH, &address).header(OFFSET, offset);
            let request = request.header(CONTENT_TYPE, "application/offset+octet-stream");
            match request.body(Bytes::from(piece)).send().await {
                Ok(response) if response.status().is_success() => {
                    let arrived = number(response.headers(), OFFSET)?;
                    if arrived <= offset {
                        bail!("the service has taken nothing of what was sent");
                    }
                    (offset, waits) = (arrived, Waits::default());
                }
                // Somebody has gone on with it, or more has arrived than was answered.
                Ok(response) if response.headers().contains_key(OFFSET) => {
                    offset = number(response.headers(), OFFSET)?;
                    self.wait(&mut waits, refusal(response).await, None).await?;
                }
                Ok(response) if is_for_now(response.status()) => {
                    let after = retry_after(&response);
                    self.wait(&mut waits, refusal(response).await, after).await?;
                    (offset, job) = self.stands(&address, size).await?;
                }
                Ok(response) => return Err(refusal(response).await),
                Err(error) => {
                    self.wait(&mut waits, unreachable(error), None).await?;
                    (offset, job) = self.stands(&address, size).await?;
                }
            }
        }
        Ok(job)
    }

    /// Begins an upload; its address. That is not tried again: it makes a job.
    async fn create(&self, base: &Url, upsent: &Upsent, format: &str, size: u64) -> anyhow::Result<Url> {
        let mut url = base.clone();
        let mut path = url.path_segments_mut().map_err(|()| anyhow!("{base} is no address"))?;
        path.pop_if_empty()
            .extend(["files", &upsent.account.to_string(), &upsent.stream]);
        drop(path);
        let request = self.request(Method::POST, &url).header(LENGTH, size);
        let response = request.header(METADATA, upsent.metadata(format)).send().await;
        let response = response.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.context("the answer does not say where the upload is")?;
        Ok(url.join(location)?)
    }

    /// How far the upload is, and the name of its job.
    async fn stands(&self, address: &Url, size: u64) -> anyhow::Result<(u64, String)> {
        let mut waits = Waits::default();
        loop {
            let (problem, after) = match self.request(Method::HEAD, address).send().await {
                Ok(response) if response.status().is_success() => {
                    let headers = response.headers();
                    let length = number(headers, LENGTH)?;
                    if length != size {
                        bail!("the upload is of a file of {length} bytes, not of {size}");
                    }
                    let job = headers.get(IMPORT_JOB).and_then(|value| value.to_str().ok());
                    let job = job.context("the answer does not say which job reads the file")?;
                    return Ok((number(headers, OFFSET)?, job.to_owned()));
                }
                Ok(response) if is_for_now(response.status()) => {
                    let after = retry_after(&response);
                    (refusal(response).await, after)
                }
                Ok(response) => return Err(refusal(response).await),
                Err(error) => (unreachable(error), None),
            };
            self.wait(&mut waits, problem, after).await?;
        }
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone()).header(RESUMABLE, "1.0.0");
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        }
    }

    async fn wait(&self, waits: &mut Waits, problem: anyhow::Error, after: Option<Duration>) -> anyhow::Result<()> {
        let told = format!("waiting: {problem:#}");
        let wait = waits.next(problem, after)?;
        self.bar.suspend(|| eprintln!("{told}"));
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Upsent {
    /// What the service is told of the file.
    fn metadata(&self, format: &str) -> String {
        let text = |word: Option<&str>| word.unwrap_or_default().to_owned();
        let delimiter = self.delimiter.map(|delimiter| match delimiter {
            b'\t' => "t".to_owned(),
            delimiter => char::from(delimiter).to_string(),
        });
        let names = |names: &[String]| match names {
            [] => String::new(),
            names => serde_json::to_string(names).unwrap_or_default(),
        };
        let values = [
            ("filename", name(&self.file, self.kind)),
            ("label", self.label.clone().unwrap_or_default()),
            ("format", format.to_owned()),
            ("compression", text(self.compression.map(Compression::as_str))),
            ("kind", text(self.kind.map(Kind::as_str))),
            ("delimiter", delimiter.unwrap_or_default()),
            ("headers", names(&self.headers)),
            ("columns", names(&self.columns)),
            ("timestamp_field", self.timestamp_field.clone().unwrap_or_default()),
            ("drop_errors", if self.drop_errors { "true" } else { "" }.to_owned()),
        ];
        let values = values.iter().filter(|(_, value)| !value.is_empty());
        let values: Vec<_> = values
            .map(|(name, value)| format!("{name} {}", STANDARD.encode(value)))
            .collect();
        values.join(",")
    }
}

/// What the file is called: its path, as far as that says whose it is.
fn name(file: &Path, kind: Option<Kind>) -> String {
    let whole = file.to_string_lossy();
    match Kind::of_path(&whole) {
        Some(_) if kind.is_none() => whole.into_owned(),
        _ => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

fn number(headers: &HeaderMap, name: &str) -> anyhow::Result<u64> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    value.with_context(|| format!("the answer has no {name}"))
}

fn unreachable(error: reqwest::Error) -> anyhow::Error {
    let error = anyhow::Error::new(error.without_url());
    error.context("is the service running? --url names its HTTP address")
}
