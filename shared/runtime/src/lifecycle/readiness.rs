use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Whether this process wants traffic, and if not, why. Cheap to clone.
///
/// Not ready: until [`Readiness::started`]; while a part says so, by [`Readiness::not_ready`] or by its
/// [`Readiness::check`]; and from the beginning of the drain on.
#[derive(Clone)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
}

type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

struct State {
    started: bool,
    draining: Option<String>,
    reasons: BTreeMap<&'static str, String>,
    checks: Vec<(&'static str, Check)>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("reasons", &self.reasons()).finish()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Not ready yet: starting.
    pub fn new() -> Self {
        let state = State {
            started: false,
            draining: None,
            reasons: BTreeMap::new(),
            checks: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changes: watch::Sender::new(0),
        }
    }

    /// Start-up is over.
    pub fn started(&self) {
        self.change(|state| state.started = true);
    }

    /// The drain has begun, for good.
    pub fn draining(&self, reason: &str) {
        self.change(|state| {
            state.draining.get_or_insert_with(|| reason.to_owned());
        });
    }

    /// `part` takes no traffic for the moment.
    pub fn not_ready(&self, part: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.change(|state| drop(state.reasons.insert(part, reason)));
    }

    /// `part` takes traffic again.
    pub fn ready(&self, part: &'static str) {
        self.change(|state| drop(state.reasons.remove(part)));
    }

    /// Asks `check` whenever somebody asks for readiness; it gives a reason while `part` takes no traffic.
    /// It must return at once.
    pub fn check(&self, part: &'static str, check: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.change(|state| state.checks.push((part, Arc::new(check))));
    }

    /// Why not ready, one reason a line; empty when ready.
    pub fn reasons(&self) -> Vec<String> {
        let (mut reasons, checks) = self.with(|state| {
            let mut reasons = Vec::new();
            if let Some(reason) = &state.draining {
                reasons.push(format!("draining: {reason}"));
            } else if !state.started {
                reasons.push("starting".to_owned());
            }
            reasons.extend(state.reasons.iter().map(|(part, reason)| format!("{part}: {reason}")));
            (reasons, state.checks.clone())
        });
        reasons.extend(
            checks
                .iter()
                .filter_map(|(part, check)| check().map(|reason| format!("{part}: {reason}"))),
        );
        reasons
    }

    /// Whether traffic is wanted.
    pub fn is_ready(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Wakes after every change but those that only a [`Readiness::check`] knows of.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        self.with(act);
        self.changes.send_modify(|count| *count += 1);
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn not_ready_while_starting_while_a_part_says_so_and_from_the_drain_on() {
        let readiness = Readiness::new();
        assert_eq!(readiness.reasons(), ["starting"]);
        readiness.started();
        assert!(readiness.is_ready());

        readiness.not_ready("kafka", "no broker answers");
        assert_eq!(readiness.reasons(), ["kafka: no broker answers"]);
        readiness.ready("kafka");
        assert!(readiness.is_ready());

        let stale = Arc::new(AtomicBool::new(true));
        let asked = stale.clone();
        readiness.check("control", move || {
            asked.load(Ordering::Relaxed).then(|| "stale".to_owned())
        });
        assert_eq!(readiness.reasons(), ["control: stale"]);
        stale.store(false, Ordering::Relaxed);
        assert!(readiness.is_ready());

        readiness.draining("SIGTERM");
        readiness.draining("too late to matter");
        readiness.started();
        assert_eq!(readiness.reasons(), ["draining: SIGTERM"]);
    }
}
