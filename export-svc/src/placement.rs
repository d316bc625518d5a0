//! Which Braze workspaces this process serves: every one that has a job and whose slot is ours, each on a thread of its own.
//!
//! The replicas share the slots through a consumer group. A slot that is to move is given back when its workspaces have been
//! drained and released; the slots that stay are not interrupted. A slot that was lost is somebody else's already: its
//! workspaces stop at once. A workspace that fails or is fenced while its slot is ours is served anew after a while; meanwhile
//! its jobs are in fault and say why. One that has lost its last job is drained, so that what it wrote down is cleared away.

mod plan;
mod stop;
mod watchdog;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use kafka::{Held, Member, Publisher, Topics};
use model::AccountNumber;
use proto::export::v1::ExportJobState;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::plan::{Plan, Planner};
pub(crate) use self::stop::Stop;
pub(crate) use self::watchdog::Pulse;
use self::watchdog::Watchdog;
use crate::catalog::Catalog;
use crate::clock::Time;
use crate::engine::{EngineConfig, EngineParts, Error, JobStatus, Statuses};
use crate::feed::JobSet;
use crate::health::{Health, Rounds};
use crate::{measure, pipeline};

/// The consumer group of `export-placement`, without the prefix.
const GROUP: &str = "export-placement";
/// How often it is looked at who is to be served again or is still to end, and, if the control table was too old for a plan,
/// whether it still is. Nobody looks if there is nobody to look at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longest wait before a failed workspace is served again.
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);
/// A workspace served this long without failing has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);
/// Leaving the group takes a few round trips, or for ever if Kafka is away; then the session runs out.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// A thread that is still there this long after its drain's deadline is not waited for: it hangs in a call to Kafka.
const OVERDUE_MAX: Duration = Duration::from_secs(3);

pub(crate) struct Placement {
    config: EngineConfig,
    kafka: kafka::Config,
    directory: control::Directory,
    planner: Planner,
    slots: i32,
    client: braze::Client,
    traced: bool,
    publisher: Publisher,
    statuses: Statuses,
    health: Health,
    catalog: Catalog,
    abandoned: CancellationToken,
    tasks: TaskTracker,
    member: Member,
    watchdog: Watchdog,
    served: BTreeMap<String, Served>,
    threads: JoinSet<(String, Option<Result<(), Error>>)>,
}

/// A workspace that is served, or will be.
struct Served {
    account: AccountNumber,
    slot: i32,
    wanted: watch::Sender<Arc<JobSet>>,
    state: State,
    failures: u32,
}

enum State {
    Running { since: Instant, stop: Stop },
    Waiting { until: Instant },
}

impl Placement {
    pub(crate) fn new(
        parts: EngineParts,
        statuses: Statuses,
        health: Health,
        catalog: Catalog,
        abandoned: CancellationToken,
    ) -> Result<Self, Error> {
        let EngineParts {
            config,
            kafka,
            slots,
            directory,
            sealer,
            braze,
            publisher,
            traced,
        } = parts;
        Ok(Self {
            publisher,
            planner: Planner::new(directory.clone(), sealer, slots),
            slots,
            member: Member::join(&kafka, GROUP, &Topics::new(&kafka).export_placement(), slots)?,
            watchdog: Watchdog::start()?,
            client: braze,
            traced,
            config,
            kafka,
            directory,
            statuses,
            health,
            catalog,
            abandoned,
            tasks: TaskTracker::new(),
            served: BTreeMap::new(),
            threads: JoinSet::new(),
        })
    }

    /// Who asks about the authorizations of the workspaces in our slots.
    pub(crate) fn rounds(&self) -> Rounds {
        Rounds {
            health: self.health.clone(),
            directory: self.directory.clone(),
            held: self.member.held(),
            slots: self.slots,
            publisher: self.publisher.clone(),
            topic: Topics::new(&self.kafka).export_progress(),
        }
    }

    pub(crate) async fn run(mut self, drain: CancellationToken) {
        let (mut changed, mut held) = (self.directory.changed(), self.member.held());
        let (mut plan, mut current) = (Plan::default(), false);
        loop {
            if !current {
                match self.planner.plan() {
                    Ok(made) => (plan, current) = (made, true),
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the plan stays as it is"),
                }
            }
            let holding = held.borrow_and_update().clone();
            self.follow(&plan, &holding);
            let looks = !current || self.awaits_a_time(&holding);
            tokio::select! {
                () = drain.cancelled() => break,
                () = self.abandoned.cancelled() => break,
                result = changed.changed() => {
                    if result.is_err() {
                        break;
                    }
                    current = false;
                }
                result = held.changed() => {
                    if result.is_err() {
                        break;
                    }
                }
                Some(ended) = self.threads.join_next() => self.ended(ended),
                () = tokio::time::sleep(LOOK_EVERY), if looks => {}
            }
        }
        self.leave(held).await;
    }

    /// Somebody is to be served again, or is given a time to end.
    fn awaits_a_time(&self, held: &Held) -> bool {
        let awaits = |served: &Served| match &served.state {
            State::Running { stop, .. } => stop.left().is_some(),
            State::Waiting { .. } => true,
        };
        !held.leaving.is_empty() || self.served.values().any(awaits)
    }

