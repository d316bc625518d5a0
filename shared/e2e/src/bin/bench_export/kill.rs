//! `kill -9` at Braze's limit: what is lost, what is sent again, and how long nothing is sent.

use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{DEFAULT_WORKSPACE, Fault, Options, RateLimits, Settings, Sim, SimHandle};
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup};
use tokio::time::Instant;

use crate::load::Load;
use crate::sink::Sink;
use crate::world::{World, floor_with};

const AUDIENCE: &str = "big-spenders";
const FLUSH_AFTER: Duration = Duration::from_secs(1);
const LATENCY: Duration = Duration::from_millis(100);
const REQUESTS_PER_SECOND: u64 = 1_000;
const IN_FLIGHT_MAX: u64 = 150;
/// How long it runs before it is killed.
const BEFORE: Duration = Duration::from_secs(5);
/// What the product may take longer than the floor: its lease, and half a second.
const LONGER_MAX: f64 = 5.5;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(180);

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let settings = Settings {
        apply_delay: Duration::ZERO,
        track_limits: RateLimits::default(),
        journal_body_bytes_max: 0,
        ..Settings::default()
    };
    let options = Options {
        settings,
        ..Options::default()
    };
    let sim = Sim::start(options).await.context("the simulator")?;
    let handle = sim.handle();
    handle.inject(Fault::delay(LATENCY));
    let settings = [
        ("ENGINE__REQUESTS_PER_SECOND", &*REQUESTS_PER_SECOND.to_string()),
        ("ENGINE__IN_FLIGHT_MAX", &*IN_FLIGHT_MAX.to_string()),
    ];
    let mut world = World::start(setup, "kill", &sim.base_url(), &settings).await?;
    let authorization = world.authorize().await?;
    let users = setup.pick(12, 8) * REQUESTS_PER_SECOND * 75;
    Load::new(&world.kafka)?.enter(AUDIENCE, 0..users).await?;
    let job = [world.create_job(&authorization, AUDIENCE, FLUSH_AFTER).await?];
    handle.until_arrivals(1).await;
    tokio::time::sleep(BEFORE).await;

    world.kill().await?;
    let (killed, arrived) = (Instant::now(), handle.arrivals());
    world.start_again().await?;
    tokio::time::timeout(PATIENCE, handle.until_arrivals(arrived + 1)).await?;
    let away = killed.elapsed();
    let begun = Instant::now();
    while world.settled(&job).await?[0] < users {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "not everything is ever settled");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    handle.idle().await;
    let lost = users - holders(&handle);
    let again = handle.meter(DEFAULT_WORKSPACE).attribute_writes - users;
    let topic = world.topic();
    let floor_away = floor_away(setup, &topic).await?;
    let values = json!({
        "users": users, "lost": lost, "sent_again": again,
        "away_s": away.as_secs_f64(), "floor_away_s": floor_away.as_secs_f64(),
    });
    book.sample("kill", "product and floor", values)?;
    book.figure(&Figure::single(
        "changes lost by kill -9",
        lost as f64,
        Bound::AtMost(0.0),
    ))?;
    let bound = (IN_FLIGHT_MAX + 2 * REQUESTS_PER_SECOND) * 75;
    book.figure(&Figure::single(
        "updates sent again",
        again as f64,
        Bound::AtMost(bound as f64),
    ))?;
    book.figure(&Figure::single(
        "seconds until it sends again, beyond the floor's",
        away.as_secs_f64() - floor_away.as_secs_f64(),
        Bound::AtMost(LONGER_MAX),
    ))?;
    world.stop().await
}

/// Users who hold the audience.
fn holders(handle: &SimHandle) -> u64 {
    let users = handle.users(DEFAULT_WORKSPACE);
    let holding = users
        .iter()
        .filter(|user| user.array("lytics_segments").contains(&AUDIENCE));
    holding.count() as u64
}

/// How long the floor sends nothing, as a member of a group that is killed and started again at once.
async fn floor_away(setup: &Setup, topic: &str) -> anyhow::Result<Duration> {
    let sink = Sink::start(LATENCY).await?;
    let start = || floor_with(setup, topic, Some(&sink.url()), &["--member-of", topic]);
    let floor = start()?;
    until_calls(&sink, 1).await?;
    floor.stop().await?;
    let (killed, calls) = (Instant::now(), sink.calls());
    let floor = start()?;
    until_calls(&sink, calls + 1).await?;
    let away = killed.elapsed();
    floor.stop().await?;
    Ok(away)
}

async fn until_calls(sink: &Sink, calls: u64) -> anyhow::Result<()> {
    let waited = Instant::now();
    while sink.calls() < calls {
        anyhow::ensure!(waited.elapsed() < PATIENCE, "the floor does not begin");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
