//! What the customer pays for: attribute writes, by the simulator's meter.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{DEFAULT_WORKSPACE, Options, Settings, Sim, SimHandle};
use shared_e2e::bench::{Book, Bound, Figure, Setup};

use crate::load::{Change, Load};
use crate::world::World;

const AUDIENCE: &str = "big-spenders";
/// The window in which opposite changes of a person meet.
const WINDOW: Duration = Duration::from_secs(5);
/// Until whatever may still come has come, and is applied.
const CALM: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(120);

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let options = Options {
        settings: Settings {
            apply_delay: Duration::ZERO,
            ..Settings::default()
        },
        ..Options::default()
    };
    let sim = Sim::start(options).await.context("the simulator")?;
    let handle = sim.handle();
    let mut world = World::start(setup, "writes", &sim.base_url(), &[]).await?;
    let authorization = world.authorize().await?;
    world.create_job(&authorization, AUDIENCE, WINDOW).await?;
    let load = Load::new(&world.kafka)?;
    let users = setup.pick(30_000, 3_000);

    load.enter(AUDIENCE, 0..users).await?;
    let steady = written(&handle, users).await?;
    book.figure(&figure("attribute writes per net change, steady", steady, users))?;

    // One fewer than a request holds: it stays open for as long as the window.
    let open = braze::OBJECTS_MAX as u64 - 1;
    let (mut flipped, rounds) = (0.0, setup.pick(10, 2));
    for round in 0..rounds {
        let first = users + round * open;
        load.publish(flips(first..first + open)).await?;
        flipped += written(&handle, open).await?;
    }
    book.figure(&figure(
        "attribute writes for enter, exit, enter within one window",
        flipped,
        rounds * open,
    ))?;

    load.publish(flips(2 * users..3 * users)).await?;
    let flooded = written(&handle, users).await?;
    book.figure(&Figure::single(
        "the same while requests fill up and close before their window ends",
        flooded / users as f64,
        Bound::Shown,
    ))?;

    world.stop().await?;
    world.start_again().await?;
    let again = written(&handle, 0).await?;
    book.figure(&Figure::single(
        "attribute writes after a clean restart",
        again,
        Bound::AtMost(0.0),
    ))?;
    world.stop().await
}

/// Each user enters, exits and enters again.
fn flips(users: Range<u64>) -> impl Iterator<Item = Change> {
    users.flat_map(|user| {
        [true, false, true].map(|enter| Change {
            audience: AUDIENCE.to_owned(),
            user,
            enter,
        })
    })
}

fn figure(name: &str, writes: f64, changes: u64) -> Figure {
    Figure::single(name, writes / changes as f64, Bound::AtMost(1.0))
}

/// How many attribute writes there are until nothing more comes; the meter begins anew. At least so many are waited for.
async fn written(handle: &SimHandle, least: u64) -> anyhow::Result<f64> {
    let writes = || handle.meter(DEFAULT_WORKSPACE).attribute_writes;
    let enough = async {
        let (mut seen, mut calls) = (writes(), handle.arrivals());
        loop {
            tokio::time::sleep(CALM).await;
            handle.idle().await;
            if writes() >= least && (writes(), handle.arrivals()) == (seen, calls) {
                return;
            }
            (seen, calls) = (writes(), handle.arrivals());
        }
    };
    tokio::time::timeout(PATIENCE, enough)
        .await
        .with_context(|| format!("only {} of {least} attribute writes", writes()))?;
    let written = writes() as f64;
    handle.reset_meter();
    Ok(written)
}
