//! Jobs of one Braze workspace at its limit: each gets its share, and one whose updates Braze refuses takes nothing from the
//! others.

use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{Options, RateLimits, Settings, Sim};
use serde_json::json;
use tokio::time::Instant;

use crate::figure::{Book, Bound, Figure};
use crate::load::Load;
use crate::world::{Setup, World};

const JOBS: u64 = 4;
const FLUSH_AFTER: Duration = Duration::from_secs(2);
/// Requests a second: little enough for the simulator, which looks at every update.
const BUDGET: &str = "100";
/// Until every job is at work.
const WARM_UP: Duration = Duration::from_secs(3);
/// How far apart the users of two jobs are.
const APART: u64 = 10_000_000;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let time = setup.pick(Duration::from_secs(15), Duration::from_secs(4));
    let healthy = rates(setup, book, time, false).await?;
    let (least, most) = extremes(&healthy);
    book.figure(&Figure::single(
        "largest over smallest share of the jobs at the limit",
        most / least,
        Bound::AtMost(1.10),
    ))?;
    let beside = rates(setup, book, time, true).await?;
    let others = |rates: &[f64]| rates[1..].iter().sum::<f64>();
    book.figure(&Figure::single(
        "rate of the others beside a job whose updates are refused",
        others(&beside) / others(&healthy),
        Bound::AtLeast(0.97),
    ))
}

fn extremes(rates: &[f64]) -> (f64, f64) {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    (least, rates.iter().copied().fold(0.0, f64::max))
}

/// Changes settled per second of each job, all of which have a backlog; `refused`: Braze refuses every update of the first.
async fn rates(setup: &Setup, book: &mut Book, time: Duration, refused: bool) -> anyhow::Result<Vec<f64>> {
    let options = Options {
        settings: Settings {
            track_limits: RateLimits::default(),
            ..Settings::default()
        },
        ..Options::default()
    };
    let sim = Sim::start(options).await.context("the simulator")?;
    let settings = [("ENGINE__REQUESTS_PER_SECOND", BUDGET)];
    let mut world = World::start(setup, "share", &sim.base_url(), &settings).await?;
    let authorization = world.authorize().await?;
    let load = Load::new(&world.kafka)?;
    let audience = |job: u64| format!("audience-{job}");
    // Backlogs of different sizes, each of more than can go out.
    let sends = time.as_secs() * 100 * 75;
    for job in 0..JOBS {
        let first = job * APART;
        load.enter(&audience(job), first..first + sends * (1 + job)).await?;
    }
    if refused {
        for user in 0..sends {
            sim.handle()
                .refuse_object(format!("cust-{user:08}"), "external_id is blacklisted");
        }
    }
    let mut jobs = Vec::new();
    for job in 0..JOBS {
        jobs.push(world.create_job(&authorization, &audience(job), FLUSH_AFTER).await?);
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, at) = (world.settled(&jobs).await?, Instant::now());
    tokio::time::sleep(time).await;
    let (after, seconds) = (world.settled(&jobs).await?, at.elapsed().as_secs_f64());
    let rates: Vec<_> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| (after - before) as f64 / seconds)
        .collect();
    let subject = if refused { "one job refused" } else { "all jobs well" };
    book.sample("share", subject, json!({ "settled_per_second": rates }))?;
    world.stop().await?;
    Ok(rates)
}