    /// Ends every workspace in good order, and leaves the group.
    async fn leave(mut self, held: watch::Receiver<Held>) {
        for served in self.served.values() {
            if let State::Running { stop, .. } = &served.state {
                stop.drain(self.config.drain);
            }
        }
        while self.served.values().any(Served::is_busy) {
            let holding = held.borrow().clone();
            for served in self.served.values() {
                served.stop_if_lost(&holding);
            }
            self.release(&holding);
            tokio::select! {
                Some(ended) = self.threads.join_next() => self.ended(ended),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        if tokio::time::timeout(LEAVE_MAX, self.member.leave()).await.is_err() {
            tracing::warn!("the group was not left in time; others get the slots when the session has run out");
        }
    }

    /// Serves what is planned and ours, and only that.
    fn follow(&mut self, plan: &Plan, held: &Held) {
        for (workspace, wanted) in &plan.workspaces {
            if !held.owned.contains(&wanted.slot) && !self.served.contains_key(workspace) {
                continue;
            }
            let served = self.served.entry(workspace.clone()).or_insert_with(|| Served {
                account: wanted.account,
                slot: wanted.slot,
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
            let planned = plan.workspaces.get(workspace);
            let ours = planned.is_some_and(|wanted| wanted.slot == served.slot) && held.owned.contains(&served.slot);
            match &served.state {
                State::Running { stop, .. } => {
                    if planned.is_none() {
                        served.wanted.send_replace(Arc::new(JobSet::none(&plan.unreadable)));
                        stop.drain(self.config.drain);
                    } else if !ours {
                        stop.drain(self.config.hand_over);
                    }
                    served.stop_if_lost(held);
                    true
                }
                State::Waiting { until } if ours => {
                    if *until <= now {
                        starting.push(workspace.clone());
                    }
                    true
                }
                State::Waiting { .. } => {
                    for job in &served.wanted.borrow().jobs {
                        self.statuses.remove(&job.name());
                    }
                    false
                }
            }
        });
        for workspace in starting {
            self.start(workspace);
        }
        self.release(held);
        metrics::gauge!(measure::SLOTS).set(held.owned.len() as f64);
        metrics::gauge!(measure::WORKSPACES).set(self.threads.len() as f64);
    }

    /// Gives back the leaving slots for which nothing is done any more.
    fn release(&self, held: &Held) {
        for slot in &held.leaving {
            if !self
                .served
                .values()
                .any(|served| served.slot == *slot && served.is_busy())
            {
                self.member.release(*slot);
            }
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
            health: self.health.clone(),
            catalog: self.catalog.clone(),
            client: self.client.clone(),
            publisher: self.publisher.clone(),
            runtime: tokio::runtime::Handle::current(),
            tasks: self.tasks.clone(),
            traced: self.traced,
        };
        let (sender, receiver) = oneshot::channel();
        let (stopped, watchdog) = (stop.clone(), self.watchdog.clone());
        let serve = move || {
            let name = parts.workspace.clone();
            let result = pipeline::open(parts, &stopped).and_then(|pipeline| {
                let pulse = watchdog.watch(&name);
                pipeline.run(&stopped, &pulse)
            });
            // Not waited for after a second signal, or when it is long overdue.
            drop(sender.send(result));
        };
        let thread = thread::Builder::new().name(format!("export-{workspace}")).spawn(serve);
        served.state = State::Running {
            since: Instant::now(),
            stop,
        };
        self.statuses.serving(&workspace);
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
        self.statuses.ended(&workspace);
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
                (self.config.lease, Some(runtime::error::chain(error)))
            }
            Some(Err(error)) => {
                metrics::counter!(measure::RESTARTS_TOTAL, "reason" => "failed").increment(1);
                let doubled = self.config.restart_after.saturating_mul(1 << served.failures.min(16));
                served.failures += 1;
                (doubled.min(RESTART_AFTER_MAX), Some(runtime::error::chain(error)))
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
                "Braze workspace {workspace} is served again in {wait:?}, if it is still ours: {why}"
            );
            for job in &served.wanted.borrow().jobs {
                self.statuses.fault(&job.name(), &why);
            }
        }
    }
}

impl Served {
    /// Its thread is at work, and may still finish something.
    fn is_busy(&self) -> bool {
        match &self.state {
            State::Running { stop, .. } => !stop.is_overdue_by(OVERDUE_MAX),
            State::Waiting { .. } => false,
        }
    }

    /// What is neither ours nor leaving is somebody else's: nothing may be finished.
    fn stop_if_lost(&self, held: &Held) {
        if let State::Running { stop, .. } = &self.state
            && !held.owned.contains(&self.slot)
            && !held.leaving.contains(&self.slot)
        {
            stop.abandon();
        }
    }
}

impl Statuses {
    /// The job waits for its workspace to be served again; what it has counted stays.
    fn fault(&self, job: &str, reason: &str) {
        let known = self.get(job).unwrap_or_default();
        self.set(
            job,
            JobStatus {
                state: ExportJobState::Fault,
                reason: reason.to_owned(),
                ..known
            },
            Time::from_millis(Timestamp::now().as_millisecond()),
        );
    }
}
