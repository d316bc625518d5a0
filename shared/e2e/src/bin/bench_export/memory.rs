//! Memory does not grow with the backlog.

use std::time::Duration;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process};

use crate::load::Load;
use crate::sample;
use crate::sink::Sink;
use crate::world::{World, floor};

const AUDIENCE: &str = "big-spenders";
const FLUSH_AFTER: Duration = Duration::from_secs(2);
const MIB: f64 = 1_048_576.0;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    // Braze's latency decides how much is in flight.
    let sink = Sink::start(Duration::from_millis(20)).await?;
    // The rate that is left to us by default: half of Braze's 1,000 requests a second.
    let world = World::start(setup, "memory", &sink.url(), &[("ENGINE__REQUESTS_PER_SECOND", "500")]).await?;
    let mut world = world;
    let authorization = world.authorize().await?;
    let load = Load::new(&world.kafka)?;
    let (small, large) = setup.pick((1_000_000, 10_000_000), (100_000, 300_000));
    // The same work, with more behind it.
    let updates = setup.pick(500_000, 75_000);
    let mut peaks = Vec::new();
    for users in [0..small, small..large] {
        let backlog = users.end;
        load.enter(AUDIENCE, users).await?;
        world.stop().await?;
        world.start_again().await?;
        let before = sink.updates();
        let job = world.create_job(&authorization, AUDIENCE, FLUSH_AFTER).await?;
        sample::take(world.id()?, &sink, before, updates).await?;
        let (peak, now) = (
            process::memory_peak(world.id()?)? as f64,
            process::memory(world.id()?)? as f64,
        );
        world.delete_job(&job).await?;
        let values = json!({ "backlog": backlog, "peak_mib": (peak / MIB).round(), "mib": (now / MIB).round() });
        book.sample("memory", "product", values)?;
        peaks.push((peak, now));
    }
    let floor = floor(setup, &world.topic(), Some(&sink.url()))?;
    sample::take(floor.id()?, &sink, sink.updates(), updates).await?;
    let floor_now = process::memory(floor.id()?)? as f64;
    floor.stop().await?;
    book.sample(
        "memory",
        "floor",
        json!({ "backlog": large, "mib": (floor_now / MIB).round() }),
    )?;
    book.figure(&Figure::single(
        &format!("peak memory at a backlog of {large} over {small}"),
        peaks[1].0 / peaks[0].0,
        Bound::AtMost(1.05),
    ))?;
    book.figure(&Figure::single(
        "memory beyond the floor's, MiB, at the default budget",
        (peaks[1].1 - floor_now) / MIB,
        Bound::AtMost(24.0),
    ))
}
