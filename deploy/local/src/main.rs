#![doc = include_str!("../README.md")]

mod demo;
mod memberships;
mod stack;
mod up;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::exit::Failure;

/// Serves librdkafka as well, as in the services themselves.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The whole system in one process: an in-process Kafka broker, the Braze simulator, ingest-svc and export-svc.
#[derive(Parser)]
#[command(name = "local")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drives the system end to end, compares what comes out with what must, prints a summary, and ends.
    ///
    /// Exit code 0: no mismatch. 1: at least one.
    Demo {
        /// Breaks something on purpose, to show that the demo notices.
        #[arg(long = "break", value_name = "WHAT")]
        sabotage: Option<demo::Sabotage>,
    },
    /// Runs the system on its usual ports until it is interrupted, and prints what to type.
    Up {
        /// Takes ports that are free instead, and prints which.
        #[arg(long)]
        free_ports: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    runtime::exit::run(async {
        match cli.command {
            Command::Demo { sabotage } => demo::run(sabotage).await.map_err(Failure::call),
            Command::Up { free_ports } => up::run(free_ports).await,
        }
    })
}
