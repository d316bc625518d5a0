//! The engine as the rest of the service sees it: started with its parts, asked how jobs fare, drained by a token.

mod ask;
mod config;
mod elsewhere;
mod removals;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::Authorization;
use jiff::Timestamp;
use proto::authorization::v1::Health as AuthorizationHealth;
use proto::export::v1::{ExportCounters, ExportJobState, ExportLogEntry};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use self::ask::{About, GoneThrough, Question};
pub use self::config::EngineConfig;
use self::elsewhere::Elsewhere;
pub use self::removals::RemovalStatus;
pub(crate) use self::removals::unread;
use crate::budget::RATE_UNTIL_LEARNT;
use crate::catalog::Catalog;
use crate::clock::Time;
use crate::health::Health;
use crate::job_log::JobLog;
use crate::pipeline::Event;
use crate::placement::Placement;

/// What the last entries of the job log may take on their way out.
const LAST_ENTRIES: Duration = Duration::from_secs(1);

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
    /// Positions belong to another topic, another cluster, or another number of partitions: they would lead astray.
    #[error(
        "topic {topic}: {changed}, so positions in it mean nothing any more and keys may have moved between partitions; resync \
         needed: delete the jobs of this Braze workspace and create them anew with existing users"
    )]
    Moved {
        /// The membership topic.
        topic: String,
        /// What is not as it was.
        changed: String,
    },
    /// The time of a drain was over before the last progress was written.
    #[error("the last progress was not written in time")]
    Undrained,
    /// The system gives no thread.
    #[error("no thread")]
    Thread(#[from] std::io::Error),
}

/// How an export job fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobStatus {
    /// Lytics' word for it.
    pub state: ExportJobState,
    /// Why the job sleeps, is in fault, is completed, or has failed; empty otherwise.
    pub reason: String,
    /// What became of its changes since it was created.
    pub counters: ExportCounters,
    /// Changes read and not settled yet, and those that wait to be sent again.
    pub pending: u64,
    /// Records that the job has not read yet: an upper bound, since compaction leaves holes. `None` before it is known.
    pub lag: Option<u64>,
    /// Since it was started, resumed, or reset it has been shown everything there was, and what was open by then is settled. `None`
    /// if it has no audience any more.
    pub synced: Option<bool>,
    /// When the oldest record was written that the job has not settled, or not read yet: the latter is no older than that. `None`
    /// if there is none, or before it is known.
    pub oldest: Option<Time>,
    /// Of those the ones that were there before the job, and how long they take at the present pace, if that is known.
    pub unread_before_start: u64,
    /// See [`JobStatus::unread_before_start`].
    pub estimate: Option<Duration>,
    /// Number of the newest reset that all of its audiences have gone through.
    pub reset: u64,
    /// Number of the newest redrive that all of its audiences have gone through.
    pub redrive: u64,
    /// How often the job had been bounced when its audiences last began anew because of that.
    pub bounces: u64,
    /// Its guard has paused it.
    pub guarded: bool,
    /// How often somebody had confirmed that it goes on when its audiences last began anew because of that.
    pub confirms: u64,
    /// Requests per second that its Braze workspace may start; 0 if nobody knows.
    pub requests_per_second: f64,
    /// When its quiet window or its user cap lets it go on.
    pub resumes: Option<Timestamp>,
    /// Of the audiences that have left it, those whose slugs are removed, or have been. Counters, and what is pending or not confirmed, are
    /// not theirs.
    pub removals: Vec<RemovalStatus>,
}

/// What became of the changes of two audiences of a job.
pub(crate) fn sum(one: ExportCounters, other: ExportCounters) -> ExportCounters {
    ExportCounters {
        added: one.added + other.added,
        removed: one.removed + other.removed,
        omitted: one.omitted + other.omitted,
        rejected: one.rejected + other.rejected,
        identity_conflicts: one.identity_conflicts + other.identity_conflicts,
    }
}

/// Of two audiences of a job the worse one's state is the job's.
pub(crate) fn severity(state: ExportJobState) -> u8 {
    match state {
        ExportJobState::Fault => 4,
        ExportJobState::Failed => 3,
        ExportJobState::Sleeping => 2,
        ExportJobState::Paused => 1,
        _ => 0,
    }
}

/// Everything the engine is built from.
pub struct EngineParts {
    /// Section `engine` of the configuration.
    pub config: EngineConfig,
    /// How to reach Kafka.
    pub kafka: kafka::Config,
    /// Partitions of `export-placement`.
    pub slots: i32,
    /// Accounts, authorizations and jobs.
    pub directory: control::Directory,
    /// Opens the sealed Braze keys.
    pub sealer: Arc<control::sealing::Sealer>,
    /// Makes the calls.
    pub braze: braze::Client,
    /// Keeps the changes that are not sent. Who made it must see to it that the process ends when it has failed for good.
    pub publisher: kafka::Publisher,
    /// Spans go somewhere: only then records are asked for theirs.
    pub traced: bool,
}

/// Serves the Braze workspaces that have a job and whose slots this replica gets.
pub struct Engine {
    parts: EngineParts,
    statuses: Statuses,
    elsewhere: Elsewhere,
    health: Health,
    catalog: Catalog,
    abandoned: CancellationToken,
}

/// Asks the engine; cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    statuses: Statuses,
    elsewhere: Elsewhere,
    health: Health,
    catalog: Catalog,
    /// Requests per second, if the configuration says so.
    configured_rate: Option<f64>,
    abandoned: CancellationToken,
}

