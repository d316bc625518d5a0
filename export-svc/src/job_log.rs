//! What happens to jobs, written to the topic `export-log`: what somebody asked for, as the API says it, and what whoever serves
//! the job observes.
//!
//! Entries wait in a bounded queue for the task that publishes them, so nobody waits for the log. It is for people: an entry that
//! Kafka does not take is lost, and so is what was observed just before a crash.

mod line;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kafka::{Publisher, RecordOut, Topics, headers};
use opentelemetry::Context;
use prost::Message;
use proto::export::v1::{ExportLogEntry, FeedProgress};
use tokio::sync::Notify;

use self::line::Line;
use crate::clock::Time;
use crate::engine::JobStatus;
use crate::measure;

/// Entries that may wait for Kafka; what comes then is lost.
const WAITING_MAX: usize = 1_000;
/// How often it is looked for what was held back because there was too much.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Takes what happens; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct JobLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    written: Notify,
}

#[derive(Default)]
struct State {
    /// The jobs that are served here, by name.
    lines: HashMap<String, Line>,
    waiting: VecDeque<ExportLogEntry>,
}

impl JobLog {
    /// An audience of a job was served before, and this is what was written down last: it does not begin anew.
    pub(crate) fn restore(&self, job: &str, progress: &FeedProgress) {
        self.state().lines.entry(job.to_owned()).or_default().restore(progress);
    }

    /// How a job fares now.
    pub(crate) fn observe(&self, job: &str, status: &JobStatus, now: Time) {
        let mut state = self.state();
        let State { lines, waiting } = &mut *state;
        if !lines.contains_key(job) {
            lines.insert(job.to_owned(), Line::default());
        }
        let line = lines.get_mut(job);
        let observed = line.is_some_and(|line| {
            line.observe(status);
            line.write(job, now, |entry| put(waiting, entry))
        });
        drop(state);
        if observed {
            self.0.written.notify_one();
        }
    }

    /// Somebody has done something, or has asked for it.
    pub(crate) fn write(&self, entry: ExportLogEntry) {
        put(&mut self.state().waiting, entry);
        self.0.written.notify_one();
    }

    /// The job is not served here any more.
    pub(crate) fn forget(&self, job: &str) {
        self.state().lines.remove(job);
    }

    /// Publishes what comes, for ever. Whoever made the publisher sees to it that the process ends when it has failed for good.
    pub(crate) async fn publish(&self, publisher: &Publisher, topics: &Topics) {
        loop {
            drop(tokio::time::timeout(LOOK_EVERY, self.0.written.notified()).await);
            let now = Time::from_millis(Timestamp::now().as_millisecond());
            self.write_held_back(now);
            self.publish_waiting(publisher, topics).await;
        }
    }

    /// Publishes what waits now.
    pub(crate) async fn publish_waiting(&self, publisher: &Publisher, topics: &Topics) {
        let entries = std::mem::take(&mut self.state().waiting);
        if entries.is_empty() {
            return;
        }
        let records = entries.iter().map(|entry| record(topics, entry)).collect();
        for result in publisher.publish_all(records).await {
            let written = match result {
                Ok(_) => "written",
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an entry of the job log is not written"
                    );
                    "lost"
                }
            };
            metrics::counter!(measure::LOG_ENTRIES_TOTAL, "result" => written).increment(1);
        }
    }

    fn write_held_back(&self, now: Time) {
        let mut state = self.state();
        let State { lines, waiting } = &mut *state;
        for (job, line) in lines {
            line.write(job, now, |entry| put(waiting, entry));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(waiting: &mut VecDeque<ExportLogEntry>, entry: ExportLogEntry) {
    if waiting.len() < WAITING_MAX {
        waiting.push_back(entry);
    } else {
        metrics::counter!(measure::LOG_ENTRIES_TOTAL, "result" => "lost").increment(1);
    }
}

fn record(topics: &Topics, entry: &ExportLogEntry) -> RecordOut {
    let record = RecordOut::new(topics.export_log())
        .key(entry.job.clone())
        .payload(entry.encode_to_vec());
    RecordOut {
        headers: headers::standard("lytics.export.v1.ExportLogEntry", &Context::new()),
        ..record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_for_kafka_than_may() {
        let log = JobLog::default();
        for _ in 0..=WAITING_MAX {
            log.write(ExportLogEntry::default());
        }
        assert_eq!(log.state().waiting.len(), WAITING_MAX);
    }
}
