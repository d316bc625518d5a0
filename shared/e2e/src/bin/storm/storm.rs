//! The storm itself: changes are published and things go wrong, until every change is published and everything works again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use proto::export::v1::{Coalesce, FeedProgress};
use shared_e2e::Broker;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::braze::Braze;
use crate::changes::Changes;
use crate::control::Control;
use crate::fleet::Fleet;
use crate::log::Log;
use crate::schedule::Act;
use crate::world::{Audience, Export, WORKSPACES, account, workspace_name};

/// Changes published at once.
const CHUNK: u64 = 250;
/// How long a key or a job is gone after which it is asked for again.
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything that the storm rages over.
pub(crate) struct Storm {
    pub(crate) braze: Braze,
    pub(crate) broker: Broker,
    pub(crate) control: Control,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) log: Log,
    pub(crate) audiences: Vec<Audience>,
    /// One authorization per workspace, once they are set up.
    authorizations: OnceLock<Vec<String>>,
    jobs: Mutex<Vec<Job>>,
    /// One of these at a time per workspace.
    recreating: Vec<tokio::sync::Mutex<u32>>,
    revoking: Vec<tokio::sync::Mutex<u32>>,
    pausing: Vec<tokio::sync::Mutex<()>>,
    going_back: Vec<tokio::sync::Mutex<()>>,
}

/// An export job, as long as it exists.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) workspace: usize,
    pub(crate) export: Export,
    pub(crate) back: Back,
}

/// How a job went back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Back {
    /// How often, at most.
    pub(crate) times: u64,
    /// Where it went the last time, and what it had counted by then, at least.
    pub(crate) offsets: HashMap<i32, i64>,
    pub(crate) counted: u64,
}

impl Job {
    /// Whether it exports the audience.
    pub(crate) fn is_about(&self, audience: &Audience) -> bool {
        (audience.workspace, audience.export) == (self.workspace, self.export)
    }
}

impl Storm {
    pub(crate) fn new(braze: Braze, broker: Broker, fleet: Arc<Fleet>, log: Log, audiences: Vec<Audience>) -> Self {
        Self {
            braze,
            broker,
            control: Control::new(Arc::clone(&fleet)),
            fleet,
            log,
            audiences,
            authorizations: OnceLock::new(),
            jobs: Mutex::default(),
            recreating: (0..WORKSPACES).map(|_| tokio::sync::Mutex::default()).collect(),
            revoking: (0..WORKSPACES).map(|_| tokio::sync::Mutex::default()).collect(),
            pausing: (0..WORKSPACES).map(|_| tokio::sync::Mutex::default()).collect(),
            going_back: (0..WORKSPACES).map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }

    /// Stores every workspace's key and creates every job.
    ///
    /// # Errors
    /// When something is refused.
    pub(crate) async fn set_up(&self) -> anyhow::Result<()> {
        let mut authorizations = Vec::new();
        for workspace in 0..WORKSPACES {
            authorizations.push(self.control.authorize(workspace, &Braze::key(workspace, 0)).await?);
        }
        self.authorizations.get_or_init(|| authorizations);
        for workspace in 0..WORKSPACES {
            for export in Export::ALL {
                self.create_job(workspace, export, 0).await?;
            }
        }
        Ok(())
    }

    /// The jobs that exist.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Creates the workspace's job for the audiences that are exported so, if it has any.
    async fn create_job(&self, workspace: usize, export: Export, generation: u32) -> anyhow::Result<()> {
        let slugs = self
            .audiences
            .iter()
            .filter(|audience| (audience.workspace, audience.export) == (workspace, export));
        let slugs: Vec<_> = slugs.map(|audience| audience.slug.clone()).collect();
        if slugs.is_empty() {
            return Ok(());
        }
        let label = format!("{} {export:?} {generation}", workspace_name(workspace));
        let coalesce = match export {
            Export::Edges => Coalesce::EveryEdge,
            _ => Coalesce::Latest,
        };
        let (account, authorization) = (account(workspace), self.authorization(workspace)?);
        let created = self.control.create_job(account, &label, authorization, slugs, coalesce);
        let name = created.await?;
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(Job {
            name,
            workspace,
            export,
            back: Back::default(),
        });
        Ok(())
    }

    fn authorization(&self, workspace: usize) -> anyhow::Result<&str> {
        let name = self.authorizations.get().and_then(|names| names.get(workspace));
        Ok(name.context("no authorization was stored")?)
    }

    /// Publishes so many changes, at most `rate` in a second, with everything of the schedule in between. When it returns,
    /// nothing goes wrong any more.
    ///
    /// # Errors
    /// When something cannot be put right again.
    pub(crate) async fn rage(
        self: &Arc<Self>,
        changes: u64,
        source: Changes,
        rate: u64,
        schedule: Vec<(u64, Act)>,
    ) -> anyhow::Result<()> {
        let bar = bar("publishing", changes)?;
        let (mut source, mut schedule) = (source, schedule.into_iter().peekable());
        let (mut processes, mut others) = (JoinSet::new(), JoinSet::new());
        let mut pace = tokio::time::interval(Duration::from_secs_f64(CHUNK as f64 / rate as f64));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut published = 0;
        while published < changes {
            while let Some((_, act)) = schedule.next_if(|(at, _)| *at <= published) {
                let storm = Arc::clone(self);
                if act.concerns_a_process() {
                    finish(&mut processes).await?;
                    bar.set_message(format!("{act:?}"));
                    processes.spawn(async move { storm.act(act).await });
                } else {
                    others.spawn(async move { storm.act(act).await });
                }
            }
            pace.tick().await;
            let chunk: Vec<_> = source
                .by_ref()
                .take(usize::try_from(CHUNK.min(changes - published))?)
                .collect();
            self.log.publish(&chunk).await?;
            published += chunk.len() as u64;
            bar.set_position(published);
        }
        finish(&mut processes).await?;
        finish(&mut others).await?;
        bar.finish();
        Ok(())
    }

    async fn act(&self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Kill { replica, away } => self.fleet.kill(replica, away).await?,
            Act::Terminate { replica, away } => self.fleet.terminate(replica, away).await?,
            Act::Freeze { replica, away } => self.fleet.freeze(replica, away).await?,
            Act::RestartBroker => {
                self.fleet.interrupted();
                self.broker.restart().await?;
                self.fleet.interrupted();
            }
            Act::Revoke { workspace, away } => {
                let mut generation = self.revoking[workspace].lock().await;
                self.braze.revoke(workspace, *generation);
                tokio::time::sleep(away).await;
                *generation += 1;
                self.braze.issue(workspace, *generation);
                let key = Braze::key(workspace, *generation);
                self.control.rotate_key(self.authorization(workspace)?, &key).await?;
            }
            Act::Pause { workspace, away } => {
                let _alone = self.pausing[workspace].lock().await;
                let lasting = |job: &Job| job.workspace == workspace && job.export == Export::Lasting;
                for job in self.jobs().into_iter().filter(lasting) {
                    self.control.pause_job(&job.name).await?;
                    tokio::time::sleep(away).await;
                    self.control.resume_job(&job.name).await?;
                }
            }
            Act::Recreate { workspace, away } => self.recreate(workspace, away).await?,
            Act::GoBack { workspace, share } => self.go_back(workspace, share).await?,
            Act::Compact => self.log.compact().await?,
            _ => self.braze.act(&act),
        }
        Ok(())
    }

