//! The floor under ingest-svc, which `make bench-ingest` and `make bench-imports` compare it with: the least that anybody must do who takes
//! records over HTTP, or out of a file, and answers for them once Kafka has acknowledged. It produces prebuilt records, read from the topic that
//! the product wrote them to, through the product's producer, on the same runtime and allocator. It looks at no path, token or
//! body, maps nothing, and bounds nothing.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use flate2::bufread::MultiGzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kafka::{Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

// librdkafka allocates too; an unprefixed jemalloc serves both.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rows of a file that are produced at once, as the product does.
const ROWS: usize = 1_000;
/// How long Kafka may take to hand out the next record.
const PATIENCE: Duration = Duration::from_secs(30);
/// As long as the product's answer to one record.
const ANSWER: &[u8] = br#"{"status":200,"message":"success","data":{"message_count":1,"rejected_count":0,"content-type":"application/json","droperrors":false,"dryrun":false,"timestamp_field":"","filename":"","not_wanted_count":0,"rejected":[]}}"#;

/// Produces what others have produced before, until it is killed.
#[derive(Parser)]
#[command(name = "floor_ingest")]
struct Options {
    /// Where Kafka is.
    #[arg(long)]
    brokers: String,
    /// What is produced to; its first records are what is produced.
    #[arg(long)]
    topic: String,
    /// How many of them.
    #[arg(long)]
    prebuilt: usize,
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    /// Answers every request once so many records are acknowledged; says where.
    Http {
        /// Records for a request.
        records: usize,
    },
    /// Reads a file and produces a record for each row; says when it has done so.
    File {
        /// How its rows are written.
        #[arg(long, value_enum, default_value = "csv")]
        form: Form,
        /// The file.
        file: PathBuf,
    },
}

/// How the rows of a file are written.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// With a header.
    Csv,
    /// A record a line, in gzip.
    Lines,
    /// As the library reads it.
    Avro,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let config = kafka::Config {
        brokers: options.brokers,
        ..kafka::Config::default()
    };
    let prebuilt = read(&config, &options.topic, options.prebuilt)?;
    let produce = Produce {
        publisher: Publisher::new(&config, PublisherOptions::default())?,
        prebuilt,
        next: AtomicUsize::new(0),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match options.source {
            Source::Http { records } => serve(Arc::new(produce), records).await,
            Source::File { form, file } => rows(&produce, form, &file).await,
        }
    })
}

/// The first records of a topic.
fn read(config: &kafka::Config, topic: &str, count: usize) -> anyhow::Result<Vec<RecordOut>> {
    let mut reader = Reader::open(config, ReaderOptions::default())?;
    let partitions = reader.partitions(topic)?;
    let partitions: Vec<_> = partitions.iter().map(|id| (*id, Position::Beginning)).collect();
    reader.assign(topic, &partitions)?;
    let mut records = Vec::new();
    while records.len() < count {
        let polled = reader.poll(PATIENCE);
        match polled.with_context(|| format!("{topic} has only {} records", records.len()))?? {
            Polled::Eof { .. } => {}
            Polled::Record(record) => {
                let mut out = RecordOut::new(topic)
                    .key(Bytes::copy_from_slice(record.key().unwrap_or_default()))
                    .payload(Bytes::copy_from_slice(record.payload().unwrap_or_default()));
                for (name, value) in record.headers() {
                    out = out.header(name.to_owned(), Bytes::copy_from_slice(value));
                }
                records.push(out);
            }
        }
    }
    Ok(records)
}

struct Produce {
    publisher: Publisher,
    prebuilt: Vec<RecordOut>,
    next: AtomicUsize,
}

impl Produce {
    /// Whether all of the next so many records were acknowledged.
    async fn next(&self, count: usize) -> bool {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let records = self.prebuilt.iter().cycle().skip(first % self.prebuilt.len());
        let acks = self.publisher.publish_all(records.take(count).cloned().collect()).await;
        acks.iter().all(Result::is_ok)
    }

    /// A record for each row, as long as there is one.
    async fn each(&self, mut row: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let mut read = 0;
        while row()? {
            read += 1;
            if read % ROWS == 0 {
                anyhow::ensure!(self.next(ROWS).await, "Kafka does not take the rows");
            }
        }
        anyhow::ensure!(self.next(read % ROWS).await, "Kafka does not take the rows");
        Ok(())
    }
}

/// One line that whoever started this waits for.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn serve(produce: Arc<Produce>, records: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string())?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connections.spawn(connection(stream, Arc::clone(&produce), records));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, produce: Arc<Produce>, records: usize) {
    let answer = |request: Request<Incoming>| {
        let produce = Arc::clone(&produce);
        async move {
            let read = request.into_body().collect().await.is_ok();
            let written = read && produce.next(records).await;
            let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
            if !written {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            Ok::<_, Infallible>(response)
        }
    };
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    // Whoever sends may go in the middle of a request.
    drop(served.await);
}

async fn rows(produce: &Produce, form: Form, file: &Path) -> anyhow::Result<()> {
    say("begins")?;
    match form {
        Form::Csv => {
            let mut reader = csv::Reader::from_path(file)?;
            let mut row = csv::ByteRecord::new();
            produce.each(|| Ok(reader.read_byte_record(&mut row)?)).await?;
        }
        Form::Lines => {
            let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(File::open(file)?)));
            let mut line = Vec::new();
            let mut next = || {
                line.clear();
                Ok(lines.read_until(b'\n', &mut line)? > 0)
            };
            produce.each(&mut next).await?;
        }
        Form::Avro => {
            let mut values = apache_avro::Reader::new(BufReader::new(File::open(file)?))?;
            produce.each(|| Ok(values.next().transpose()?.is_some())).await?;
        }
    }
    say("done")?;
    std::future::pending().await
}
