//! Holds a process to a part of its core, without asking the system for anything that only root may: it is stopped most of the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared_e2e::bench::CORE;
use tokio::time::Instant;

/// How long it runs in a turn, at least: whoever stops it may come late.
const RUNS: Duration = Duration::from_millis(1);
/// How much longer it rests than it ran: it has a quarter of the time.
const RESTS: u32 = 3;

/// A process that is held back; not any more when dropped.
pub(crate) struct Quota {
    ended: Arc<AtomicBool>,
    holds: Option<JoinHandle<nix::Result<()>>>,
}

impl Quota {
    /// Holds process `id` back, from a thread on the same core: there nobody else is in its way.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn hold(id: u32) -> anyhow::Result<Self> {
        let process = Pid::from_raw(i32::try_from(id)?);
        let ended = Arc::<AtomicBool>::default();
        let end = Arc::clone(&ended);
        let hold = std::thread::Builder::new().name("quota".to_owned());
        let holds = hold.spawn(move || {
            let mut core = CpuSet::new();
            core.set(CORE)?;
            sched_setaffinity(Pid::from_raw(0), &core)?;
            let mut ran = RUNS;
            while !end.load(Ordering::Relaxed) {
                kill(process, Signal::SIGSTOP)?;
                wait(RESTS * ran);
                // It may run before this thread does again.
                let begun = Instant::now();
                kill(process, Signal::SIGCONT)?;
                wait(RUNS);
                ran = begun.elapsed();
            }
            Ok(())
        })?;
        Ok(Self {
            ended,
            holds: Some(holds),
        })
    }

    /// Lets it go.
    ///
    /// # Errors
    /// When it was not held all the time.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        let holds = self.holds.take().context("a thread")?;
        let held = holds.join().map_err(|_| anyhow::anyhow!("the thread has panicked"))?;
        Ok(held?)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is there to wait")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}
