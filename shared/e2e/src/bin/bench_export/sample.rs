//! Taking a sample: what a process used while so many updates went through it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::process;
use crate::sink::Sink;

/// How often counts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After this long without progress a sample is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Who uses less of a core than this, over that time, has nothing to do; but it may take a while to begin.
const QUIET: f64 = 0.04;
const QUIET_FOR: Duration = Duration::from_secs(1);
const BEGINS_WITHIN: Duration = Duration::from_secs(3);

/// What was used between a twentieth and the end of what there was to do, less a twentieth: start and end are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cpu_us_per_update: f64,
    pub(crate) updates_per_second: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) updates_per_call: f64,
}

impl Sample {
    pub(crate) fn json(&self) -> Value {
        json!({
            "cpu_us_per_update": rounded(self.cpu_us_per_update),
            "updates_per_second": self.updates_per_second.round(),
            "memory_mib": rounded(self.memory_bytes as f64 / f64::from(1 << 20)),
            "updates_per_call": rounded(self.updates_per_call),
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Where a process stands.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    updates: u64,
    calls: u64,
    cpu: Duration,
}

fn mark(id: u32, sink: &Sink) -> anyhow::Result<Mark> {
    Ok(Mark {
        at: Instant::now(),
        updates: sink.updates(),
        calls: sink.calls(),
        cpu: process::cpu(id)?,
    })
}

async fn reach(sink: &Sink, updates: u64) -> anyhow::Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let now = sink.updates();
        if now >= updates {
            return Ok(());
        }
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
        anyhow::ensure!(since.elapsed() < PATIENCE, "only {now} of {updates} updates arrive");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Takes a sample of process `id` while it sends `updates` updates to `sink`, of which `before` had come before; returns when
/// all are there.
///
/// # Errors
/// When they do not come, or the process ends.
pub(crate) async fn take(id: u32, sink: &Sink, before: u64, updates: u64) -> anyhow::Result<Sample> {
    reach(sink, before + updates / 20).await?;
    let first = mark(id, sink)?;
    reach(sink, before + updates - updates / 20).await?;
    let last = mark(id, sink)?;
    let memory_bytes = process::memory(id)?;
    // The floor posts full bodies only.
    reach(sink, before + updates - updates % braze_objects()).await?;
    let sent = (last.updates - first.updates) as f64;
    Ok(Sample {
        cpu_us_per_update: (last.cpu - first.cpu).as_secs_f64() * 1e6 / sent,
        updates_per_second: sent / (last.at - first.at).as_secs_f64(),
        memory_bytes,
        updates_per_call: sent / (last.calls - first.calls) as f64,
    })
}

fn braze_objects() -> u64 {
    u64::try_from(braze::OBJECTS_MAX).unwrap_or(u64::MAX)
}

/// Processor time that `id` uses until it has nothing more to do, after it was given something.
///
/// # Errors
/// When there is no end to it, or the process ends.
pub(crate) async fn until_quiet(id: u32, start: Duration) -> anyhow::Result<Duration> {
    let (given, deadline) = (Instant::now(), Instant::now() + 5 * PATIENCE);
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