impl Engine {
    /// Starts nothing yet: see [`Engine::run`].
    pub fn new(parts: EngineParts) -> (Self, EngineHandle) {
        let (statuses, elsewhere) = (Statuses::default(), Elsewhere::default());
        let health = Health::new(parts.braze.clone(), Arc::clone(&parts.sealer));
        let (catalog, abandoned) = (Catalog::new(parts.kafka.clone()), CancellationToken::new());
        let handle = EngineHandle {
            statuses: statuses.clone(),
            elsewhere: elsewhere.clone(),
            health: health.clone(),
            catalog: catalog.clone(),
            configured_rate: parts.config.requests_per_second,
            abandoned: abandoned.clone(),
        };
        (
            Self {
                parts,
                statuses,
                elsewhere,
                health,
                catalog,
                abandoned,
            },
            handle,
        )
    }

    /// Shares the Braze workspaces that have a job with the other replicas, and serves its own, until `drain` is cancelled;
    /// then finishes what is in flight, within the configured time, and releases the workspaces.
    ///
    /// # Errors
    /// When no client of Kafka can be made. What goes wrong with one workspace is not the engine's end: it is served anew
    /// after a while, and its jobs say why they wait.
    pub async fn run(self, drain: CancellationToken) -> Result<(), Error> {
        let _following = self.elsewhere.follow(&self.parts.kafka, self.health.clone())?;
        let (log, topics) = (self.statuses.log.clone(), kafka::Topics::new(&self.parts.kafka));
        let publisher = self.parts.publisher.clone();
        let placement = Placement::new(self.parts, self.statuses, self.health, self.catalog, self.abandoned)?;
        let rounds = Box::pin(placement.rounds().run());
        tokio::select! {
            () = placement.run(drain) => {}
            () = log.publish(&publisher, &topics) => {}
            never = rounds => match never {},
        }
        // What is lost then is lost.
        drop(tokio::time::timeout(LAST_ENTRIES, log.publish_waiting(&publisher, &topics)).await);
        Ok(())
    }
}

impl EngineHandle {
    /// How the job of this resource name fares: as it is, if this replica serves it, else as whoever does wrote it down last,
    /// about a second ago while something changes. `None` if nobody has served it yet.
    pub fn job_status(&self, job: &str) -> Option<JobStatus> {
        self.statuses.get(job).or_else(|| self.elsewhere.get(job))
    }

    /// Number of the newest reset that all audiences of a job have gone through and that is written down: no crash undoes it.
    pub fn reset_done(&self, job: &control::ExportJob) -> u64 {
        self.elsewhere
            .done(&job.name(), job.audiences.len(), |status| status.reset)
    }

    /// The same of redrives.
    pub fn redrive_done(&self, job: &control::ExportJob) -> u64 {
        self.elsewhere
            .done(&job.name(), job.audiences.len(), |status| status.redrive)
    }

    /// Writes to the job log what somebody has done with a job, or asked for.
    pub(crate) fn log(&self, entry: ExportLogEntry) {
        self.statuses.log.write(entry);
    }

    /// Whether Braze takes the key of an authorization, as anybody has seen last.
    pub fn health(&self, authorization: &Authorization) -> AuthorizationHealth {
        self.health.of(authorization)
    }

    /// Asks Braze, for a few seconds at most, whether it takes the key of an authorization.
    pub async fn check(&self, authorization: &Authorization) -> AuthorizationHealth {
        self.health.check(authorization).await
    }

    /// The same, as Braze says it now, but not more than once in a while: nobody can spend a workspace's requests by asking.
    pub async fn check_now(&self, authorization: &Authorization) -> AuthorizationHealth {
        self.health.check_now(authorization).await
    }

    /// Requests per second that a Braze workspace of which Braze has told nothing yet may start.
    pub(crate) fn requests_per_second(&self, said: control::Budget) -> f64 {
        let rate = said.requests_per_second.or(self.configured_rate);
        rate.unwrap_or(RATE_UNTIL_LEARNT)
    }

    /// What is in the membership topics.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The Braze workspaces that this replica serves, is taking over, or is giving away.
    pub fn served(&self) -> BTreeSet<String> {
        self.statuses.known().workspaces.clone()
    }

    /// Ends everything as a crash would: nothing is finished and nothing is written. For tests of what a crash leaves behind.
    pub fn abandon(&self) {
        self.abandoned.cancel();
    }
}

/// What is served here, and how its jobs fare; written by the placement and the workspaces' threads.
#[derive(Clone, Default)]
pub(crate) struct Statuses {
    known: Arc<Mutex<Known>>,
    /// Is told how jobs fare, too.
    pub(crate) log: JobLog,
}

#[derive(Default)]
struct Known {
    jobs: HashMap<String, JobStatus>,
    workspaces: BTreeSet<String>,
    /// Where the threads of workspaces listen.
    threads: HashMap<String, mpsc::Sender<Event>>,
}

impl Statuses {
    pub(crate) fn get(&self, job: &str) -> Option<JobStatus> {
        self.known().jobs.get(job).cloned()
    }

    pub(crate) fn set(&self, job: &str, status: JobStatus, now: Time) {
        self.log.observe(job, &status, now);
        self.known().jobs.insert(job.to_owned(), status);
    }

    pub(crate) fn remove(&self, job: &str) {
        self.log.forget(job);
        self.known().jobs.remove(job);
    }

    /// The workspace has a thread.
    pub(crate) fn serving(&self, workspace: &str) {
        self.known().workspaces.insert(workspace.to_owned());
    }

    /// The workspace has no thread any more.
    pub(crate) fn ended(&self, workspace: &str) {
        let mut known = self.known();
        known.workspaces.remove(workspace);
        known.threads.remove(workspace);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is locked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
