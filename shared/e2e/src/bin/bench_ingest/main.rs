//! `make bench-ingest`: what ingest-svc costs, as ratios to the floors under it (`floor_ingest`) in the same run, with the bounds
//! that it should keep. The product runs as a process of its own on the first core; Kafka and this program, which sends, share the
//! others (the Makefile pins them). Samples of product and floor alternate; first the floor is compared with itself, which is the
//! noise.
//!
//! Every raw sample and every figure is a line of JSON in `target/bench/ingest.jsonl`; `--page` writes them into
//! `docs/performance.md`. A figure outside its bound prints MISS; the exit code is 0 all the same.

mod collector;
mod freeze;
mod overload;
mod quota;
mod telemetry;
mod upload;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use shared_e2e::bench::{self, Bench, Book, Setup};

/// It shares its core with Kafka, and must not be what is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures ingest-svc.
///
/// Exit code 0: everything was measured, whatever came out. 1: something does not work.
#[derive(Parser)]
#[command(name = "bench_ingest")]
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
    /// One event a request: processor time, rate, and latency at half load, over the floor's.
    Webhooks,
    /// A hundred events a request.
    Arrays,
    /// A CSV in bulk: processor time over the floor's, and memory by rows.
    Upload,
    /// Three times as much as it can take, on a part of a core.
    Overload,
    /// A Kafka that is frozen for a minute.
    Freeze,
    /// Tracing and metrics over neither.
    Telemetry,
}

fn main() -> ExitCode {
    let Options { bench, only } = Options::parse();
    let more = !only.is_empty();
    Bench("ingest").run(bench, more, async |setup, book| measure(&only, setup, book).await)
}

async fn measure(only: &[Part], setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Webhooks) {
        webhooks::one(setup, book).await?;
    }
    if wanted(Part::Arrays) {
        webhooks::arrays(setup, book).await?;
    }
    if wanted(Part::Upload) {
        upload::run(setup, book).await?;
    }
    if wanted(Part::Overload) {
        overload::run(setup, book).await?;
    }
    if wanted(Part::Freeze) {
        freeze::run(setup, book).await?;
    }
    if wanted(Part::Telemetry) {
        telemetry::run(setup, book).await?;
    }
    Ok(())
}
