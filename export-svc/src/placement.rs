//! Which Braze workspaces this process serves: every one that has a job, each on a thread of its own.
//!
//! A workspace that fails or is fenced is served anew after a while; meanwhile its jobs are in fault and say why. One that has
//! lost its last job is drained, so that what it wrote down is cleared away.

mod plan;
mod stop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kafka::{Publisher, PublisherOptions};
use model::AccountNumber;
use proto::export::v1::{ExportCounters, ExportJobState};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::plan::{Plan, Planner};
pub(crate) use self::stop::Stop;
use crate::engine::{EngineConfig, EngineParts, Error, JobStatus, Statuses};
use crate::feed::JobSet;
use crate::{measure, pipeline};

/// How often it is looked at who is to be served again, and, if the control table was too old for a plan, whether it still is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longest wait before a failed workspace is served again.
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);
/// A workspace served this long without failing has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

pub(crate) struct Placement {
    config: EngineConfig,
    kafka: kafka::Config,
    directory: control::Directory,
    planner: Planner,
    client: braze::Client,
    publisher: Publisher,
    statuses: Statuses,
    abandoned: CancellationToken,
    tasks: TaskTracker,
    served: BTreeMap<String, Served>,
    threads: JoinSet<(String, Option<Result<(), Error>>)>,
}

/// A workspace that is served, or will be.
struct Served {
    account: AccountNumber,
    wanted: watch::Sender<Arc<JobSet>>,
    state: State,
    failures: u32,
}

enum State {
    Running { since: Instant, stop: Stop },
    Waiting { until: Instant },
}

impl Placement {
    pub(crate) fn new(parts: EngineParts, statuses: Statuses, abandoned: CancellationToken) -> Result<Self, Error> {
        let EngineParts {
            config,
            kafka,
            directory,
            sealer,
            braze,
        } = parts;
        Ok(Self {
            publisher: Publisher::new(&kafka, PublisherOptions::default())?,
            planner: Planner::new(directory.clone(), sealer),
            client: braze,
            config,
            kafka,
            directory,
            statuses,
            abandoned,
            tasks: TaskTracker::new(),
            served: BTreeMap::new(),
            threads: JoinSet::new(),
        })
    }

