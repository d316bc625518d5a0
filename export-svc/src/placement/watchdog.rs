//! Ends the process when a workspace's thread stands still, so that the group gives its slots to others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use runtime::exit;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row at which a thread had not moved. Looks and not time are counted: a machine that was frozen finds every
/// thread where it was, and must not take that for a fault.
const STILL_MAX: u32 = 15;
/// How long the last word may take.
const SAY_MAX: Duration = Duration::from_secs(1);

/// Beaten by the thread that is watched; no longer watched when dropped.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// The thread has come round again.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Watches on a thread of its own, which ends with the last handle.
#[derive(Clone)]
pub(super) struct Watchdog {
    watched: Arc<Mutex<Vec<Watched>>>,
    _alive: SyncSender<()>,
}

struct Watched {
    name: String,
    pulse: Weak<AtomicU64>,
    beats: u64,
    still: u32,
}

impl Watchdog {
    /// One that ends the process.
    pub(super) fn start() -> Result<Self, std::io::Error> {
        let stuck = |name: &str| {
            say(name);
            std::process::exit(i32::from(exit::INTERNAL));
        };
        Self::start_with(LOOK_EVERY, stuck)
    }

    fn start_with(every: Duration, stuck: impl Fn(&str) + Send + 'static) -> Result<Self, std::io::Error> {
        let watched: Arc<Mutex<Vec<Watched>>> = Arc::default();
        let (alive, ended) = sync_channel(0);
        let looking = Arc::clone(&watched);
        let run = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let found = look(&mut looking.lock().unwrap_or_else(PoisonError::into_inner));
                if let Some(name) = found {
                    stuck(&name);
                }
            }
        };
        thread::Builder::new().name("export-watchdog".to_owned()).spawn(run)?;
        Ok(Self { watched, _alive: alive })
    }

    /// Watches a thread that beats the pulse from now on.
    pub(super) fn watch(&self, name: &str) -> Pulse {
        let pulse = Pulse::default();
        let watched = Watched {
            name: name.to_owned(),
            pulse: Arc::downgrade(&pulse.0),
            beats: 0,
            still: 0,
        };
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watched);
        pulse
    }
}

/// Says why the process ends, if it can be said: what the thread hangs in may be a log that nobody takes away.
fn say(name: &str) {
    let (said, heard) = sync_channel::<()>(0);
    let workspace = name.to_owned();
    let last_word = move || {
        tracing::error!(
            workspace,
            "the thread of Braze workspace {workspace} has stood still for {STILL_MAX} s: the process ends, and others take over"
        );
        drop(said);
    };
    if thread::Builder::new()
        .name("export-last-word".to_owned())
        .spawn(last_word)
        .is_ok()
    {
        // Either way it ends: it was said, or it cannot be.
        heard.recv_timeout(SAY_MAX).unwrap_or_default();
    }
}

/// Looks once at everybody, and gives back somebody who has stood still for too long.
fn look(watched: &mut Vec<Watched>) -> Option<String> {
    watched.retain(|one| one.pulse.strong_count() > 0);
    let mut found = None;
    for one in watched {
        let beats = one.pulse.upgrade().map_or(0, |pulse| pulse.load(Ordering::Relaxed));
        one.still = if beats == one.beats { one.still + 1 } else { 0 };
        one.beats = beats;
        if one.still >= STILL_MAX {
            found = Some(one.name.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_is_found_and_one_that_comes_round_is_not() {
        let (found, stuck) = sync_channel(1);
        let watchdog = Watchdog::start_with(Duration::from_millis(1), move |name| {
            // Told once already, or the test has ended.
            drop(found.try_send(name.to_owned()));
        });
        let watchdog = watchdog.unwrap();
        let (busy, gone) = (watchdog.watch("busy"), watchdog.watch("gone"));
        drop(gone);
        busy.beat();
        let _still = watchdog.watch("still");
        let first = loop {
            busy.beat();
            if let Ok(first) = stuck.try_recv() {
                break first;
            }
        };
        assert_eq!(first, "still");
    }

    #[test]
    fn only_looks_in_a_row_count() {
        let pulse = Pulse::default();
        let mut watched = vec![Watched {
            name: "w".to_owned(),
            pulse: Arc::downgrade(&pulse.0),
            beats: 0,
            still: 0,
        }];
        for _ in 1..STILL_MAX {
            assert_eq!(look(&mut watched), None);
        }
        pulse.beat();
        for _ in 0..STILL_MAX {
            assert_eq!(look(&mut watched), None);
        }
        assert_eq!(look(&mut watched).as_deref(), Some("w"));
    }
}
