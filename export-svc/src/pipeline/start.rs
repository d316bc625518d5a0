//! How a workspace is taken over: fence the predecessor, read what it wrote, open the reader.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use kafka::{Reader, ReaderOptions, Topics, TransactionalWriter};
use model::{AccountNumber, name};
use proto::export::v1::FeedProgress;
use tokio::sync::{mpsc, watch};

use super::Pipeline;
use super::read::Readers;
use super::rest::Rest;
use crate::catalog::Catalog;
use crate::clock::{Clock, Time};
use crate::deliver::Deliverer;
use crate::engine::{EngineConfig, Error, Statuses};
use crate::feed::JobSet;
use crate::health::Health;
use crate::lease::Lease;
use crate::placement::Stop;
use crate::settle::{self, ProgressWriter};
use crate::workspace::{Beginning, Layout, Workspace};

/// How long Kafka holds back live's answer that there is nothing new; a seek may wait for it, and live hardly ever seeks.
const LIVE_FETCH_WAIT: Duration = Duration::from_millis(500);
/// Longest progress transaction.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What a workspace is served with.
pub(crate) struct Parts {
    pub(crate) config: EngineConfig,
    pub(crate) kafka: kafka::Config,
    pub(crate) workspace: String,
    pub(crate) account: AccountNumber,
    pub(crate) wanted: watch::Receiver<Arc<JobSet>>,
    pub(crate) statuses: Statuses,
    pub(crate) health: Health,
    pub(crate) catalog: Catalog,
    pub(crate) client: braze::Client,
    pub(crate) publisher: kafka::Publisher,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) tasks: tokio_util::task::TaskTracker,
    /// Spans go somewhere.
    pub(crate) traced: bool,
}

/// Takes a workspace over, on the thread that is to serve it. Blocks until Kafka has answered, or the time of `stop` is over.
///
/// # Errors
/// Whatever Kafka says; nothing has been sent to Braze then.
pub(crate) fn open(parts: Parts, stop: &Stop) -> Result<Pipeline, Error> {
    let Parts {
        config,
        kafka,
        workspace,
        account,
        wanted,
        statuses,
        health,
        catalog,
        client,
        publisher,
        runtime,
        tasks,
        traced,
    } = parts;
    let clock = Clock::start();
    // Asked before anybody is fenced: without the topic nobody can serve.
    let topics = Topics::new(&kafka);
    let options = ReaderOptions {
        group: Some(format!("export-svc.{workspace}")),
        fetch_wait: LIVE_FETCH_WAIT,
        ..ReaderOptions::default()
    };
    let reader = Reader::open(&kafka, options)?;
    let topic = topics.audience_membership(account.get());
    let layout = Layout {
        partitions: reader.partitions(&topic)?.len(),
        cluster_id: reader.cluster_id()?,
        compaction_lag: runtime.block_on(kafka::topics::compaction_lag(&kafka, &topic))?,
        topic,
    };
    let writer = TransactionalWriter::init(&kafka, &format!("export-{workspace}"), TRANSACTION_TIMEOUT)?;
    let fenced_at = clock.now();
    let restored = settle::restore(&kafka, &writer, &workspace, stop)?;
    let ids: HashSet<_> = wanted.borrow().jobs.iter().map(|job| job.id.clone()).collect();
    let is_done = |progress: &FeedProgress| progress.removal.as_ref().is_some_and(|removal| removal.done);
    let goes_on = |(key, progress): (&String, &FeedProgress)| {
        settle::job_of(&workspace, key).is_some_and(|id| ids.contains(id)) && !is_done(progress)
    };
    if let Some(progress) = &restored.workspace
        && restored.feeds.iter().any(goes_on)
    {
        layout.check(progress)?;
    }
    for (key, progress) in &restored.feeds {
        if let Some(id) = settle::job_of(&workspace, key) {
            let job = name::format_child(account, name::EXPORT_JOBS, id);
            statuses.log.restore(&job, progress);
        }
    }
    let feeds = restored.feeds.len();
    let workspace = Workspace::new(
        Beginning {
            config,
            key: workspace,
            account,
            topics,
            layout,
            restored,
            traced,
        },
        fenced_at,
    );
    tracing::info!(
        workspace = workspace.key,
        feeds,
        released = workspace.takeover.is_none(),
        "serving Braze workspace {}",
        workspace.key
    );
    // At most in_flight_max calls, as many tasks that keep rejected changes and a few more from reading, the writer, one that counts
    // members, a redrive, and the few who may ask something.
    let (sender, events) = mpsc::channel(4 * workspace.config.in_flight_max + 10);
    statuses.answers(&workspace.key, sender.clone());
    let progress = ProgressWriter::start(writer, clock, sender.clone())?;
    let lease = Lease::new(clock, workspace.config.lease);
    let rest = Rest::of_this_thread();
    let mut pipeline = Pipeline {
        deliverer: Deliverer {
            client,
            health,
            publisher,
            runtime,
            tasks,
            events: sender,
            lease: lease.clone(),
        },
        workspace,
        readers: Readers::new(kafka, reader, rest.waker()),
        rest,
        catalog,
        progress,
        events,
        wanted,
        statuses,
        clock,
        lease,
        writing: false,
        lease_wanted: false,
        last_written: Time::MIN,
        last_counted: Time::MIN,
        last_shown: Time::MIN,
        last_measured: Time::MIN,
        last_all_written: fenced_at,
        last_mirrored: Time::MIN,
        measured_newest: 0,
    };
    pipeline.apply();
    Ok(pipeline)
}
