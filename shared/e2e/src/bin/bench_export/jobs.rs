//! A thousand jobs over one: the same updates, spread over their audiences; and what a thousand jobs cost that have nothing to do.

use std::time::Duration;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Sample, Setup};

use crate::load::{Change, Load};
use crate::sample;
use crate::sink::Sink;
use crate::throughput::UNBOUNDED;
use crate::world::World;

const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Until whatever went before is written down.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// One installation with so many jobs, an audience each.
struct Side {
    jobs: u64,
    world: World,
    sink: Sink,
    load: Load,
    /// The first user who was in no change yet.
    next_user: u64,
}

impl Side {
    async fn open(setup: &Setup, jobs: u64) -> anyhow::Result<Self> {
        let sink = Sink::start(Duration::ZERO).await?;
        let world = World::start(setup, &format!("{jobs}-jobs"), &sink.url(), &UNBOUNDED).await?;
        let authorization = world.authorize().await?;
        for job in 0..jobs {
            world.create_job(&authorization, &audience(job), FLUSH_AFTER).await?;
        }
        Ok(Self {
            jobs,
            load: Load::new(&world.kafka)?,
            world,
            sink,
            next_user: 0,
        })
    }

    /// Changes that were published while it was away.
    async fn sample(&mut self, book: &mut Book, updates: u64) -> anyhow::Result<Sample> {
        self.world.stop().await?;
        let users = self.next_user..self.next_user + updates;
        self.next_user = users.end;
        let jobs = self.jobs;
        let changes = users.map(|user| Change {
            audience: audience(user % jobs),
            user,
            enter: true,
        });
        self.load.publish(changes).await?;
        let before = self.sink.updates();
        self.world.start_again().await?;
        let sample = sample::take(self.world.id()?, &self.sink, before, updates).await?;
        book.sample("jobs", &format!("{jobs} jobs"), sample.json("update"))?;
        Ok(sample)
    }
}

fn audience(job: u64) -> String {
    format!("audience-{job:04}")
}

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let jobs = setup.pick(1_000, 50);
    let updates = setup.pick(1_000_000, 100_000);
    let mut many = Side::open(setup, jobs).await?;
    idle(setup, book, &many).await?;
    let mut one = Side::open(setup, 1).await?;
    let mut ratios = Vec::new();
    for _ in 0..setup.pick(3, 1) {
        let of_one = one.sample(book, updates).await?;
        let of_many = many.sample(book, updates).await?;
        ratios.push(of_many.cpu_us_each / of_one.cpu_us_each);
    }
    book.figure(&Figure::of(
        &format!("processor time per update, {jobs} jobs over 1"),
        &ratios,
        Bound::AtMost(1.10),
    ))
}

async fn idle(setup: &Setup, book: &mut Book, side: &Side) -> anyhow::Result<()> {
    tokio::time::sleep(SETTLED_AFTER).await;
    let (mut shares, mut switches) = (Vec::new(), Vec::new());
    for _ in 0..setup.pick(5, 1) {
        let (share, switched) = sample::idle(side.world.id()?, setup.pick(Duration::from_secs(6), FLUSH_AFTER)).await?;
        book.sample(
            "idle",
            "product",
            json!({ "cores": share, "switches_per_second": switched }),
        )?;
        shares.push(share * 100.0);
        switches.push(switched);
    }
    let jobs = side.jobs;
    book.figure(&Figure::of(
        &format!("idle with {jobs} jobs, % of a core"),
        &shares,
        Bound::AtMost(0.5),
    ))?;
    book.figure(&Figure::of(
        &format!("idle with {jobs} jobs, context switches per second"),
        &switches,
        Bound::AtMost(80.0),
    ))
}
