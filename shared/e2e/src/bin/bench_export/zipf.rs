//! Few users in most changes over all users alike: whoever waits must not hold the others back.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup};
use tokio::time::Instant;

use crate::load::{Change, Load};
use crate::sink::Sink;
use crate::throughput::UNBOUNDED;
use crate::world::World;

const AUDIENCE: &str = "big-spenders";
const FLUSH_AFTER: Duration = Duration::from_secs(1);
const LATENCY: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);
const USERS: u64 = 1_000_000;
const EXPONENT: f64 = 1.1;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let mut ratios = Vec::new();
    for round in 0..setup.pick(3, 1) {
        let uniform = rate(setup, book, round, "uniform", |random| random.random_range(0..USERS)).await?;
        let skewed = rate(setup, book, round, "skewed", zipf).await?;
        ratios.push(skewed / uniform);
    }
    book.figure(&Figure::of(
        "records settled per second, Zipf(1.1) users over uniform ones, at 100 ms",
        &ratios,
        Bound::AtLeast(0.80),
    ))
}

/// A user by Zipf's law: who has the rank `n` is drawn in proportion to `n` to the power of -1.1.
fn zipf(random: &mut StdRng) -> u64 {
    let rest = 1.0 - EXPONENT;
    let span = (USERS as f64).powf(rest) - 1.0;
    // The continuous law turned around; rounded down it is the discrete one, nearly.
    let rank = (1.0 + random.random::<f64>() * span).powf(1.0 / rest);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to the number of users"
    )]
    let rank = rank as u64;
    rank.clamp(1, USERS) - 1
}

/// Records settled per second until all are.
async fn rate(
    setup: &Setup,
    book: &mut Book,
    seed: u64,
    subject: &str,
    user: impl Fn(&mut StdRng) -> u64,
) -> anyhow::Result<f64> {
    let sink = Sink::start(LATENCY).await?;
    let mut world = World::start(setup, "zipf", &sink.url(), &UNBOUNDED).await?;
    let authorization = world.authorize().await?;
    let records = setup.pick(500_000, 60_000);
    let mut random = StdRng::seed_from_u64(seed);
    let changes = (0..records).map(|_| Change {
        audience: AUDIENCE.to_owned(),
        user: user(&mut random),
        enter: true,
    });
    Load::new(&world.kafka)?.publish(changes).await?;
    let begun = Instant::now();
    let job = [world.create_job(&authorization, AUDIENCE, FLUSH_AFTER).await?];
    while world.settled(&job).await?[0] < records {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "not all records are ever settled");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    book.sample("zipf", subject, json!({ "settled_per_second": rate.round() }))?;
    world.stop().await?;
    Ok(rate)
}
