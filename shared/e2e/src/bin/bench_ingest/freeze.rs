//! A Kafka that is frozen for a minute: nothing is answered 200 meanwhile, and afterwards everything is again, soon.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process, take};
use shared_e2e::ingest::{Answer, Load, Offer, World, connection, open};
use tokio::time::Instant;

use crate::webhooks::{CONNECTIONS, MANY};

/// How long it goes well before, and is watched afterwards.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(15);
/// Of the rate, what counts as all of it.
const BACK: f64 = 0.95;
const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);
const MIB: f64 = 1_048_576.0;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let Some(broker) = setup.broker else {
        println!("bench: the Kafka that KAFKA_BROKERS names is not ours to freeze: left out");
        return Ok(());
    };
    let broker = Pid::from_raw(i32::try_from(broker)?);
    let world = World::start(setup, "freeze", &[]).await?;
    let requests = Arc::new(world.requests(1));
    let load = Load::start(world.http(), &requests, CONNECTIONS).await?;
    let peak = take(world.id()?, &load.counts, 0, setup.pick(100_000, 10_000)).await?;
    load.stop().await?;
    let frozen_for = setup.pick(Duration::from_secs(60), Duration::from_secs(10));
    let offer = Offer {
        per_second: peak.per_second / 2.0,
        time: BEFORE + frozen_for + AFTER,
    };
    let open = connection::open(world.http(), &requests, MANY).await?;
    let freeze = async {
        tokio::time::sleep(BEFORE).await;
        let frozen = Instant::now();
        kill(broker, Signal::SIGSTOP)?;
        tokio::time::sleep(frozen_for).await;
        kill(broker, Signal::SIGCONT)?;
        anyhow::Ok((frozen, Instant::now()))
    };
    let (answers, frozen) = tokio::join!(open::offer(open, &requests, offer), freeze);
    let (answers, (frozen, thawed)) = (answers?, frozen?);
    let good = |answer: &&Answer| answer.status == 200;
    // What was on its way when it froze, and answers that were on theirs, take a moment.
    let meanwhile = |answer: &&Answer| answer.sent > frozen + STEP && answer.answered < thawed;
    let false_answers = answers.answers.iter().filter(good).filter(meanwhile).count();
    let refused = answers.answers.iter().filter(|answer| answer.status == 503).count();
    let back = back(&answers.answers, thawed, offer.per_second);
    let peak_mib = process::memory_peak(world.id()?)? as f64 / MIB;
    let values = json!({
        "webhooks_per_second": offer.per_second.round(), "refused": refused, "unsent": answers.unsent,
        "back_after_s": back, "peak_mib": peak_mib.round(),
    });
    book.sample("freeze", "product", values)?;
    let seconds = frozen_for.as_secs();
    book.figure(&Figure::single(
        &format!("answers 200 while Kafka is frozen for {seconds} s"),
        false_answers as f64,
        Bound::AtMost(0.0),
    ))?;
    book.figure(&Figure::single(
        "seconds after its return until 95 % of the rate are taken again",
        back.unwrap_or(AFTER.as_secs_f64()),
        Bound::AtMost(5.0),
    ))?;
    world.stop().await
}

/// Seconds until the beginning of the first second in which as many were taken as should be; `None` if there is none.
fn back(answers: &[Answer], thawed: Instant, per_second: f64) -> Option<f64> {
    let mut good: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| answer.answered)
        .collect();
    good.sort_unstable();
    let before = |at: Instant| good.partition_point(|answered| *answered < at);
    let mut from = thawed;
    while from + SECOND <= thawed + AFTER {
        let taken = before(from + SECOND) - before(from);
        if taken as f64 >= BACK * per_second * SECOND.as_secs_f64() {
            return Some((from - thawed).as_secs_f64());
        }
        from += STEP;
    }
    None
}