    async fn recreate(&self, workspace: usize, away: Duration) -> anyhow::Result<()> {
        let mut generation = self.recreating[workspace].lock().await;
        *generation += 1;
        let passing = |job: &Job| job.workspace == workspace && job.export == Export::Passing;
        for job in self.jobs().into_iter().filter(passing) {
            self.control.delete_job(&job.name).await?;
        }
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|job| !passing(job));
        tokio::time::sleep(away).await;
        self.create_job(workspace, Export::Passing, *generation).await
    }

    /// Only ever back: what a job has not settled would be left out, last words included. So it goes to a share of what is written
    /// down as settled, if that is of after the last time, and else to the beginning.
    async fn go_back(&self, workspace: usize, share: f64) -> anyhow::Result<()> {
        let _alone = self.going_back[workspace].lock().await;
        let again = |job: &Job| job.workspace == workspace && job.export == Export::Again;
        let job = self.jobs().into_iter().find(again).context("no job goes back")?;
        let mut audiences = self.audiences.iter();
        let audience = audiences.find(|audience| job.is_about(audience));
        let audience = audience.context("the job has no audience")?;
        let progress = self.log.read_progress(&job.name, audience).await?.unwrap_or_default();
        let to = (share > 0.0 && progress.reset == job.back.times).then(|| part_of(&progress, share));
        let counters = progress.counters.unwrap_or_default();
        let attempts = self.control.reset_job(&job.name, to.clone()).await?;
        let back = Back {
            times: job.back.times + attempts,
            offsets: to.unwrap_or_default(),
            counted: counters.added + counters.removed + counters.omitted + counters.rejected,
        };
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = jobs.iter_mut().find(|known| known.name == job.name);
        known.context("it is gone")?.back = back;
        Ok(())
    }
}

/// A share of what is settled, by partition.
fn part_of(progress: &FeedProgress, share: f64) -> HashMap<i32, i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a share of an offset is one")]
    let place = |settled: i64| (settled as f64 * share) as i64;
    let positions = progress.positions.iter();
    let settled = positions.map(|position| {
        let open = position.open.iter().min().copied();
        (
            position.partition,
            open.map_or(position.next, |open| open.min(position.next)),
        )
    });
    settled
        .map(|(partition, settled)| (partition, place(settled)))
        .collect()
}

/// Waits for all, and for their errors.
async fn finish(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(ended) = tokio::time::timeout_at(deadline, tasks.join_next()).await? {
        ended??;
    }
    Ok(())
}

/// A progress bar; nothing where nobody looks.
pub(crate) fn bar(what: &str, length: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {per_sec} {msg}")?;
    Ok(ProgressBar::new(length).with_style(style).with_message(what.to_owned()))
}
