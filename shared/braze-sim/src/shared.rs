//! What all parts of a running simulator share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use object_store::ObjectStore;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::{Accept, Queue};
use crate::exports::Exports;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::limits::Limiter;
use crate::options::Options;
use crate::segments::Segments;
use crate::settings::Settings;
use crate::users::{Applied, Users};

/// The one lock, the queue of accepted calls, and the conditions that can be waited for.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) address: SocketAddr,
    pub(crate) queue: Queue,
    /// How many calls have arrived.
    pub(crate) arrivals: watch::Sender<u64>,
    /// How many calls are held.
    pub(crate) held: watch::Sender<usize>,
    /// How many times held calls were released.
    pub(crate) releases: watch::Sender<u64>,
    /// How often a user or an export has changed.
    pub(crate) changes: watch::Sender<u64>,
    /// The customer's object storage, if there is one.
    pub(crate) store: Option<Arc<dyn ObjectStore>>,
    pub(crate) scheme: &'static str,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) random: StdRng,
    pub(crate) workspaces: BTreeMap<String, Workspace>,
    pub(crate) segments: Segments,
    pub(crate) exports: Exports,
}

/// One set of users and one set of rate limits.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) users: Users,
    pub(crate) track: Limiter,
    pub(crate) export_ids: Limiter,
    /// What most other endpoints share.
    pub(crate) pool: Limiter,
}

impl Shared {
    pub(crate) fn new(options: Options, address: SocketAddr, store: Option<Arc<dyn ObjectStore>>) -> Self {
        let state = State {
            settings: Arc::new(options.settings),
            keys: Keys::new(options.keys),
            faults: Faults::default(),
            journal: Journal::default(),
            random: StdRng::seed_from_u64(options.seed),
            workspaces: BTreeMap::new(),
            segments: Segments::default(),
            exports: Exports::default(),
        };
        Self {
            state: Mutex::new(state),
            address,
            queue: Queue::new(),
            arrivals: watch::Sender::new(0),
            held: watch::Sender::new(0),
            releases: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            store,
            scheme: if options.tls.is_some() { "https" } else { "http" },
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The state; never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Applies an accepted call now.
    pub(crate) fn apply(&self, call: &Accept) {
        let now = Timestamp::now();
        {
            let state = &mut *self.state();
            let users = &mut state.workspaces.entry(call.workspace.clone()).or_default().users;
            let applied = Applied {
                arrival: call.arrival,
                now,
            };
            let mut overtaken_by: Vec<u64> = call
                .objects
                .iter()
                .filter_map(|object| users.apply(object, &state.settings, applied))
                .collect();
            overtaken_by.sort_unstable();
            overtaken_by.dedup();
            state.journal.applied(call.arrival, overtaken_by, now);
        }
        self.changed();
    }
}
