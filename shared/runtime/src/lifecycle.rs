//! The life of a process: named tasks, readiness, signals, drain.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use readiness::Readiness;

use crate::error::chain;
use crate::telemetry::TASK_TARGET;

mod readiness;
mod signals;

/// How long the admin port may take to stop after the components have ended.
const LAST_BUDGET: Duration = Duration::from_secs(2);

/// Why [`Lifecycle::run`] did not end well. The process exits with code 70.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task returned an error.
    #[error("task {task} failed")]
    Failed {
        /// The task's name.
        task: &'static str,
        /// What it returned.
        source: anyhow::Error,
    },
    /// A task panicked.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// The task's name.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
    /// A task ended without an error although nobody had asked it to.
    #[error("task {task} ended before the drain began")]
    EndedEarly {
        /// The task's name.
        task: &'static str,
    },
    /// Some tasks did not finish within the drain budget and were aborted.
    #[error("not drained within {budget:?}: {}", tasks.join(", "))]
    NotDrained {
        /// The budget that was given to [`Lifecycle::run`].
        budget: Duration,
        /// The names of the tasks that were still running.
        tasks: Vec<&'static str>,
    },
}

/// The life of one service in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    readiness: Readiness,
    /// Cancelled when the drain begins.
    drain: CancellationToken,
    /// Cancelled when the components have ended.
    drained: CancellationToken,
    components: TaskTracker,
    last: TaskTracker,
    /// The watcher of signals: nobody waits for it.
    unwatched: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, Running>,
    first_failure: Option<Error>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    /// Else one of those that stop last.
    component: bool,
    abort: AbortHandle,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A life that has begun: not ready, not draining, no tasks.
    pub fn new() -> Self {
        let inner = Inner {
            readiness: Readiness::new(),
            drain: CancellationToken::new(),
            drained: CancellationToken::new(),
            components: TaskTracker::new(),
            last: TaskTracker::new(),
            unwatched: TaskTracker::new(),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Cancelled when the drain begins. Cancelling this token itself drains nothing: call [`Lifecycle::drain`].
    pub fn token(&self) -> CancellationToken {
        self.inner.drain.child_token()
    }

    /// Cancelled when every task of [`Lifecycle::spawn`] has ended: for the admin port, which answers until then.
    pub fn drained(&self) -> CancellationToken {
        self.inner.drained.child_token()
    }

    /// What `/readyz` and the gRPC health service answer.
    pub fn readiness(&self) -> Readiness {
        self.inner.readiness.clone()
    }

    /// Begins the drain: readiness turns first, then the token is cancelled. Later calls change nothing.
    pub fn drain(&self, reason: &str) {
        self.inner.drain(reason);
    }

    /// Runs a component until the drain. It watches [`Lifecycle::token`], finishes what it has begun, and returns `Ok`.
    /// A task that fails, panics, or returns before the drain began drains the process and makes
    /// [`Lifecycle::run`] return an error.
    pub fn spawn<E>(&self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error> + 'static,
    {
        self.watch(name, true, task);
    }

    /// Like [`Lifecycle::spawn`] for what must answer during the drain as well (the admin port): it watches
    /// [`Lifecycle::drained`].
    pub fn spawn_last<E>(&self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error> + 'static,
    {
        self.watch(name, false, task);
    }

    /// Makes SIGTERM and SIGINT begin the drain; a second one ends the process at once, with code 128 + its number.
    /// For `main` only: tests and several services in one process call [`Lifecycle::drain`].
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen_for_signals(&self) -> io::Result<()> {
        let watcher = signals::watch(self.clone())?;
        self.inner.unwatched.spawn(watcher);
        Ok(())
    }

    /// Waits for the drain to begin, then at most `budget` for the components to end, all at the same time; what is left
    /// is aborted.
    ///
    /// # Errors
    /// The first failure of a task, else the tasks that did not drain in time.
    pub async fn run(self, budget: Duration) -> Result<(), Error> {
        let inner = self.inner;
        inner.drain.cancelled().await;
        inner.components.close();
        if tokio::time::timeout(budget, inner.components.wait()).await.is_err() {
            let tasks = inner.running(true);
            tracing::error!(?tasks, ?budget, "aborting what did not drain");
            inner.fail(Error::NotDrained { budget, tasks });
        }
        inner.drained.cancel();
        inner.last.close();
        if tokio::time::timeout(LAST_BUDGET, inner.last.wait()).await.is_err() {
            tracing::warn!(tasks = ?inner.running(false), "aborting what did not stop");
        }
        let mut state = inner.state();
        state.running.values().for_each(|task| task.abort.abort());
        state.first_failure.take().map_or(Ok(()), Err)
    }

    fn watch<E>(&self, name: &'static str, component: bool, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error> + 'static,
    {
        let inner = self.inner.clone();
        let (tracker, may_end) = match component {
            true => (&self.inner.components, self.inner.drain.clone()),
            false => (&self.inner.last, self.inner.drained.clone()),
        };
        // Held while spawning: a task that ends at once must find its entry.
        let mut state = self.inner.state();
        let id = state.next_id;
        state.next_id += 1;
        let span = tracing::error_span!(target: TASK_TARGET, "task", task = name);
        let watched = async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            inner.state().running.remove(&id);
            let failure = match outcome {
                Ok(Ok(())) if may_end.is_cancelled() => return,
                Ok(Ok(())) => Error::EndedEarly { task: name },
                Ok(Err(error)) => Error::Failed {
                    task: name,
                    source: error.into(),
                },
                Err(panic) => Error::Panicked {
                    task: name,
                    message: panic_message(panic.as_ref()),
                },
            };
            let reason = chain(&failure);
            tracing::error!(error = reason, "draining because a task failed");
            inner.fail(failure);
            inner.drain(&reason);
        };
        let abort = tracker.spawn(watched.instrument(span)).abort_handle();
        state.running.insert(id, Running { name, component, abort });
    }
}

impl Inner {
    fn drain(&self, reason: &str) {
        self.readiness.draining(reason);
        if !self.drain.is_cancelled() {
            tracing::info!(reason, "the drain begins");
        }
        self.drain.cancel();
    }

    fn fail(&self, failure: Error) {
        self.state().first_failure.get_or_insert(failure);
    }

    /// The names of the components (or of the tasks that stop last) that have not ended yet.
    fn running(&self, component: bool) -> Vec<&'static str> {
        self.state()
            .running
            .values()
            .filter(|task| task.component == component)
            .map(|task| task.name)
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
