//! Reads one file: from where it is to its end, into Kafka. Whatever happens, the row to go on with is written down.

use std::sync::Arc;
use std::time::Duration;

use control::ImportJob;
use jiff::Timestamp;
use model::time::to_wire;
use proto::imports::v1::{FileDone, FileProgress, ImportCounters, ImportFile, ImportFileState};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::diff::Rows;
use super::id::FileId;
use super::open::{Error, Opener};
use super::options::options;
use super::plan;
use super::progress::Progress;
use super::read::{End, Piece, Reading, Rowset};
use super::view::JobView;
use crate::mappings::Mappings;
use crate::metrics;
use crate::publish::{Outcome, Publish};
use crate::source::{InFile, Origin, Source};

/// How often it is written down how far a file is.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// The first wait after Kafka has not acknowledged; doubled each time.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What every reader of a file needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) opener: Opener,
    pub(super) mappings: Mappings,
    pub(super) publish: Publish,
    pub(super) progress: Progress,
    /// Windows that may be in the producer's queue at once.
    pub(super) room: Arc<Semaphore>,
}

/// Reads a file of a job.
pub(super) struct Worker {
    pub(super) parts: Parts,
    pub(super) job: ImportJob,
    pub(super) file: FileId,
    /// It is to stop behind the window that it is at.
    pub(super) stop: CancellationToken,
}

/// How far it is.
struct Now {
    progress: FileProgress,
    shown: ImportFile,
    counters: ImportCounters,
    written: Instant,
}

impl Worker {
    pub(super) async fn run(self) {
        let view = self.parts.progress.job(&self.job.name());
        let known = view.files.get(&self.file).filter(|file| !file.is_done());
        let Some(known) = known.and_then(|file| file.progress.clone()) else {
            return;
        };
        let mut now = Now::begin((*known).clone(), self.job.bounces);
        self.write(&mut now).await;
        let end = self.read(&view, &mut now).await;
        self.end(end, now).await;
    }

    /// How it ended; `None` if it was stopped.
    async fn read(&self, view: &JobView, now: &mut Now) -> Option<End> {
        let before = match self.stop.run_until_cancelled(self.before(view)).await? {
            Ok(before) => before,
            Err(end) => return Some(end),
        };
        let opening = self.parts.opener.file(&self.job, &now.shown.key, &now.shown.etag);
        let source = match self.stop.run_until_cancelled(opening).await? {
            Ok(source) => source,
            Err(error) => return Some(error.into()),
        };
        let reading = Reading {
            name: now.shown.key.clone(),
            options: options(&self.job, now.progress.next_row),
            drop_errors: self.job.drop_errors,
            before,
        };
        let (sender, mut pieces) = mpsc::channel(1);
        // Ends with this function, or with the file.
        let mut tasks = JoinSet::new();
        tasks.spawn(reading.run(source, sender));
        loop {
            match self.stop.run_until_cancelled(pieces.recv()).await? {
                Some(Piece::Rows(rowset)) => self.publish(rowset, now).await?,
                Some(Piece::End(end)) => return Some(end),
                // It has panicked.
                None => return Some(End::Bad("it could not be read: the service has a defect".to_owned())),
            }
            if now.written.elapsed() >= WRITE_EVERY {
                self.write(now).await;
            }
        }
    }

    /// The rows of the file before it, if they are not to be sent again.
    async fn before(&self, view: &JobView) -> Result<Option<Rows>, End> {
        let previous = plan::previous(view, self.file).filter(|_| self.job.diff);
        let Some(previous) = previous.and_then(|file| file.newest()) else {
            return Ok(None);
        };
        let gone = |why: &str| {
            let (job, key) = (self.job.name(), &previous.key);
            tracing::warn!(
                job,
                key,
                "all rows are sent, because the file before them cannot be compared: {why}"
            );
            Ok(None)
        };
        let source = match self.parts.opener.file(&self.job, &previous.key, &previous.etag).await {
            Ok(source) => source,
            Err(Error::Gone(why)) => return gone(&why),
            Err(error) => return Err(error.into()),
        };
        match Rows::of(source, &previous.key, options(&self.job, 1)).await {
            Ok(rows) => Ok(Some(rows)),
            Err(End::Gone(why) | End::Bad(why)) => gone(&why),
            Err(end) => Err(end),
        }
    }

