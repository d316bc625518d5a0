//! Webhooks: processor time and rate on one core, and latency at half load, over the floor's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Sample, Setup, percentile, take};
use shared_e2e::ingest::{Load, Offer, Requests, World, connection, open};

/// More than it takes to keep a core busy while Kafka takes its time.
pub(crate) const CONNECTIONS: usize = 512;

/// More than can be in progress at once: half of what the service accepts.
pub(crate) const MANY: usize = 2_000;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn one(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let world = World::start(setup, "webhooks", &[]).await?;
    world.fill().await?;
    let pairs = Pairs::measure(setup, book, &world, "webhooks", 1, setup.pick(200_000, 20_000)).await?;
    for figure in [
        pairs.cpu("processor time per webhook over the floor", Bound::AtMost(1.25)),
        pairs.ratio(
            "webhooks per second on one core over the floor",
            |sample| sample.per_second,
            Bound::AtLeast(0.80),
        ),
        pairs.product("processor time per webhook, µs", |sample| sample.cpu_us_each),
        pairs.floor("the floor's processor time per webhook, µs", |sample| {
            sample.cpu_us_each
        }),
        pairs.product("webhooks per second on one core", |sample| sample.per_second),
        pairs.product("share of that core that was used", |sample| sample.cores),
        pairs.floor("share of it that the floor used", |sample| sample.cores),
    ] {
        book.figure(&figure)?;
    }
    let peak = pairs.product("", |sample| sample.per_second).value;
    latency(setup, book, &world, peak / 2.0).await?;
    world.stop().await
}

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn arrays(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let world = World::start(setup, "arrays", &[]).await?;
    world.fill().await?;
    let pairs = Pairs::measure(setup, book, &world, "arrays", 100, setup.pick(1_000_000, 100_000)).await?;
    for figure in [
        pairs.cpu(
            "processor time per event, 100 a request, over the floor",
            Bound::AtMost(1.5),
        ),
        pairs.product("processor time per event, 100 a request, µs", |sample| {
            sample.cpu_us_each
        }),
        pairs.product("events per second on one core, 100 a request", |sample| {
            sample.per_second
        }),
    ] {
        book.figure(&figure)?;
    }
    world.stop().await
}

/// Samples of the product, each beside one of the floor.
struct Pairs(Vec<(Sample, Sample)>);

impl Pairs {
    /// First the floor is measured over itself.
    async fn measure(
        setup: &Setup,
        book: &mut Book,
        world: &World,
        figure: &str,
        events_each: usize,
        events: u64,
    ) -> anyhow::Result<Self> {
        let requests = Arc::new(world.requests(events_each));
        let pairs = setup.pick(5, 1);
        let floor = async |book: &mut Book, figure: &str| {
            let mut floor = world.floor(&["http", &events_each.to_string()])?;
            let address = floor.says().await?.parse()?;
            let sample = sample(floor.id()?, address, &requests, events).await?;
            book.sample(figure, "floor", sample.json("event"))?;
            floor.stop().await?;
            anyhow::Ok(sample)
        };
        let mut noise = Vec::new();
        for _ in 0..pairs {
            let name = format!("{figure}, noise");
            let (one, other) = (floor(book, &name).await?, floor(book, &name).await?);
            noise.push(one.cpu_us_each / other.cpu_us_each);
        }
        book.figure(&Figure::of(
            &format!("noise of {figure}: processor time, floor over floor"),
            &noise,
            Bound::Shown,
        ))?;
        let mut samples = Vec::new();
        for _ in 0..pairs {
            let product = sample(world.id()?, world.http(), &requests, events).await?;
            book.sample(figure, "product", product.json("event"))?;
            samples.push((product, floor(book, figure).await?));
        }
        Ok(Self(samples))
    }

    fn cpu(&self, name: &str, bound: Bound) -> Figure {
        self.ratio(name, |sample| sample.cpu_us_each, bound)
    }

    fn ratio(&self, name: &str, value: fn(&Sample) -> f64, bound: Bound) -> Figure {
        let ratios: Vec<_> = self
            .0
            .iter()
            .map(|(product, floor)| value(product) / value(floor))
            .collect();
        Figure::of(name, &ratios, bound)
    }

    fn product(&self, name: &str, value: fn(&Sample) -> f64) -> Figure {
        let values: Vec<_> = self.0.iter().map(|(product, _)| value(product)).collect();
        Figure::of(name, &values, Bound::Shown)
    }

    fn floor(&self, name: &str, value: fn(&Sample) -> f64) -> Figure {
        let values: Vec<_> = self.0.iter().map(|(_, floor)| value(floor)).collect();
        Figure::of(name, &values, Bound::Shown)
    }
}

/// What a process uses for so many events, as fast as it takes them.
pub(crate) async fn sample(
    id: u32,
    address: SocketAddr,
    requests: &Arc<Requests>,
    events: u64,
) -> anyhow::Result<Sample> {
    let load = Load::start(address, requests, CONNECTIONS).await?;
    let taken = take(id, &load.counts, 0, events).await;
    load.stop().await?;
    taken
}

/// At a rate that is half of what the product takes, the same for both.
async fn latency(setup: &Setup, book: &mut Book, world: &World, per_second: f64) -> anyhow::Result<()> {
    let requests = Arc::new(world.requests(1));
    let offer = Offer {
        per_second,
        time: setup.pick(Duration::from_secs(10), Duration::from_secs(3)),
    };
    let p99 = async |book: &mut Book, subject: &str, address: SocketAddr| {
        let open = connection::open(address, &requests, MANY).await?;
        let answers = open::offer(open, &requests, offer).await?;
        let bad = answers.answers.iter().filter(|answer| answer.status != 200).count();
        anyhow::ensure!(bad == 0, "{bad} requests are not answered 200");
        let latencies = answers.answers.iter().map(|answer| answer.answered - answer.due);
        let mut latencies: Vec<_> = latencies.map(|latency| latency.as_secs_f64() * 1e3).collect();
        let mut at = |share| percentile(&mut latencies, share).context("an answer");
        let (p50, p99) = (at(0.5)?, at(0.99)?);
        let unsent = answers.unsent;
        let values =
            json!({ "webhooks_per_second": per_second.round(), "p50_ms": p50, "p99_ms": p99, "unsent": unsent });
        book.sample("latency", subject, values)?;
        anyhow::Ok(p99)
    };
    let (mut beyond, mut products, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setup.pick(5, 1) {
        let product = p99(book, "product", world.http()).await?;
        let mut floor = world.floor(&["http", "1"])?;
        let address = floor.says().await?.parse()?;
        let of_floor = p99(book, "floor", address).await?;
        floor.stop().await?;
        beyond.push(product - 1.25 * of_floor);
        products.push(product);
        floors.push(of_floor);
    }
    for figure in [
        Figure::of(
            "p99 at half load beyond 1.25 of the floor's, ms",
            &beyond,
            Bound::AtMost(0.5),
        ),
        Figure::of("p99 at half load, ms", &products, Bound::Shown),
        Figure::of("the floor's p99 at the same rate, ms", &floors, Bound::Shown),
    ] {
        book.figure(&figure)?;
    }
    Ok(())
}
