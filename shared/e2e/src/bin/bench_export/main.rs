//! `make bench-export`: what export-svc costs, as ratios to the floor under it (`floor`) in the same run, with the bounds that
//! it should keep. The product runs as a process of its own on the first core; Kafka, the simulator and this program share the
//! others (the Makefile pins them). Samples of product and floor alternate; first the floor is compared with itself, which is the
//! noise.
//!
//! Every raw sample and every figure is a line of JSON in `target/bench/export.jsonl`; `page` writes them into
//! `docs/performance.md`. A figure outside its bound prints MISS; the exit code is 0 all the same.

mod ceiling;
mod figure;
mod jobs;
mod kill;
mod load;
mod memory;
mod page;
mod process;
mod sample;
mod share;
mod sink;
mod stats;
mod throughput;
mod world;
mod writes;
mod zipf;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use runtime::exit::Failure;
use shared_e2e::Broker;

use self::figure::Book;
use self::world::Setup;

/// As the simulator's own program has it: it shares its core with Kafka, and must not be what is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures export-svc.
///
/// Exit code 0: everything was measured, whatever came out. 1: something does not work.
#[derive(Parser)]
#[command(name = "bench_export")]
struct Options {
    /// Small numbers and few samples, to see whether it works.
    #[arg(long)]
    quick: bool,
    /// What to measure, to be added to what was measured before; everything anew, unless given.
    #[arg(long = "only", value_enum)]
    only: Vec<Part>,
    /// Writes what was measured last into docs/performance.md instead.
    #[arg(long)]
    page: bool,
    /// Starts and stops Kafka, unless KAFKA_BROKERS names one.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/kafka.sh"))]
    kafka_script: PathBuf,
}

/// Figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Processor time, rate and memory over the floor's; records that nobody wants.
    Throughput,
    /// A thousand jobs over one, and a thousand with nothing to do.
    Jobs,
    /// Memory by backlog, and over the floor's.
    Memory,
    /// Attribute writes.
    Writes,
    /// Braze's limit, over TLS.
    Ceiling,
    /// `kill -9` at Braze's limit.
    Kill,
    /// Shares of jobs at the limit.
    Share,
    /// Few users in most changes.
    Zipf,
}

/// Where the samples go.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench/export.jsonl");
/// What is made of them.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

fn main() -> ExitCode {
    let options = Options::parse();
    runtime::exit::run(async move {
        let done = if options.page {
            page::write(Path::new(SAMPLES), Path::new(PAGE))
        } else {
            run(&options).await
        };
        done.map_err(Failure::call)
    })
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let broker = Broker::find(std::env::var("KAFKA_BROKERS").ok(), &options.kafka_script).await?;
    let measured = measure(options, &broker).await;
    let stopped = broker.stop().await;
    measured?;
    stopped
}

async fn measure(options: &Options, broker: &Broker) -> anyhow::Result<()> {
    let samples = Path::new(SAMPLES);
    let logs = samples.parent().context("samples are in a folder")?.to_owned();
    let mut book = Book::open(samples, &process::machine(), options.quick, !options.only.is_empty())?;
    let setup = Setup {
        brokers: broker.brokers.clone(),
        logs,
        quick: options.quick,
    };
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    if wanted(Part::Throughput) {
        throughput::run(&setup, &mut book).await?;
    }
    if wanted(Part::Jobs) {
        jobs::run(&setup, &mut book).await?;
    }
    if wanted(Part::Memory) {
        memory::run(&setup, &mut book).await?;
    }
    if wanted(Part::Writes) {
        writes::run(&setup, &mut book).await?;
    }
    if wanted(Part::Ceiling) {
        ceiling::run(&setup, &mut book).await?;
    }
    if wanted(Part::Kill) {
        kill::run(&setup, &mut book).await?;
    }
    if wanted(Part::Share) {
        share::run(&setup, &mut book).await?;
    }
    if wanted(Part::Zipf) {
        zipf::run(&setup, &mut book).await?;
    }
    Ok(())
}
