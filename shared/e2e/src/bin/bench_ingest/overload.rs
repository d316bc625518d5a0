//! Three times as much as it can take. The service has a part of a core only, or nobody could offer that much from the other one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, percentile, process, take};
use shared_e2e::ingest::{Answers, Load, Offer, World, connection, open};
use tokio::time::Instant;

use crate::quota::Quota;
use crate::webhooks::MANY;

/// Connections that send the peak: as many requests as may be in progress, nearly.
const PEAK: usize = 1_000;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let (mut goodputs, mut refusals) = (Vec::new(), Vec::new());
    for _ in 0..setup.pick(3, 1) {
        let world = World::start(setup, "overload", &[]).await?;
        let requests = Arc::new(world.requests(1));
        let quota = Quota::hold(world.id()?)?;
        let load = Load::start(world.http(), &requests, PEAK).await?;
        let peak = take(world.id()?, &load.counts, 0, setup.pick(60_000, 10_000)).await?;
        load.stop().await?;
        book.sample("overload", "peak", peak.json("event"))?;
        let time = setup.pick(Duration::from_secs(10), Duration::from_secs(3));
        let offer = Offer {
            per_second: 3.0 * peak.per_second,
            time,
        };
        let open = connection::open(world.http(), &requests, MANY).await?;
        let (cpu, begun) = (process::cpu(world.id()?)?, Instant::now());
        let answers = open::offer(open, &requests, offer).await?;
        let cores = (process::cpu(world.id()?)? - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        quota.end()?;
        let said = Said::of(&answers, time);
        let values = json!({
            "offered_per_second": offer.per_second.round(),
            "good_per_second": said.good_per_second.round(),
            "refused": said.refused,
            "refusals_p99_ms": said.refusals_p99_ms,
            "good_p99_ms": said.good_p99_ms,
            "unsent": answers.unsent,
            "others": said.others,
            "cores": cores,
        });
        book.sample("overload", "three times the peak", values)?;
        goodputs.push(said.good_per_second / peak.per_second);
        refusals.extend(said.refusals_p99_ms);
        world.stop().await?;
    }
    book.figure(&Figure::of(
        "webhooks taken at three times the peak, over the peak",
        &goodputs,
        Bound::AtLeast(0.90),
    ))?;
    if refusals.is_empty() {
        println!("bench: nothing was refused: what is too much waits in the connections");
        return Ok(());
    }
    book.figure(&Figure::of("p99 of refusals, ms", &refusals, Bound::AtMost(20.0)))
}

/// What was answered.
struct Said {
    good_per_second: f64,
    good_p99_ms: Option<f64>,
    refused: usize,
    /// From the last byte of a request to its refusal.
    refusals_p99_ms: Option<f64>,
    /// Neither 200 nor 503.
    others: usize,
}

impl Said {
    fn of(answers: &Answers, time: Duration) -> Self {
        let took = |status| -> Vec<f64> {
            let of_status = answers.answers.iter().filter(|answer| answer.status == status);
            of_status
                .map(|answer| (answer.answered - answer.sent).as_secs_f64() * 1e3)
                .collect()
        };
        let (mut good, mut refused) = (took(200), took(503));
        let end = answers.begun + time;
        let in_time = answers
            .answers
            .iter()
            .filter(|answer| answer.status == 200 && answer.answered < end);
        Self {
            good_per_second: in_time.count() as f64 / time.as_secs_f64(),
            refused: refused.len(),
            others: answers.answers.len() - good.len() - refused.len(),
            good_p99_ms: percentile(&mut good, 0.99),
            refusals_p99_ms: percentile(&mut refused, 0.99),
        }
    }
}
