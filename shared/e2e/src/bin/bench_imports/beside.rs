//! Webhooks while a large file is read: their latency over that without one. Whoever imports has the core that is spare.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, percentile};
use shared_e2e::ingest::{Offer, World, connection, open};

use crate::bucket::Bucket;
use crate::files::Form;
use crate::job::{self, Jobs};

/// Webhooks in a second: far below what a core takes, so that what is seen is what the import does.
const PER_SECOND: f64 = 1_000.0;
const CONNECTIONS: usize = 64;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let bucket = Bucket::start().await?;
    let world = job::world_on_all_cores(setup, "beside", &bucket).await?;
    world.fill().await?;
    let jobs = Jobs::of(&world, &bucket).await?;
    let rows = setup.pick(5_000_000, 200_000);
    let mut ratios = Vec::new();
    // Kafka compiles itself while it is asked for the first times.
    p99(setup, book, &world, "warm-up").await?;
    for pair in 0..setup.pick(3, 1) {
        let without = p99(setup, book, &world, "without").await?;
        let key = format!("rows-{pair}.csv");
        Form::Csv.write(&bucket.path(&key), rows)?;
        let job = jobs.create(&key).await?;
        jobs.begun(&job).await?;
        let with = p99(setup, book, &world, "with").await?;
        anyhow::ensure!(!jobs.is_done(&job), "the file was read before the webhooks were");
        jobs.end(&job).await?;
        std::fs::remove_file(bucket.path(&key))?;
        ratios.push(with / without);
    }
    book.figure(&Figure::of(
        "p99 of webhooks while a file is read over none",
        &ratios,
        Bound::AtMost(1.25),
    ))?;
    world.stop().await
}

async fn p99(setup: &Setup, book: &mut Book, world: &World, subject: &str) -> anyhow::Result<f64> {
    let requests = Arc::new(world.requests(1));
    let offer = Offer {
        per_second: PER_SECOND,
        time: setup.pick(Duration::from_secs(20), Duration::from_secs(3)),
    };
    let open = connection::open(world.http(), &requests, CONNECTIONS).await?;
    let answers = open::offer(open, &requests, offer).await?;
    let bad = answers.answers.iter().filter(|answer| answer.status != 200).count();
    anyhow::ensure!(bad == 0, "{bad} requests are not answered 200");
    let latencies = answers.answers.iter().map(|answer| answer.answered - answer.due);
    let mut latencies: Vec<_> = latencies.map(|latency| latency.as_secs_f64() * 1e3).collect();
    let mut at = |share| percentile(&mut latencies, share).context("an answer");
    let (p50, p99) = (at(0.5)?, at(0.99)?);
    book.sample(
        "beside",
        subject,
        json!({ "p50_ms": p50, "p99_ms": p99, "unsent": answers.unsent }),
    )?;
    Ok(p99)
}
