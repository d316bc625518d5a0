//! Jobs of one Braze workspace at its limit: each gets its share, and one whose updates Braze refuses, or whose calls are slow,
//! takes nothing from the others.

use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{Fault, Key, Options, RateLimits, Settings, Sim};
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup};
use tokio::time::Instant;

use crate::load::Load;
use crate::world::World;

const JOBS: u64 = 4;
const FLUSH_AFTER: Duration = Duration::from_secs(2);
/// Requests a second: little enough for the simulator, which looks at every update.
const BUDGET: &str = "100";
/// Until every job is at work.
const WARM_UP: Duration = Duration::from_secs(3);
/// How far apart the users of two jobs are.
const APART: u64 = 10_000_000;
/// How long a call takes with the key of the job that is slow.
const SLOW: Duration = Duration::from_secs(1);
/// Of the same Braze workspace as the other jobs' key.
const KEY_OF_FIRST: &str = "first-key";

/// What is wrong with the first job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Well,
    /// Braze refuses each of its updates.
    Refused,
    /// Every call with its key takes [`SLOW`].
    Slow,
}

impl First {
    fn name(self) -> &'static str {
        match self {
            Self::Well => "all jobs well",
            Self::Refused => "one job refused",
            Self::Slow => "one job slow",
        }
    }
}

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let time = setup.pick(Duration::from_secs(15), Duration::from_secs(4));
    let healthy = rates(setup, book, time, First::Well).await?;
    let (least, most) = extremes(&healthy);
    book.figure(&Figure::single(
        "largest over smallest share of the jobs at the limit",
        most / least,
        Bound::AtMost(1.10),
    ))?;
    let others = |rates: &[f64]| rates[1..].iter().sum::<f64>();
    for (first, figure) in [
        (
            First::Refused,
            "rate of the others beside a job whose updates are refused",
        ),
        (First::Slow, "rate of the others beside a job whose calls take a second"),
    ] {
        let beside = rates(setup, book, time, first).await?;
        let ratio = others(&beside) / others(&healthy);
        book.figure(&Figure::single(figure, ratio, Bound::AtLeast(0.97)))?;
    }
    Ok(())
}

fn extremes(rates: &[f64]) -> (f64, f64) {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    (least, rates.iter().copied().fold(0.0, f64::max))
}

/// Changes settled per second of each job, all of which have a backlog.
async fn rates(setup: &Setup, book: &mut Book, time: Duration, first: First) -> anyhow::Result<Vec<f64>> {
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
    sim.handle().put_key(Key::new(KEY_OF_FIRST));
    let of_first = world.authorize_with(KEY_OF_FIRST).await?;
    let of_others = world.authorize().await?;
    let load = Load::new(&world.kafka)?;
    let audience = |job: u64| format!("audience-{job}");
    // Backlogs of different sizes, each of more than can go out.
    let sends = time.as_secs() * 100 * 75;
    for job in 0..JOBS {
        let first = job * APART;
        load.enter(&audience(job), first..first + sends * (1 + job)).await?;
    }
    if first == First::Slow {
        sim.handle().inject(Fault::delay(SLOW).for_key(KEY_OF_FIRST));
    }
    if first == First::Refused {
        for user in 0..sends {
            sim.handle()
                .refuse_object(format!("cust-{user:08}"), "external_id is blacklisted");
        }
    }
    let mut jobs = Vec::new();
    for job in 0..JOBS {
        let authorization = if job == 0 { &of_first } else { &of_others };
        jobs.push(world.create_job(authorization, &audience(job), FLUSH_AFTER).await?);
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
    book.sample("share", first.name(), json!({ "settled_per_second": rates }))?;
    world.stop().await?;
    Ok(rates)
}
