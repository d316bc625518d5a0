//! `ingest-svc`: the service, and the client of its own API.

use std::process::ExitCode;

use clap::Parser;

/// Serves librdkafka as well, so one allocator holds all memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    runtime::exit::run(ingest_svc::cli::run(ingest_svc::cli::Cli::parse()))
}
