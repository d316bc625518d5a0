//! The progress table: what is observed of import jobs, at every replica.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kafka::{Change, MutateError, Publisher, RecordOut, Table, Topics};
use prost::Message;
use proto::imports::v1::import_progress::Progress as Value;
use proto::imports::v1::{ExportCallback, FileDone, FileProgress, ImportProgress};
use tokio::sync::watch;
use tokio::time::Instant;

use super::id::FileId;
use super::observe::{self, Observed};
use super::rate::Rate;
use super::view::{JobView, callback_key, done_key, file_key};
use crate::metrics;

/// What the values of the table are.
const VALUE_TYPE: &str = "lytics.imports.v1.ImportProgress";
/// Whoever changes the table by compare-and-set has this transactional id.
const TRANSACTIONAL_ID: &str = "import-progress";
/// How long it may take until a record that Kafka has is seen.
const SEEN_MAX: Duration = Duration::from_secs(10);
/// The only partition.
const PARTITION: i32 = 0;

/// What is observed of import jobs. Every replica has all of it in memory. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Progress {
    table: Table,
    /// Writes how far files are, without a compare: that is for their readers alone to say.
    publisher: Publisher,
    topic: Arc<str>,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// What was decoded of a job.
#[derive(Default)]
struct Known {
    /// The table's, then.
    revision: u64,
    view: Arc<JobView>,
    rate: Rate,
}

/// A write of a coordinator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Write {
    /// How far the job is.
    Job(proto::imports::v1::JobProgress),
    /// A file was found.
    Found(FileId, FileProgress),
    /// A file is forgotten.
    Forget(FileId),
}

impl Progress {
    /// Loads the table.
    ///
    /// # Errors
    /// As of [`Table::open`].
    pub(crate) async fn open(config: &kafka::Config, publisher: Publisher) -> Result<Self, kafka::Error> {
        let topic = Topics::new(config).import_progress();
        Ok(Self {
            table: Table::open(config, &topic, TRANSACTIONAL_ID, VALUE_TYPE).await?,
            publisher,
            topic: topic.into(),
            known: Arc::default(),
        })
    }

