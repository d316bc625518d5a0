//! The life of a process: named tasks, readiness, signals, drain.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use readiness::Readiness;

mod readiness;

/// Why [`Lifecycle::run`] did not end well. The process exits with code 70.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task returned an error.
    #[error("task {task} failed: {source:#}")]
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
#[derive(Clone)]
pub struct Lifecycle {
    drain: CancellationToken,
    readiness: Readiness,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").finish_non_exhaustive()
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A life that has begun: not ready, not draining, no tasks.
    pub fn new() -> Self {
        Self {
            drain: CancellationToken::new(),
            readiness: Readiness::new(),
        }
    }

    /// Cancelled when the drain begins. Cancelling this token itself drains nothing: call [`Lifecycle::drain`].
    pub fn token(&self) -> CancellationToken {
        self.drain.child_token()
    }

    /// Cancelled when every task of [`Lifecycle::spawn`] has ended: for the admin port, which answers until then.
    pub fn drained(&self) -> CancellationToken {
        self.drain.child_token()
    }

    /// What `/readyz` and the gRPC health service answer.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Begins the drain: readiness turns first, then the token is cancelled. Later calls change nothing.
    pub fn drain(&self, reason: &str) {
        self.readiness.draining(reason);
        self.drain.cancel();
    }

    /// Runs a component until the drain. It watches [`Lifecycle::token`], finishes what it has begun, and returns `Ok`.
    /// A task that fails, panics, or returns before the drain began drains the process and makes
    /// [`Lifecycle::run`] return an error.
    pub fn spawn<E>(&self, _name: &'static str, _task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error>,
    {
        unimplemented!()
    }

    /// Like [`Lifecycle::spawn`] for what must answer during the drain as well (the admin port): it watches
    /// [`Lifecycle::drained`].
    pub fn spawn_last<E>(&self, _name: &'static str, _task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error>,
    {
        unimplemented!()
    }

    /// Makes SIGTERM and SIGINT begin the drain; a second one ends the process at once.
    /// For `main` only: tests and several services in one process call [`Lifecycle::drain`].
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        unimplemented!()
    }

    /// Waits for the drain to begin, then at most `budget` for the tasks to end; what is left is aborted.
    ///
    /// # Errors
    /// The first failure of a task, else the tasks that did not drain in time.
    pub async fn run(self, _budget: Duration) -> Result<(), Error> {
        unimplemented!()
    }
}