    pub(crate) async fn run(mut self, drain: CancellationToken) {
        let mut changed = self.directory.changed();
        let (mut plan, mut current) = (Plan::default(), false);
        loop {
            if !current {
                match self.planner.plan() {
                    Ok(made) => (plan, current) = (made, true),
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the plan stays as it is"),
                }
            }
            self.follow(&plan);
            tokio::select! {
                () = drain.cancelled() => break,
                () = self.abandoned.cancelled() => break,
                result = changed.changed() => {
                    if result.is_err() {
                        break;
                    }
                    current = false;
                }
                Some(ended) = self.threads.join_next() => self.ended(ended),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        for served in self.served.values() {
            if let State::Running { stop, .. } = &served.state {
                stop.drain(self.config.drain);
            }
        }
        while let Some(ended) = self.threads.join_next().await {
            self.ended(ended);
        }
    }

    /// Serves what is planned, and only that.
    fn follow(&mut self, plan: &Plan) {
        for (workspace, wanted) in &plan.workspaces {
            let account = wanted.account;
            let served = self.served.entry(workspace.clone()).or_insert_with(|| Served {
                account,
                wanted: watch::Sender::new(Arc::default()),
                state: State::Waiting { until: Instant::now() },
                failures: 0,
            });
            served.wanted.send_if_modified(|known| {
                let differs = !Arc::ptr_eq(known, &wanted.jobs) && !known.same_as(&wanted.jobs);
                *known = Arc::clone(&wanted.jobs);
                differs
            });
        }
        let now = Instant::now();
        let mut starting = Vec::new();
        self.served.retain(|workspace, served| {
            let planned = plan.workspaces.contains_key(workspace);
            match &served.state {
                State::Running { stop, .. } if !planned => {
                    served.wanted.send_replace(Arc::default());
                    stop.drain(self.config.drain);
                    true
                }
                State::Running { .. } => true,
                State::Waiting { .. } if !planned => {
                    for job in &served.wanted.borrow().jobs {
                        self.statuses.remove(&job.name());
                    }
                    false
                }
                State::Waiting { until } => {
                    if *until <= now {
                        starting.push(workspace.clone());
                    }
                    true
                }
            }
        });
        for workspace in starting {
            self.start(workspace);
        }
    }

    fn start(&mut self, workspace: String) {
        let Some(served) = self.served.get_mut(&workspace) else {
            return;
        };
        let stop = Stop::child_of(&self.abandoned);
        let parts = pipeline::Parts {
            config: self.config.clone(),
            kafka: self.kafka.clone(),
            workspace: workspace.clone(),
            account: served.account,
            wanted: served.wanted.subscribe(),
            statuses: self.statuses.clone(),
            client: self.client.clone(),
            publisher: self.publisher.clone(),
            runtime: tokio::runtime::Handle::current(),
            tasks: self.tasks.clone(),
        };
        let (sender, receiver) = oneshot::channel();
        let stopped = stop.clone();
        let serve = move || {
            let result = pipeline::open(parts, &stopped).and_then(|pipeline| pipeline.run(&stopped));
            // The placement waits for every thread; only a second signal ends it sooner.
            drop(sender.send(result));
        };
        let thread = thread::Builder::new().name(format!("export-{workspace}")).spawn(serve);
        served.state = State::Running {
            since: Instant::now(),
            stop,
        };
        self.threads.spawn(async move {
            let result = match thread {
                Ok(_) => receiver.await.ok(),
                Err(error) => Some(Err(error.into())),
            };
            (workspace, result)
        });
    }

    fn ended(&mut self, ended: Result<(String, Option<Result<(), Error>>), tokio::task::JoinError>) {
        let Ok((workspace, result)) = ended else { return };
        let Some(served) = self.served.get_mut(&workspace) else {
            return;
        };
        let State::Running { since, .. } = &served.state else {
            return;
        };
        if since.elapsed() >= RECOVERED_AFTER {
            served.failures = 0;
        }
        let (wait, why) = match &result {
            Some(Ok(())) => {
                served.failures = 0;
                (Duration::ZERO, None)
            }
            Some(Err(error @ Error::Kafka(kafka::Error::Fenced { .. }))) => {
                metrics::counter!(measure::RESTARTS_TOTAL, "reason" => "fenced").increment(1);
                (self.config.lease, Some(chain(error)))
            }
            Some(Err(error)) => {
                metrics::counter!(measure::RESTARTS_TOTAL, "reason" => "failed").increment(1);
                let doubled = self.config.restart_after.saturating_mul(1 << served.failures.min(16));
                served.failures += 1;
                (doubled.min(RESTART_AFTER_MAX), Some(chain(error)))
            }
            None => {
                metrics::counter!(measure::RESTARTS_TOTAL, "reason" => "failed").increment(1);
                served.failures += 1;
                (RESTART_AFTER_MAX, Some("the workspace's thread panicked".to_owned()))
            }
        };
        let wait = wait.mul_f64(1.0 + rand::random::<f64>() / 2.0);
        served.state = State::Waiting {
            until: Instant::now() + wait,
        };
        if let Some(why) = why {
            tracing::error!(
                workspace,
                "Braze workspace {workspace} is served again in {wait:?}: {why}"
            );
            for job in &served.wanted.borrow().jobs {
                self.statuses.fault(&job.name(), &why);
            }
        }
    }
}

impl Statuses {
    /// The job waits for its workspace to be served again; what it has counted stays.
    fn fault(&self, job: &str, reason: &str) {
        let known = self.get(job);
        let known = known.unwrap_or(JobStatus {
            state: ExportJobState::Fault,
            reason: String::new(),
            counters: ExportCounters::default(),
            pending: 0,
            lag: None,
        });
        self.set(
            job,
            JobStatus {
                state: ExportJobState::Fault,
                reason: reason.to_owned(),
                ..known
            },
        );
    }
}

/// An error with its sources, once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
