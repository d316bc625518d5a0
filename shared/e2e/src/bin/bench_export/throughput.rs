//! One core and as many updates as it takes: processor time, rate and memory of export-svc, each over the floor's.

use std::time::Duration;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Sample, Setup, process};

use crate::load::Load;
use crate::sample;
use crate::sink::Sink;
use crate::world::{World, floor};

const AUDIENCE: &str = "big-spenders";
/// No record is of it.
const OTHER: &str = "nobody";
const FLUSH_AFTER: Duration = Duration::from_secs(2);
const MIB: f64 = 1_048_576.0;

/// Beyond what Braze takes: the budget, and what is remembered of what was just sent, must not be what is measured.
pub(crate) const UNBOUNDED: [(&str, &str); 2] = [
    ("ENGINE__REQUESTS_PER_SECOND", "100000"),
    ("ENGINE__NOT_BEFORE_MAX", "8000000"),
];

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let sink = Sink::start(Duration::ZERO).await?;
    let world = World::start(setup, "throughput", &sink.url(), &UNBOUNDED).await?;
    let authorization = world.authorize().await?;
    let updates = setup.pick(1_500_000, 150_000);
    Load::new(&world.kafka)?.enter(AUDIENCE, 0..updates).await?;
    let pairs = setup.pick(5, 1);
    let floor = async |book: &mut Book, figure| -> anyhow::Result<Sample> {
        let before = sink.updates();
        let floor = floor(setup, &world.topic(), Some(&sink.url()))?;
        let sample = sample::take(floor.id()?, &sink, before, updates).await?;
        book.sample(figure, "floor", sample.json("update"))?;
        floor.stop().await?;
        Ok(sample)
    };
    let product = async |book: &mut Book| -> anyhow::Result<Sample> {
        let before = sink.updates();
        let job = world.create_job(&authorization, AUDIENCE, FLUSH_AFTER).await?;
        let sample = sample::take(world.id()?, &sink, before, updates).await?;
        book.sample("throughput", "product", sample.json("update"))?;
        world.delete_job(&job).await?;
        Ok(sample)
    };
    let mut noise = Vec::new();
    for _ in 0..pairs {
        let (one, other) = (floor(book, "noise").await?, floor(book, "noise").await?);
        noise.push(one.cpu_us_each / other.cpu_us_each);
    }
    book.figure(&Figure::of(
        "noise: processor time, floor over floor",
        &noise,
        Bound::Shown,
    ))?;
    let mut samples = Vec::new();
    for _ in 0..pairs {
        samples.push((product(book).await?, floor(book, "throughput").await?));
    }
    let each = |value: fn(&Sample, &Sample) -> f64| -> Vec<f64> {
        samples.iter().map(|(product, floor)| value(product, floor)).collect()
    };
    let figures = [
        Figure::of(
            "processor time per update over the floor",
            &each(|product, floor| product.cpu_us_each / floor.cpu_us_each),
            Bound::AtMost(1.25),
        ),
        Figure::of(
            "updates per second on one core over the floor",
            &each(|product, floor| product.per_second / floor.per_second),
            Bound::AtLeast(0.80),
        ),
        Figure::of(
            "memory beyond the floor's, MiB, at full speed",
            &each(|product, floor| (product.memory_bytes as f64 - floor.memory_bytes as f64) / MIB),
            Bound::AtMost(24.0),
        ),
        Figure::of(
            "processor time per update, µs",
            &each(|product, _| product.cpu_us_each),
            Bound::Shown,
        ),
        Figure::of(
            "the floor's processor time per update, µs",
            &each(|_, floor| floor.cpu_us_each),
            Bound::Shown,
        ),
        Figure::of(
            "updates per second on one core",
            &each(|product, _| product.per_second),
            Bound::Shown,
        ),
    ];
    figures.iter().try_for_each(|figure| book.figure(figure))?;
    unwanted(setup, book, &world, &authorization, updates).await
}

/// Records of an audience that no job exports, over records that are read and dropped.
async fn unwanted(
    setup: &Setup,
    book: &mut Book,
    world: &World,
    authorization: &str,
    records: u64,
) -> anyhow::Result<()> {
    let mut ratios = Vec::new();
    for _ in 0..setup.pick(5, 1) {
        let start = process::cpu(world.id()?)?;
        let job = world.create_job(authorization, OTHER, FLUSH_AFTER).await?;
        let product = sample::until_quiet(world.id()?, start).await?;
        world.delete_job(&job).await?;
        let floor = floor(setup, &world.topic(), None)?;
        let dropped = sample::until_quiet(floor.id()?, Duration::ZERO).await?;
        floor.stop().await?;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e9 / records as f64;
        book.sample(
            "unwanted",
            "product",
            json!({ "cpu_ns_per_record": each(product).round() }),
        )?;
        book.sample(
            "unwanted",
            "floor",
            json!({ "cpu_ns_per_record": each(dropped).round() }),
        )?;
        ratios.push(product.as_secs_f64() / dropped.as_secs_f64());
    }
    book.figure(&Figure::of(
        "a record that no job wants, over reading and dropping it",
        &ratios,
        Bound::AtMost(1.15),
    ))
}
