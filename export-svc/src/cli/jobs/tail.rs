//! What `jobs omitted` and `jobs log` list: newest or all, and what comes after.

use clap::Args;
use runtime::exit::Failure;
use tonic::Streaming;

use crate::cli::output::{Output, Show};
use crate::cli::refused;

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only so many of the newest, at most 1000.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub(super) newest: u32,
    /// All that Kafka still has.
    #[arg(long, conflicts_with = "newest")]
    pub(super) all: bool,
    /// Go on with what comes, until interrupted.
    #[arg(long)]
    pub(super) follow: bool,
}

/// Prints what is streamed, until it ends or nobody reads it any more.
pub(super) async fn print<T, S: Show>(
    output: Output,
    mut answers: Streaming<T>,
    item: impl Fn(T) -> S,
) -> Result<(), Failure> {
    let mut rows = output.rows();
    while let Some(answer) = answers.message().await.map_err(refused)? {
        if !rows.next(&item(answer)) {
            break;
        }
    }
    rows.end();
    Ok(())
}
