//! What tracing and metrics cost: recorded, exported and scraped, over not recorded at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Sample, Setup};
use shared_e2e::ingest::{Connection, World};
use tokio::task::JoinSet;

use crate::collector::Collector;
use crate::webhooks::sample;

/// As Prometheus does, only sooner.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let endpoint = collector.url();
    let off = World::start(setup, "telemetry-off", &[("TELEMETRY__RECORDED", "false")]).await?;
    let recorded = World::start(setup, "telemetry-recorded", &[]).await?;
    let on = World::start(setup, "telemetry-on", &[("TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await?;
    let mut scraping = JoinSet::new();
    scraping.spawn(scrape(on.metrics()?));
    let (mut shown, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..setup.pick(5, 1) {
        let of_off = cpu(setup, book, "off", &off).await?;
        let of_recorded = cpu(setup, book, "recorded, not exported", &recorded).await?;
        let of_on = cpu(setup, book, "on", &on).await?;
        shown.push(of_recorded.cpu_us_each / of_off.cpu_us_each);
        ratios.push(of_on.cpu_us_each / of_off.cpu_us_each);
    }
    scraping.shutdown().await;
    book.sample("telemetry", "collector", json!({ "spans": collector.spans() }))?;
    for world in [off, recorded, on] {
        world.stop().await?;
    }
    book.figure(&Figure::of(
        "processor time per webhook, tracing and metrics on over off",
        &ratios,
        Bound::AtMost(1.05),
    ))?;
    book.figure(&Figure::of(
        "the same without exporting the spans",
        &shown,
        Bound::Shown,
    ))
}

async fn cpu(setup: &Setup, book: &mut Book, subject: &str, world: &World) -> anyhow::Result<Sample> {
    let requests = Arc::new(world.requests(1));
    let sample = sample(world.id()?, world.http(), &requests, setup.pick(200_000, 20_000)).await?;
    book.sample("telemetry", subject, sample.json("event"))?;
    Ok(sample)
}

/// Reads the metrics now and then.
async fn scrape(address: SocketAddr) -> anyhow::Result<()> {
    loop {
        Connection::open(address)
            .await?
            .ask(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await?;
        tokio::time::sleep(SCRAPE_EVERY).await;
    }
}
