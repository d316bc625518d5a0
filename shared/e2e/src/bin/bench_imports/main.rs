//! `make bench-imports`: what an import job costs for each row of a file in object storage, over the floor that only reads such a file
//! and produces prebuilt records (`floor_ingest`); its memory by rows; and what it does to webhooks. The product, Kafka, cores and
//! samples are as in `bench_ingest`; the storage speaks S3's protocol and shares its core with Kafka and this program.
//!
//! Every raw sample and every figure is a line of JSON in `target/bench/imports.jsonl`; `--page` writes them into
//! `docs/performance.md`. A figure outside its bound prints MISS; the exit code is 0 all the same.

mod beside;
mod bucket;
mod cost;
mod files;
mod job;
mod memory;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use shared_e2e::bench::{self, Bench, Book, Setup};

/// It shares its core with Kafka, and must not be what is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures the import jobs of ingest-svc.
///
/// Exit code 0: everything was measured, whatever came out. 1: something does not work.
#[derive(Parser)]
#[command(name = "bench_imports")]
struct Options {
    #[command(flatten)]
    bench: bench::Call,
    /// What to measure, to be added to what was measured before; everything anew, unless given.
    #[arg(long = "only", value_enum)]
    only: Vec<Part>,
}

/// Figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Processor time for each row of a CSV, of NDJSON in gzip, and of Avro, over the floor's.
    Cost,
    /// Memory by rows, and over the floor's.
    Memory,
    /// Webhooks while a file is read, over none.
    Beside,
}

fn main() -> ExitCode {
    let Options { bench, only } = Options::parse();
    let more = !only.is_empty();
    Bench("imports").run(bench, more, async |setup, book| measure(&only, setup, book).await)
}

async fn measure(only: &[Part], setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Cost) {
        cost::run(setup, book).await?;
    }
    if wanted(Part::Memory) {
        memory::run(setup, book).await?;
    }
    if wanted(Part::Beside) {
        beside::run(setup, book).await?;
    }
    Ok(())
}
