//! Holds a process to a part of its core, without asking the system for anything that only root may: it is stopped most of the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use shared_e2e::bench::CORE;
use tokio::time::Instant;

/// How long it runs in a turn, and rests at least.
const TURN: Duration = Duration::from_millis(1);
/// It has so much of the time: a quarter.
const SHARE: u32 = 4;

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
            let clock = clock_getcpuclockid(process)?;
            let used = || clock_gettime(clock).map(Duration::from);
            let (mut at, mut before, mut owed) = (Instant::now(), used()?, Duration::ZERO);
            while !end.load(Ordering::Relaxed) {
                kill(process, Signal::SIGSTOP)?;
                wait(TURN.max(SHARE * owed));
                // Its threads stop when they come to it: what counts is what it has used.
                let (now, after) = (Instant::now(), used()?);
                owed = (owed + (after - before)).saturating_sub((now - at) / SHARE);
                (at, before) = (now, after);
                if owed.is_zero() {
                    kill(process, Signal::SIGCONT)?;
                    wait(TURN);
                }
            }
            kill(process, Signal::SIGCONT)
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