    /// Bumps with every record that was applied.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.table.changed()
    }

    /// Whether the table has heard from Kafka lately.
    pub(crate) fn is_fresh(&self) -> bool {
        self.table.is_fresh(Instant::now())
    }

    /// When the table was known to be complete last.
    pub(crate) fn complete_at(&self) -> Option<Instant> {
        self.table.complete_at()
    }

    /// What is known of the job of this name.
    pub(crate) fn job(&self, job: &str) -> Arc<JobView> {
        Arc::clone(&self.look(job, Instant::now()).view)
    }

    /// How a job is at this moment, with its pace.
    pub(crate) fn observed(&self, job: &control::ImportJob, now: Timestamp) -> Observed {
        let at = Instant::now();
        let Looked { view, pace } = self.look(&job.name(), at);
        observe::observe(job, &view, now).at(pace)
    }

    /// Forgets the decoded form of all jobs but these.
    pub(crate) fn keep_only(&self, jobs: &BTreeSet<String>) {
        self.known().retain(|job, _| jobs.contains(job));
    }

    /// The jobs that the table has something of.
    pub(crate) fn jobs(&self) -> BTreeSet<String> {
        let entries = self.table.scan("");
        entries
            .iter()
            .filter_map(|(key, _)| job_of(key))
            .map(str::to_owned)
            .collect()
    }

    /// Writes how far a file is, and waits until Kafka has it.
    ///
    /// # Errors
    /// When Kafka does not acknowledge it in time.
    pub(crate) async fn write_file(&self, job: &str, file: FileId, progress: FileProgress) -> Result<(), kafka::Error> {
        self.write(file_key(job, file), Value::File(progress)).await
    }

    /// Writes the end of a file.
    ///
    /// # Errors
    /// When Kafka does not acknowledge it in time.
    pub(crate) async fn write_done(&self, job: &str, file: FileId, done: FileDone) -> Result<(), kafka::Error> {
        self.write(done_key(job, file), Value::Done(done)).await
    }

    /// Writes that Braze has called about an export of the job.
    ///
    /// # Errors
    /// When Kafka does not acknowledge it in time.
    pub(crate) async fn write_callback(&self, job: &str, callback: ExportCallback) -> Result<(), kafka::Error> {
        self.write(callback_key(job), Value::Callback(callback)).await
    }

    /// Changes what the coordinator of a job writes: `decide` sees the job as it is, and what it returns is written if nobody else
    /// wrote with a compare in between.
    ///
    /// # Errors
    /// When Kafka is not available, or others were faster every time.
    pub(crate) async fn change(
        &self,
        job: &str,
        decide: impl Fn(&JobView) -> Vec<Write> + Send + Sync + 'static,
    ) -> Result<(), MutateError<std::convert::Infallible>> {
        let name = job.to_owned();
        let changes = self.table.mutate(move |table| {
            let view = JobView::of(table, &name, &JobView::default());
            let changes = decide(&view).into_iter().flat_map(|write| write.changes(&name));
            Ok((changes.collect(), ()))
        });
        let (changed, outcome) = match changes.await {
            Ok(_) => (Ok(()), "written"),
            Err(error) => (Err(error), "failed"),
        };
        ::metrics::counter!(metrics::IMPORT_PROGRESS_WRITES, "outcome" => outcome).increment(1);
        changed
    }

    /// Forgets at most `max` records of a job that is no more; whether there are none left.
    ///
    /// # Errors
    /// As of [`Progress::change`].
    pub(crate) async fn forget(&self, job: &str, max: usize) -> Result<bool, MutateError<std::convert::Infallible>> {
        let name = job.to_owned();
        let forgotten = self.table.mutate(move |table| {
            let own = table.get(&name).map(|_| name.clone());
            let below = table.scan(&format!("{name}/")).into_iter().map(|(key, _)| key);
            let mut keys: Vec<_> = own.into_iter().chain(below).take(max + 1).collect();
            let all = keys.len() <= max;
            keys.truncate(max);
            Ok((keys.into_iter().map(|key| Change::Delete { key }).collect(), all))
        });
        let (all, _) = forgotten.await?;
        Ok(all)
    }

    async fn write(&self, key: String, value: Value) -> Result<(), kafka::Error> {
        let context = runtime::trace::current();
        let record = RecordOut::new(&*self.topic)
            .partition(PARTITION)
            .key(key)
            .payload(encode(value))
            .headers(kafka::headers::standard(VALUE_TYPE, &context));
        let written = self.publisher.publish(record).await;
        let outcome = if written.is_ok() { "written" } else { "failed" };
        ::metrics::counter!(metrics::IMPORT_PROGRESS_WRITES, "outcome" => outcome).increment(1);
        // Whoever looks now sees it, so that nobody reads again what was read. If Kafka has gone meanwhile, nobody begins anything.
        let revision = u64::try_from(written?.offset + 1).unwrap_or_default();
        let mut applied = self.table.changed();
        let seen = tokio::time::timeout(SEEN_MAX, applied.wait_for(|applied| *applied >= revision));
        drop(seen.await);
        Ok(())
    }

    /// Decodes what has changed.
    fn look(&self, job: &str, at: Instant) -> Looked {
        let revision = *self.table.changed().borrow();
        let mut all = self.known();
        if !all.contains_key(job) {
            all.insert(job.to_owned(), Known::default());
        }
        let Some(known) = all.get_mut(job) else {
            return Looked::default();
        };
        if known.revision != revision {
            known.view = Arc::new(JobView::of(&self.table.view(), job, &known.view));
            known.revision = revision;
        }
        let counters = observe::counters(&known.view);
        let pace = known.rate.pace(&counters, at);
        known.rate.see(&counters, at);
        Looked {
            view: Arc::clone(&known.view),
            pace,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Each entry is complete in itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Looked {
    view: Arc<JobView>,
    pace: super::rate::Pace,
}

impl Write {
    fn changes(self, job: &str) -> Vec<Change> {
        let put = |key, value| {
            vec![Change::Put {
                key,
                value: encode(value).into(),
            }]
        };
        match self {
            Self::Job(progress) => put(job.to_owned(), Value::Job(progress)),
            Self::Found(file, progress) => put(file_key(job, file), Value::File(progress)),
            Self::Forget(file) => {
                let keys = [file_key(job, file), done_key(job, file)];
                keys.into_iter().map(|key| Change::Delete { key }).collect()
            }
        }
    }
}

fn encode(progress: Value) -> Vec<u8> {
    let progress = Some(progress);
    ImportProgress { progress }.encode_to_vec()
}

/// The job that a key is of: `accounts/{number}/importJobs/{id}`, and whatever comes behind.
fn job_of(key: &str) -> Option<&str> {
    let end = key.match_indices('/').nth(3).map_or(key.len(), |(end, _)| end);
    (key.matches('/').count() >= 3).then_some(&key[..end])
}
