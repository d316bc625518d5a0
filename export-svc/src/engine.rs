//! The engine as the rest of the service sees it: started with its parts, asked how jobs fare, drained by a token.

mod config;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::export::v1::{ExportCounters, ExportJobState};
use tokio_util::sync::CancellationToken;

pub use self::config::EngineConfig;
use crate::placement::Placement;

/// Why the engine, or the service of one Braze workspace, ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka failed in a way that does not mend itself, or the workspace belongs to somebody else now.
    #[error("kafka")]
    Kafka(#[from] kafka::Error),
    /// What stands in `export-progress` is not progress.
    #[error("progress cannot be decoded")]
    Progress(#[from] prost::DecodeError),
    /// Kafka did not give the whole progress in time.
    #[error("topic {topic}: progress was not read within {waited:?}")]
    ProgressTimeout {
        /// The topic.
        topic: String,
        /// How long it was tried.
        waited: Duration,
    },
    /// The time of a drain was over before the last progress was written.
    #[error("the last progress was not written in time")]
    Undrained,
    /// The system gives no thread.
    #[error("no thread")]
    Thread(#[from] std::io::Error),
    /// Braze would not take the name of the attribute.
    #[error("the attribute's name")]
    Attribute(#[from] braze::AttributeError),
}

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
    abandoned: CancellationToken,
}

/// Asks the engine; cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    statuses: Statuses,
    abandoned: CancellationToken,
}

impl Engine {
    /// Starts nothing yet: see [`Engine::run`].
    pub fn new(parts: EngineParts) -> (Self, EngineHandle) {
        let statuses = Statuses::default();
        let abandoned = CancellationToken::new();
        let handle = EngineHandle {
            statuses: statuses.clone(),
            abandoned: abandoned.clone(),
        };
        (
            Self {
                parts,
                statuses,
                abandoned,
            },
            handle,
        )
    }

    /// Serves every Braze workspace that has a job, until `drain` is cancelled; then finishes what is in flight, within the
    /// configured time, and releases the workspaces.
    ///
    /// # Errors
    /// When no client of Kafka can be made. What goes wrong with one workspace is not the engine's end: it is served anew
    /// after a while, and its jobs say why they wait.
    pub async fn run(self, drain: CancellationToken) -> Result<(), Error> {
        Placement::new(self.parts, self.statuses, self.abandoned)?
            .run(drain)
            .await;
        Ok(())
    }
}

impl EngineHandle {
    /// How the job of this resource name fares, or `None` if it is not served (yet).
    pub fn job_status(&self, job: &str) -> Option<JobStatus> {
        self.statuses.get(job)
    }

    /// Ends everything as a crash would: nothing is finished and nothing is written. For tests of what a crash leaves behind.
    pub fn abandon(&self) {
        self.abandoned.cancel();
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
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(job.to_owned(), status);
    }

    pub(crate) fn remove(&self, job: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }
}
