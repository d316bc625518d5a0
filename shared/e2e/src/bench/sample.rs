//! Taking a sample: what a process used while so much went through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::process;

/// How often counts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After this long without progress a sample is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// What went through, as seen from outside.
#[derive(Debug, Default)]
pub struct Counts {
    calls: AtomicU64,
    items: AtomicU64,
}

impl Counts {
    /// One call, of so many items.
    pub fn add(&self, items: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items, Ordering::Relaxed);
    }

    /// Items so far: updates of users, events.
    pub fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// What was used between a twentieth and the end of what there was to do, less a twentieth: start and end are left out.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Processor time for each item, in microseconds.
    pub cpu_us_each: f64,
    /// Items per second.
    pub per_second: f64,
    /// Memory in use at the end.
    pub memory_bytes: u64,
    /// Items in a call, on average.
    pub per_call: f64,
    /// Share of a core that was used.
    pub cores: f64,
}

impl Sample {
    /// The raw sample; `item` says what is counted.
    pub fn json(&self, item: &str) -> Value {
        json!({
            format!("cpu_us_per_{item}"): rounded(self.cpu_us_each),
            format!("{item}s_per_second"): self.per_second.round(),
            "memory_mib": rounded(self.memory_bytes as f64 / f64::from(1 << 20)),
            format!("{item}s_per_call"): rounded(self.per_call),
            "cores": rounded(self.cores),
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
    items: u64,
    calls: u64,
    cpu: Duration,
}

fn mark(id: u32, counts: &Counts) -> anyhow::Result<Mark> {
    Ok(Mark {
        at: Instant::now(),
        items: counts.items(),
        calls: counts.calls(),
        cpu: process::cpu(id)?,
    })
}

/// Waits until there are so many items.
///
/// # Errors
/// When there is no progress for two minutes.
pub async fn reach(counts: &Counts, items: u64) -> anyhow::Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let now = counts.items();
        if now >= items {
            return Ok(());
        }
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
        anyhow::ensure!(since.elapsed() < PATIENCE, "only {now} of {items} arrive");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Takes a sample of process `id` while it does `items` things more than the `before` that are counted already; returns when
/// all are done.
///
/// # Errors
/// When they are never done, or the process ends.
pub async fn take(id: u32, counts: &Counts, before: u64, items: u64) -> anyhow::Result<Sample> {
    reach(counts, before + items / 20).await?;
    let first = mark(id, counts)?;
    reach(counts, before + items - items / 20).await?;
    let last = mark(id, counts)?;
    let memory_bytes = process::memory(id)?;
    reach(counts, before + items).await?;
    let (done, seconds) = ((last.items - first.items) as f64, (last.at - first.at).as_secs_f64());
    let cpu = (last.cpu - first.cpu).as_secs_f64();
    Ok(Sample {
        cpu_us_each: cpu * 1e6 / done,
        per_second: done / seconds,
        memory_bytes,
        per_call: done / (last.calls - first.calls) as f64,
        cores: cpu / seconds,
    })
}
