//! Import jobs of a file in the bucket, as whoever measures them wants and sees them: through the control table and the topic of their
//! progress.

use std::time::Duration;

use anyhow::Context as _;
use control::sealing::Sealer;
use control::{
    Directory, FileFormat, ImportJob, ImportSource, NewImportJob, NewStorageAuthorization, Storage, StorageFiles,
};
use jiff::Timestamp;
use kafka::{Table, Topics};
use model::AccountNumber;
use prost::Message;
use proto::imports::v1::{ImportCounters, ImportProgress, import_progress};
use shared_e2e::bench::{CORE, Setup};
use shared_e2e::ingest::{ACCOUNT, World};
use tokio::time::Instant;

use crate::bucket::{self, Bucket};

/// Seals the bucket's secret, in the service and here: nobody else's.
const KEYS: &str = "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const STREAM: &str = "braze_users";
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A file that gets no further for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// ingest-svc on the core of whoever is measured, which may read the bucket.
///
/// # Errors
/// When it does not become ready.
pub(crate) async fn world(setup: &Setup, name: &str, bucket: &Bucket) -> anyhow::Result<World> {
    start(setup, name, bucket, Some(CORE)).await
}

/// The same on every core.
///
/// # Errors
/// When it does not become ready.
pub(crate) async fn world_on_all_cores(setup: &Setup, name: &str, bucket: &Bucket) -> anyhow::Result<World> {
    start(setup, name, bucket, None).await
}

async fn start(setup: &Setup, name: &str, bucket: &Bucket, core: Option<usize>) -> anyhow::Result<World> {
    let endpoints = format!("[{:?}]", bucket.endpoint);
    let settings = [("SECRETS__KEYS", KEYS), ("IMPORTS__ENDPOINTS", endpoints.as_str())];
    World::start_on(setup, &format!("imports-{name}"), &settings, core).await
}

/// Whoever wants files read.
pub(crate) struct Jobs {
    directory: Directory,
    progress: Table,
    account: AccountNumber,
    authorization: String,
}

impl Jobs {
    /// With the authorization of the bucket.
    ///
    /// # Errors
    /// When Kafka is away.
    pub(crate) async fn of(world: &World, bucket: &Bucket) -> anyhow::Result<Self> {
        let directory = Directory::open(world.kafka(), &control::Auth::default()).await?;
        let topic = Topics::new(world.kafka()).import_progress();
        let progress = Table::open(world.kafka(), &topic, "bench", "lytics.imports.v1.ImportProgress").await?;
        let account = AccountNumber::new(ACCOUNT).context("a number that accounts have")?;
        let new = NewStorageAuthorization {
            label: "bucket".to_owned(),
            description: String::new(),
            storage: Storage::S3 {
                bucket: bucket::NAME.to_owned(),
                region: "us-east-1".to_owned(),
                access_key_id: bucket::KEY_ID.to_owned(),
                endpoint: Some(bucket.endpoint.clone()),
            },
            secret: Some(bucket::KEY.into()),
        };
        let sealer = Sealer::from_config(&KEYS.into())?;
        let storages = directory.storage_authorizations();
        let authorization = storages
            .create(account, new, Some(&sealer), Timestamp::now())
            .await?
            .name();
        Ok(Self {
            directory,
            progress,
            account,
            authorization,
        })
    }

    /// A job that reads the file of that key.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn create(&self, key: &str) -> anyhow::Result<ImportJob> {
        let new = NewImportJob {
            label: key.to_owned(),
            description: String::new(),
            stream: STREAM.to_owned(),
            source: ImportSource::Storage(StorageFiles {
                authorization: self.authorization.clone(),
                prefix: key.to_owned(),
                pattern: String::new(),
            }),
            format: FileFormat::default(),
            schedule: None,
            drop_errors: false,
            skip_bad_files: false,
            diff: false,
        };
        Ok(self
            .directory
            .import_jobs()
            .create(self.account, new, Timestamp::now())
            .await?)
    }

    /// Waits until the file is read to its end.
    ///
    /// # Errors
    /// When it gets no further, or Kafka does not have as many records as it has rows.
    pub(crate) async fn done(&self, job: &ImportJob, rows: u64) -> anyhow::Result<()> {
        let counters = self.until(job, |progress| match progress {
            import_progress::Progress::Done(done) => done.file.and_then(|file| file.counters),
            _ => None,
        });
        let sent = counters.await?.sent;
        anyhow::ensure!(sent == rows, "{sent} of {rows} rows were sent");
        Ok(())
    }

    /// Waits until some of its rows are read.
    ///
    /// # Errors
    /// As [`Jobs::done`].
    pub(crate) async fn begun(&self, job: &ImportJob) -> anyhow::Result<()> {
        let begun = self.until(job, |progress| match progress {
            import_progress::Progress::File(file) if file.next_row > 1 => Some(ImportCounters::default()),
            _ => None,
        });
        begun.await.map(drop)
    }

    /// Whether its file was read to its end.
    pub(crate) fn is_done(&self, job: &ImportJob) -> bool {
        let keys = self.progress.scan(&format!("{}/", job.name()));
        keys.iter().any(|(key, _)| key.ends_with("/done"))
    }

    /// Ends it wherever it is.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn end(&self, job: &ImportJob) -> anyhow::Result<()> {
        Ok(self.directory.import_jobs().delete(self.account, &job.id, None).await?)
    }

    async fn until(
        &self,
        job: &ImportJob,
        is: impl Fn(import_progress::Progress) -> Option<ImportCounters>,
    ) -> anyhow::Result<ImportCounters> {
        let prefix = format!("{}/", job.name());
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let revision = *self.progress.changed().borrow();
            for (_, entry) in self.progress.scan(&prefix) {
                let progress = ImportProgress::decode(entry.value)?.progress;
                if let Some(counters) = progress.and_then(&is) {
                    return Ok(counters);
                }
            }
            if revision > seen {
                (seen, since) = (revision, Instant::now());
            }
            anyhow::ensure!(since.elapsed() < PATIENCE, "{} gets no further", job.label);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
