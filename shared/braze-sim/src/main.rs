//! The simulator as a program: `braze-sim serve`, and subcommands that look into a running one.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// It keeps users by the million: many small texts that come and go.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    cli::Cli::parse().run().await
}
