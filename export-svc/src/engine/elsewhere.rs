//! How the jobs fare that other replicas serve: the newest progress of every feed, as its owner has written it down. And what
//! others have seen of authorizations.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use control::Removed;
use kafka::{Config, Polled, Position, Reader, ReaderOptions, Topics};
use model::{AccountNumber, name};
use prost::Message;
use proto::export::v1::FeedProgress;

use super::{Error, JobStatus, RemovalStatus, severity, sum};
use crate::health::{self, Health};
use crate::settle;

/// How often the thread looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long Kafka holds back the answer that there is nothing new.
const FETCH_WAIT: Duration = Duration::from_secs(1);
/// How long to wait before asking again for a topic that could not be read.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Jobs by account number and id, with what is known of each of their audiences. As many as there is progress for.
type Jobs = HashMap<(u64, String), BTreeMap<String, JobStatus>>;

/// Asks; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Elsewhere(Arc<Mutex<Jobs>>);

/// The thread that reads; it ends when this is dropped.
pub(crate) struct Following {
    _alive: SyncSender<()>,
}

impl Elsewhere {
    /// Keeps this current from now on.
    pub(crate) fn follow(&self, config: &Config, health: Health) -> Result<Following, Error> {
        let options = ReaderOptions {
            fetch_wait: FETCH_WAIT,
            ..ReaderOptions::default()
        };
        let mut reader = Reader::open(config, options)?;
        let (alive, ended) = sync_channel(0);
        let (topic, known) = (Topics::new(config).export_progress(), self.clone());
        let run = move || {
            let this = thread::current();
            reader.on_ready(move || this.unpark());
            let mut begun = false;
            while ended.try_recv() != Err(TryRecvError::Disconnected) {
                let result = if begun {
                    known.poll(&mut reader, &health)
                } else {
                    begin(&mut reader, &topic).map(|()| true)
                };
                begun |= result.is_ok();
                match result {
                    Ok(true) => {}
                    Ok(false) => thread::park_timeout(LOOK_EVERY),
                    Err(error) => {
                        tracing::debug!(error = &error as &dyn std::error::Error, "progress cannot be read");
                        thread::park_timeout(ASK_AGAIN);
                    }
                }
            }
        };
        thread::Builder::new().name("export-elsewhere".to_owned()).spawn(run)?;
        Ok(Following { _alive: alive })
    }

    /// How the job of this resource name fares, as whoever serves it has written down.
    pub(crate) fn get(&self, job: &str) -> Option<JobStatus> {
        let (account, id) = name::child(job, name::EXPORT_JOBS).ok()?;
        let jobs = self.jobs();
        let feeds = jobs.get(&(account.get(), id.to_owned()))?;
        feeds.values().cloned().reduce(JobStatus::and)
    }

    /// Number of the newest reset, or redrive, that so many audiences of the job have gone through.
    pub(crate) fn done(&self, job: &str, audiences: usize, of: fn(&JobStatus) -> u64) -> u64 {
        let Ok((account, id)) = name::child(job, name::EXPORT_JOBS) else {
            return 0;
        };
        let jobs = self.jobs();
        let feeds = jobs.get(&(account.get(), id.to_owned()));
        let exported = feeds.into_iter().flat_map(BTreeMap::values);
        let exported = exported.filter(|status| status.removals.is_empty());
        let done: Vec<_> = exported.map(of).collect();
        done.iter()
            .copied()
            .min()
            .filter(|_| done.len() >= audiences)
            .unwrap_or(0)
    }

    /// The removals that are over, of the jobs of an account.
    pub(crate) fn removed(&self, account: AccountNumber) -> Removed {
        let mut removed = Removed::default();
        let jobs = self.jobs();
        for ((_, id), feeds) in jobs.iter().filter(|((of, _), _)| *of == account.get()) {
            for removal in feeds
                .values()
                .flat_map(|status| &status.removals)
                .filter(|removal| removal.done)
            {
                let job = name::format_child(account, name::EXPORT_JOBS, id);
                removed.insert(job, removal.audience.clone(), removal.number);
            }
        }
        removed
    }

