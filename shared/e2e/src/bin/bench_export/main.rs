//! `make bench-export`: what export-svc costs, as ratios to the floor under it (`floor`) in the same run, with the bounds that
//! it should keep. The product runs as a process of its own on the first core; Kafka, the simulator and this program share the
//! others (the Makefile pins them). Samples of product and floor alternate; first the floor is compared with itself, which is the
//! noise.
//!
//! Every raw sample and every figure is a line of JSON in `target/bench/export.jsonl`; `page` writes them into
//! `docs/performance.md`. A figure outside its bound prints MISS; the exit code is 0 all the same.

mod ceiling;
mod jobs;
mod kill;
mod load;
mod memory;
mod sample;
mod share;
mod sink;
mod throughput;
mod world;
mod writes;
mod zipf;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use shared_e2e::bench::{self, Bench, Book, Setup};

/// As the simulator's own program has it: it shares its core with Kafka, and must not be what is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures export-svc.
///
/// Exit code 0: everything was measured, whatever came out. 1: something does not work.
#[derive(Parser)]
#[command(name = "bench_export")]
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

fn main() -> ExitCode {
    let Options { bench, only } = Options::parse();
    let more = !only.is_empty();
    Bench("export").run(bench, more, async |setup, book| measure(&only, setup, book).await)
}

async fn measure(only: &[Part], setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Throughput) {
        throughput::run(setup, book).await?;
    }
    if wanted(Part::Jobs) {
        jobs::run(setup, book).await?;
    }
    if wanted(Part::Memory) {
        memory::run(setup, book).await?;
    }
    if wanted(Part::Writes) {
        writes::run(setup, book).await?;
    }
    if wanted(Part::Ceiling) {
        ceiling::run(setup, book).await?;
    }
    if wanted(Part::Kill) {
        kill::run(setup, book).await?;
    }
    if wanted(Part::Share) {
        share::run(setup, book).await?;
    }
    if wanted(Part::Zipf) {
        zipf::run(setup, book).await?;
    }
    Ok(())
}
