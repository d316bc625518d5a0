//! Samples of export-svc, beside those that all benches take.

use std::time::Duration;

use anyhow::Context as _;
use shared_e2e::bench::{self, Sample, process};
use tokio::time::Instant;

use crate::sink::Sink;

/// After this long a sample is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// Who uses less of a core than this, over that time, has nothing to do; but it may take a while to begin.
const QUIET: f64 = 0.04;
const QUIET_FOR: Duration = Duration::from_secs(1);
const BEGINS_WITHIN: Duration = Duration::from_secs(3);

/// Takes a sample of process `id` while it sends `updates` updates to `sink`, of which `before` had come before; returns when
/// all are there, but for the last few: the floor posts full bodies only.
///
/// # Errors
/// When they do not come, or the process ends.
pub(crate) async fn take(id: u32, sink: &Sink, before: u64, updates: u64) -> anyhow::Result<Sample> {
    let objects = u64::try_from(braze::OBJECTS_MAX).unwrap_or(u64::MAX);
    bench::take(id, sink.counts(), before, updates - updates % objects).await
}

/// Processor time that `id` uses until it has nothing more to do, after it was given something.
///
/// # Errors
/// When there is no end to it, or the process ends.
pub(crate) async fn until_quiet(id: u32, start: Duration) -> anyhow::Result<Duration> {
    let (given, deadline) = (Instant::now(), Instant::now() + PATIENCE);
    loop {
        let (before, at) = (process::cpu(id)?, Instant::now());
        tokio::time::sleep(QUIET_FOR).await;
        let used = process::cpu(id)? - before;
        let share = used.as_secs_f64() / at.elapsed().as_secs_f64();
        if share < QUIET && given.elapsed() > BEGINS_WITHIN {
            return Ok(before - start);
        }
        anyhow::ensure!(Instant::now() < deadline, "it is never done");
    }
}

/// Share of a core, and context switches a second, over some time.
///
/// # Errors
/// When the process ends.
pub(crate) async fn idle(id: u32, time: Duration) -> anyhow::Result<(f64, f64)> {
    let (cpu, switches, at) = (process::cpu(id)?, process::switches(id)?, Instant::now());
    tokio::time::sleep(time).await;
    let seconds = at.elapsed().as_secs_f64();
    let cpu = process::cpu(id)?.checked_sub(cpu).context("time goes on")?;
    let switches = process::switches(id)?.saturating_sub(switches);
    Ok((cpu.as_secs_f64() / seconds, switches as f64 / seconds))
}
