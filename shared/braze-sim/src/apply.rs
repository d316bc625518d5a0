//! Applying accepted calls: later than their answer, and not always in their order (reference §3.8).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::settings::Settings;
use crate::track::Accepted;

/// An accepted call that is still to be applied.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) arrival: u64,
    pub(crate) workspace: String,
    pub(crate) objects: Vec<Accepted>,
}

/// When a call is applied that is accepted now: after the usual delay, or after one of its own if calls may overtake
/// each other. `after` is the wish of a fault and wins.
pub(crate) fn due(settings: &Settings, after: Option<Duration>, random: &mut impl Rng, now: Instant) -> Instant {
    now + match after {
        Some(after) => after,
        None if settings.reorder => settings.apply_delay.mul_f64(random.random()),
        None => settings.apply_delay,
    }
}

/// The calls to be applied, soonest first; of two that are due together, the one accepted first.
#[derive(Debug)]
pub(crate) struct Queue {
    heap: Mutex<Heap>,
    changed: Notify,
    /// How many calls are accepted and not applied.
    pending: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Heap {
    accepted: u64,
    calls: BinaryHeap<Reverse<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    turn: u64,
    call: Accept,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            heap: Mutex::default(),
            changed: Notify::new(),
            pending: watch::Sender::new(0),
        }
    }

    pub(crate) fn push(&self, call: Accept, due: Instant) {
        self.pending.send_modify(|pending| *pending += 1);
        {
            let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
            heap.accepted += 1;
            let turn = heap.accepted;
            heap.calls.push(Reverse(Waiting { due, turn, call }));
        }
        self.changed.notify_one();
    }

    pub(crate) fn pending(&self) -> u64 {
        *self.pending.borrow()
    }

    /// Waits until nothing is pending.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`, so the wait cannot fail.
        drop(self.pending.subscribe().wait_for(|pending| *pending == 0).await);
    }

    /// Hands every call to `apply` when it is due. Never ends by itself.
    pub(crate) async fn run(&self, mut apply: impl FnMut(Accept)) {
        loop {
            match self.next_due() {
                None => self.changed.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = self.changed.notified() => continue,
                    }
                }
            }
            while let Some(call) = self.pop(Instant::now()) {
                apply(call);
                self.pending.send_modify(|pending| *pending -= 1);
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        heap.calls.peek().map(|Reverse(waiting)| waiting.due)
    }

    fn pop(&self, now: Instant) -> Option<Accept> {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        if heap.calls.peek().is_none_or(|Reverse(waiting)| waiting.due > now) {
            return None;
        }
        heap.calls.pop().map(|Reverse(waiting)| waiting.call)
    }
}

impl Waiting {
    fn place(&self) -> (Instant, u64) {
        (self.due, self.turn)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}
