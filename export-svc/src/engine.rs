//! The engine as the rest of the service sees it: started with its parts, asked how jobs fare, drained by a token.

mod config;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use proto::export::v1::{ExportCounters, ExportJobState};

pub use self::config::EngineConfig;

/// How an export job fares on this replica.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Lytics' word for it.
    pub state: ExportJobState,
    /// Why the job sleeps or is in fault; empty otherwise.
    pub reason: String,
    /// What became of its changes since it was created.
    pub counters: ExportCounters,
    /// Changes read and not settled yet.
    pub pending: u64,
    /// Records that the job has not read yet: an upper bound, since compaction leaves holes. `None` before it is known.
    pub lag: Option<u64>,
}

/// Everything the engine is built from.
pub struct EngineParts {
    /// Section `engine` of the configuration.
    pub config: EngineConfig,
    /// How to reach Kafka.
    pub kafka: kafka::Config,
    /// Accounts, authorizations and jobs.
    pub directory: control::Directory,
    /// Opens the sealed Braze keys.
    pub sealer: Arc<control::sealing::Sealer>,
    /// Makes the calls.
    pub braze: braze::Client,
}

/// Serves every Braze workspace that has a job.
pub struct Engine {
    parts: EngineParts,
    statuses: Statuses,
}

/// Asks the engine; cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    statuses: Statuses,
}

impl Engine {
    /// Starts nothing yet: see [`Engine::run`].
    pub fn new(parts: EngineParts) -> (Self, EngineHandle) {
        let statuses = Statuses::default();
        let handle = EngineHandle { statuses: statuses.clone() };
        (Self { parts, statuses }, handle)
    }
}

impl EngineHandle {
    /// How the job of this resource name fares, or `None` if it is not served (yet).
    pub fn job_status(&self, job: &str) -> Option<JobStatus> {
        self.statuses.get(job)
    }
}

/// The statuses of all jobs, written by the workspaces' threads.
#[derive(Clone, Default)]
pub(crate) struct Statuses(Arc<Mutex<HashMap<String, JobStatus>>>);

impl Statuses {
    pub(crate) fn get(&self, job: &str) -> Option<JobStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned()
    }

    pub(crate) fn set(&self, job: &str, status: JobStatus) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), status);
    }

    pub(crate) fn remove(&self, job: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }
}