    /// Whether there was anything.
    fn poll(&self, reader: &mut Reader, health: &Health) -> Result<bool, kafka::Error> {
        match reader.poll(Duration::ZERO) {
            None => Ok(false),
            Some(Ok(Polled::Eof { .. })) => Ok(true),
            Some(Ok(Polled::Record(record))) => {
                if let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) {
                    match key.strip_prefix(health::PREFIX) {
                        Some(rest) => health.take(rest, record.payload()),
                        None => self.take(key, record.payload()),
                    }
                }
                Ok(true)
            }
            // The topic was made anew.
            Some(Err(kafka::Error::OffsetGone {
                partition: Some(partition),
                ..
            })) => reader.seek(partition, Position::Beginning).map(|()| true),
            Some(Err(error)) => Err(error),
        }
    }

    /// A record of the topic: `<workspace>/<job>/<audience>`. Others are about workspaces.
    fn take(&self, key: &str, progress: Option<&[u8]>) {
        let Some((workspace, rest)) = key.split_once('/') else {
            return;
        };
        let (Some((id, audience)), Some((account, _))) = (rest.split_once('/'), workspace.split_once('.')) else {
            return;
        };
        let Ok(account) = account.parse() else { return };
        let mut jobs = self.jobs();
        let job = (account, id.to_owned());
        match progress.map(FeedProgress::decode) {
            Some(Ok(progress)) => {
                let feeds = jobs.entry(job).or_default();
                let status = match RemovalStatus::of(audience, &progress) {
                    Some(removal) => JobStatus {
                        requests_per_second: progress.requests_per_second,
                        ..JobStatus::of_removals().removing(removal)
                    },
                    None => status(progress),
                };
                feeds.insert(audience.to_owned(), status);
            }
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    key,
                    "progress cannot be decoded"
                );
            }
            None => {
                let feeds = jobs.entry(job.clone()).or_default();
                feeds.remove(audience);
                if feeds.is_empty() {
                    jobs.remove(&job);
                }
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(reader: &mut Reader, topic: &str) -> Result<(), kafka::Error> {
    let partitions = reader.partitions(topic)?.into_iter();
    let from: Vec<_> = partitions.map(|partition| (partition, Position::Beginning)).collect();
    reader.assign(topic, &from)
}

fn status(progress: FeedProgress) -> JobStatus {
    JobStatus {
        state: progress.state(),
        counters: progress.counters.unwrap_or_default(),
        pending: progress
            .positions
            .iter()
            .map(|position| position.open.len() as u64)
            .sum(),
        lag: progress.lag,
        synced: Some(progress.synced),
        oldest: progress.oldest_unconfirmed_time.map(settle::from_timestamp),
        unread_before_start: progress.unread_before_start,
        estimate: progress.estimated_duration.and_then(|left| left.try_into().ok()),
        reset: progress.reset,
        redrive: progress.redrive,
        bounces: progress.bounces,
        guarded: progress.guard.as_ref().is_some_and(|guard| !guard.held.is_empty()),
        confirms: progress.guard.as_ref().map_or(0, |guard| guard.confirms),
        requests_per_second: progress.requests_per_second,
        resumes: progress.resume_time.as_ref().and_then(model::time::from_wire),
        reason: progress.state_reason,
        removals: Vec::new(),
    }
}

impl JobStatus {
    /// Of two audiences of a job: the worse state, and the sum of the counts.
    fn and(self, other: Self) -> Self {
        let (mut worse, better) = if severity(self.state) >= severity(other.state) {
            (self, other)
        } else {
            (other, self)
        };
        worse.counters = sum(worse.counters, better.counters);
        worse.pending += better.pending;
        worse.lag = worse.lag.max(better.lag);
        worse.synced = worse.synced.into_iter().chain(better.synced).min();
        worse.oldest = worse.oldest.into_iter().chain(better.oldest).min();
        worse.unread_before_start = worse.unread_before_start.max(better.unread_before_start);
        worse.estimate = worse.estimate.max(better.estimate);
        worse.reset = worse.reset.min(better.reset);
        worse.redrive = worse.redrive.min(better.redrive);
        worse.bounces = worse.bounces.min(better.bounces);
        worse.guarded |= better.guarded;
        worse.confirms = worse.confirms.min(better.confirms);
        worse.requests_per_second = worse.requests_per_second.max(better.requests_per_second);
        worse.resumes = worse.resumes.max(better.resumes);
        worse.removals.extend(better.removals);
        worse
    }
}

#[cfg(test)]
mod tests {
    use proto::export::v1::{ExportCounters, ExportJobState, PartitionPosition};

    use super::*;

    fn progress(added: u64, open: &[i64], state: ExportJobState) -> Vec<u8> {
        let counters = ExportCounters {
            added,
            ..ExportCounters::default()
        };
        let position = PartitionPosition {
            open: open.to_vec(),
            ..PartitionPosition::default()
        };
        let progress = FeedProgress {
            counters: Some(counters),
            positions: vec![position],
            state: state.into(),
            state_reason: if state == ExportJobState::Sleeping { "401" } else { "" }.to_owned(),
            ..FeedProgress::default()
        };
        progress.encode_to_vec()
    }

    #[test]
    fn a_job_is_the_newest_of_all_its_audiences_and_gone_with_the_last() {
        let known = Elsewhere::default();
        let sleeping = progress(1, &[], ExportJobState::Sleeping);
        known.take("7.w/j/vip", Some(&progress(40, &[5], ExportJobState::Runnable)));
        known.take("7.w/j/vip", Some(&progress(41, &[5, 6], ExportJobState::Runnable)));
        known.take("7.w/j/a/b", Some(&sleeping));
        // Another job, another account, and the workspace's own record.
        known.take("7.w/k/vip", Some(&progress(9, &[], ExportJobState::Runnable)));
        known.take("8.w/j/vip", Some(&progress(9, &[], ExportJobState::Runnable)));
        known.take("7.w", Some(&sleeping));
        let status = known.get("accounts/7/exportJobs/j").unwrap();
        assert_eq!((status.counters.added, status.pending), (42, 2));
        assert_eq!(
            (status.state, status.reason.as_str()),
            (ExportJobState::Sleeping, "401")
        );
        known.take("7.w/j/vip", None);
        known.take("7.w/j/a/b", None);
        assert_eq!(known.get("accounts/7/exportJobs/j"), None);
    }

    #[test]
    fn a_removal_is_over_when_that_is_written_down_and_counts_as_nothing_else_of_its_job() {
        let known = Elsewhere::default();
        let account = AccountNumber::new(7).unwrap();
        let job = "accounts/7/exportJobs/j";
        known.take("7.w/j/vip", Some(&progress(40, &[5], ExportJobState::Runnable)));
        for done in [false, true] {
            let removal = proto::export::v1::RemovalProgress {
                number: 3,
                done,
                ..Default::default()
            };
            let progress = FeedProgress {
                removal: Some(removal),
                counters: Some(ExportCounters {
                    removed: 9,
                    ..ExportCounters::default()
                }),
                requests_per_second: 50.0,
                ..FeedProgress::default()
            };
            known.take("7.w/k/gold", Some(&progress.encode_to_vec()));
            let alone = known.get("accounts/7/exportJobs/k").unwrap();
            assert_eq!(alone.requests_per_second, 50.0);
            known.take("7.w/k/gold", None);
            known.take("7.w/j/gold", Some(&progress.encode_to_vec()));
            let status = known.get(job).unwrap();
            assert_eq!(
                (status.counters.added, status.counters.removed, status.pending),
                (40, 0, 1)
            );
            let [gold] = status.removals.as_slice() else {
                panic!("{status:?}")
            };
            assert_eq!(
                (gold.audience.as_str(), gold.counters.removed, gold.done),
                ("gold", 9, done)
            );
            let mut expected = Removed::default();
            if done {
                expected.insert(job.to_owned(), "gold".to_owned(), 3);
            }
            assert_eq!(known.removed(account), expected);
            assert_eq!(known.removed(AccountNumber::new(8).unwrap()), Removed::default());
        }
    }

    #[test]
    fn a_reset_is_done_when_every_audience_has_written_down_that_it_has_gone_through_it() {
        let known = Elsewhere::default();
        let through = |reset| {
            let progress = FeedProgress {
                reset,
                ..FeedProgress::default()
            };
            progress.encode_to_vec()
        };
        let done = || known.done("accounts/7/exportJobs/j", 2, |status| status.reset);
        assert_eq!(done(), 0, "nobody has written anything");
        known.take("7.w/j/vip", Some(&through(2)));
        assert_eq!(done(), 0, "one of two");
        known.take("7.w/j/gold", Some(&through(1)));
        assert_eq!(done(), 1);
        known.take("7.w/j/gold", Some(&through(2)));
        assert_eq!(done(), 2);
    }
}