    /// Publishes a window, however often it takes; `None` if it was stopped before Kafka has all of it.
    async fn publish(&self, rowset: Rowset, now: &mut Now) -> Option<()> {
        let origin = Origin {
            account: self.job.account,
            stream: self.job.stream.clone(),
            chosen: self.parts.mappings.choose(self.job.account, &self.job.stream),
            source: Source::Import,
            content_type: Some(bytes::Bytes::from_static(b"application/json")),
            timestamp_field: self.job.format.timestamp_field.clone(),
            file: Some(Arc::new(InFile {
                key: now.shown.key.clone(),
                rows: rowset.numbers,
            })),
        };
        let mut wait = WAIT_MIN;
        while !rowset.records.is_empty() {
            let room = self.stop.run_until_cancelled(self.parts.room.acquire()).await?;
            let (records, received) = (rowset.records.clone(), Timestamp::now());
            let outcomes = self.parts.publish.records(&origin, records, received, None).await;
            drop(room);
            match outcomes {
                Ok(outcomes) => {
                    now.count(&outcomes);
                    break;
                }
                // `Publish` says so once for all.
                Err(_) => self.stop.run_until_cancelled(tokio::time::sleep(wait)).await?,
            }
            wait = (wait * 2).min(WAIT_MAX);
        }
        ::metrics::counter!(metrics::IMPORT_ROWS).increment(rowset.rows);
        let counters = &mut now.counters;
        counters.rows += rowset.rows;
        counters.dropped += rowset.dropped;
        counters.unchanged += rowset.unchanged;
        let further = rowset.bytes_read.saturating_sub(counters.bytes_read);
        ::metrics::counter!(metrics::IMPORT_BYTES).increment(further);
        counters.bytes_read += further;
        now.progress.next_row = rowset.next_row;
        now.progress.failures = 0;
        Some(())
    }

    /// Writes down how it ended.
    async fn end(&self, end: Option<End>, mut now: Now) {
        let (job, key) = (self.job.name(), now.shown.key.clone());
        let rows = now.counters.rows;
        match end {
            None => {
                now.shown.set_state(ImportFileState::Waiting);
                self.write(&mut now).await;
                tracing::info!(job, key, rows, "a file is left at row {}", now.progress.next_row);
            }
            Some(End::Whole) => {
                now.counters.bytes_read = now.shown.size;
                tracing::info!(job, key, rows, "a file is read");
                self.done(ImportFileState::Done, String::new(), now).await;
            }
            Some(End::Gone(why)) => {
                tracing::warn!(job, key, "a file is passed over: {why}");
                self.done(ImportFileState::Skipped, why, now).await;
            }
            Some(End::Bad(why)) => {
                tracing::warn!(job, key, "a file is bad: {why}");
                ::metrics::counter!(metrics::IMPORT_FILES, "outcome" => "bad").increment(1);
                now.progress.bad = true;
                now.shown.set_state(ImportFileState::Bad);
                now.shown.state_reason.clone_from(&why);
                self.write(&mut now).await;
                if self.job.skip_bad_files {
                    self.done(ImportFileState::Skipped, why, now).await;
                }
            }
            Some(End::Trouble(trouble, why)) => {
                now.shown.set_state(ImportFileState::Waiting);
                now.shown.counters = Some(now.counters);
                now.progress.file = Some(now.shown.clone());
                now.progress = plan::file_failed(&now.progress, trouble, &why, Timestamp::now());
                if now.progress.failures == 1 || now.progress.bad {
                    tracing::warn!(job, key, "a file cannot be had at row {}: {why}", now.progress.next_row);
                }
                now.shown.state_reason = why;
                self.write(&mut now).await;
            }
        }
    }

    /// Writes how far it is. If Kafka does not take it that is no harm: rows are repeated then.
    async fn write(&self, now: &mut Now) {
        now.written = Instant::now();
        now.shown.counters = Some(now.counters);
        now.progress.file = Some(now.shown.clone());
        let (job, progress) = (self.job.name(), now.progress.clone());
        let written = self.parts.progress.write_file(&job, self.file, progress);
        if let Err(error) = written.await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "how far a file is was not written");
        }
    }

    /// Writes its end, however often it takes.
    async fn done(&self, state: ImportFileState, reason: String, mut now: Now) {
        now.shown.set_state(state);
        now.shown.state_reason = reason;
        now.shown.counters = Some(now.counters);
        let outcome = if state == ImportFileState::Done {
            "done"
        } else {
            "skipped"
        };
        let done = FileDone {
            file: Some(now.shown),
            number: now.progress.number,
            time: Some(to_wire(Timestamp::now())),
        };
        let mut wait = WAIT_MIN;
        while self
            .parts
            .progress
            .write_done(&self.job.name(), self.file, done.clone())
            .await
            .is_err()
        {
            let waited = self.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            if waited.is_none() {
                return;
            }
            wait = (wait * 2).min(WAIT_MAX);
        }
        ::metrics::counter!(metrics::IMPORT_FILES, "outcome" => outcome).increment(1);
    }
}

impl Now {
    /// Goes on where it is.
    fn begin(known: FileProgress, bounces: u64) -> Self {
        let mut shown = known.file.clone().unwrap_or_default();
        shown.set_state(ImportFileState::Reading);
        shown.state_reason.clear();
        let counters = shown.counters.unwrap_or_default();
        let failures = if known.bounces < bounces { 0 } else { known.failures };
        Self {
            progress: FileProgress {
                next_row: known.next_row.max(1),
                bad: false,
                retry_time: None,
                bounces,
                failures,
                ..known
            },
            shown,
            counters,
            written: Instant::now(),
        }
    }

    fn count(&mut self, outcomes: &[Outcome]) {
        let rejected = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Rejected(_)))
            .count() as u64;
        self.counters.rejected += rejected;
        self.counters.sent += outcomes.len() as u64 - rejected;
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Gone(why) => Self::Gone(why),
            Error::Trouble(trouble, why) => Self::Trouble(trouble, why),
        }
    }
}
