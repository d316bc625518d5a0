//! Import jobs, and what is written down of them.

use std::path::Path;

use control::sealing::Sealer;
use control::{
    Budget, FileFormat, ImportJob, ImportSource, NewAuthorization, NewImportJob, NewStorageAuthorization, Storage,
    StorageFiles,
};
use ingest_svc::config::Config;
use jiff::Timestamp;
use kafka::testing::InProcessBroker;
use kafka::{Table, Topics};
use model::AccountNumber;
use prost::Message;
use proto::imports::v1::import_progress::Progress;
use proto::imports::v1::{
    ExportCallback, FileProgress, ImportCounters, ImportFile, ImportFileState, ImportProgress, JobProgress,
};
use secrecy::SecretString;
use tempfile::TempDir;

use super::s3::S3;
use super::{Service, config, until};

pub(crate) const KEYS: &str = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A service of the test's own with an account, and a folder that jobs may read.
pub(crate) struct Importing {
    pub(crate) broker: InProcessBroker,
    pub(crate) service: Service,
    pub(crate) account: AccountNumber,
    config: Config,
    folder: TempDir,
    table: Table,
}

impl Importing {
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = config(&broker.config());
        config.imports.folder = Some(folder.path().canonicalize().unwrap());
        config.secrets.keys = KEYS.into();
        change(&mut config);
        let service = Service::start(config.clone()).await;
        let account = service.account().await;
        let table = Table::open(&config.kafka, &Topics::new(&config.kafka).import_progress(), "t", "t").await;
        Self {
            table: table.unwrap(),
            broker,
            service,
            account,
            config,
            folder,
        }
    }

    /// Where the files of [`Importing::job`] are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder, whole at once.
    pub(crate) fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(key);
        let beside = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(beside.path(), content).unwrap();
        beside.persist(path).unwrap();
    }

    /// Creates a job that reads the folder, for the stream `braze_users`.
    pub(crate) async fn job(&self, change: impl FnOnce(&mut NewImportJob)) -> ImportJob {
        let storage = Storage::Folder { path: String::new() };
        self.job_of(storage, None, change).await
    }

    /// Creates a job that reads the bucket `files`.
    pub(crate) async fn job_of_s3(&self, s3: &S3, change: impl FnOnce(&mut NewImportJob)) -> ImportJob {
        let storage = Storage::S3 {
            bucket: "files".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "id-1".to_owned(),
            endpoint: Some(s3.endpoint.clone()),
        };
        self.job_of(storage, Some("secret-1".into()), change).await
    }

    async fn job_of(
        &self,
        storage: Storage,
        secret: Option<SecretString>,
        change: impl FnOnce(&mut NewImportJob),
    ) -> ImportJob {
        let (directory, now) = (&self.service.directory, Timestamp::now());
        let sealer = Sealer::from_config(&KEYS.into()).unwrap();
        let new = NewStorageAuthorization {
            label: now.to_string(),
            description: String::new(),
            storage,
            secret,
        };
        let authorizations = directory.storage_authorizations();
        let created = authorizations.create(self.account, new, Some(&sealer), now);
        let authorization = created.await.unwrap().name();
        let mut new = NewImportJob {
            label: now.to_string(),
            description: String::new(),
            stream: "braze_users".to_owned(),
            source: ImportSource::Storage(StorageFiles {
                authorization,
                prefix: String::new(),
                pattern: String::new(),
            }),
            format: FileFormat::default(),
            schedule: None,
            drop_errors: false,
            skip_bad_files: false,
            diff: false,
        };
        change(&mut new);
        directory.import_jobs().create(self.account, new, now).await.unwrap()
    }

    /// Ends the service in good order, and starts it anew on the same broker.
    pub(crate) async fn restart(&mut self) {
        self.service.lifecycle.drain("the test restarts it");
        self.service = Service::start(self.config.clone()).await;
    }

    /// What its coordinator has written.
    pub(crate) fn coordinated(&self, job: &ImportJob) -> JobProgress {
        match self.table.get(&job.name()).and_then(|entry| decode(&entry.value)) {
            Some(Progress::Job(progress)) => progress,
            _ => JobProgress::default(),
        }
    }

    /// The newest call of Braze for a job that was written down.
    pub(crate) fn called_back(&self, job: &ImportJob) -> Option<ExportCallback> {
        let entry = self.table.get(&format!("{}/callback", job.name()))?;
        match decode(&entry.value)? {
            Progress::Callback(callback) => Some(callback),
            other => panic!("{other:?}"),
        }
    }

    /// The files of a job in their order, each with the newest word about it.
    pub(crate) fn files(&self, job: &ImportJob) -> Vec<ImportFile> {
        let mut files: Vec<(String, u64, ImportFile)> = Vec::new();
        for (key, entry) in self.table.scan(&format!("{}/", job.name())) {
            match decode(&entry.value) {
                Some(Progress::Done(done)) => {
                    files.retain(|(id, ..)| !key.starts_with(id.as_str()));
                    files.push((key, done.number, done.file.unwrap()));
                }
                Some(Progress::File(file)) => files.push((key, file.number, file.file.unwrap())),
                _ => {}
            }
        }
        files.sort_by_key(|(_, number, _)| *number);
        files.into_iter().map(|(.., file)| file).collect()
    }

    /// How far the only file of a job was read, as was written last before its end.
    pub(crate) fn reading(&self, job: &ImportJob) -> FileProgress {
        let entries = self.table.scan(&format!("{}/", job.name()));
        let progress = entries.iter().find_map(|(_, entry)| match decode(&entry.value) {
            Some(Progress::File(file)) => Some(file),
            _ => None,
        });
        progress.unwrap_or_default()
    }

    /// The key of how far the only file of a job was read.
    pub(crate) fn key_of_progress(&self, job: &ImportJob) -> String {
        let entries = self.table.scan(&format!("{}/", job.name()));
        let mut keys = entries.into_iter().map(|(key, _)| key);
        keys.find(|key| !key.ends_with("/done")).unwrap()
    }

    /// How many records are kept of a job.
    pub(crate) fn kept(&self, job: &ImportJob) -> usize {
        let below = self.table.scan(&format!("{}/", job.name())).len();
        below + usize::from(self.table.get(&job.name()).is_some())
    }

    /// Takes away that the only file of a job is read.
    pub(crate) async fn forget_the_end(&self, job: &ImportJob) {
        let key = format!("{}/done", self.key_of_progress(job));
        let forget = kafka::Change::Delete { key };
        let forgotten = self.table.mutate::<(), ()>(move |_| Ok((vec![forget.clone()], ())));
        forgotten.await.unwrap();
    }

    /// Writes of a job what this version cannot read, as a later one may.
    pub(crate) async fn make_unreadable(&self, job: &ImportJob) {
        let (kafka, key) = (&self.config.kafka, format!("importJob/{}", job.name()));
        let control = Table::open(kafka, &Topics::new(kafka).control(), "control", "t").await;
        let value = b"\xff\xff".as_slice().into();
        let put = kafka::Change::Put { key, value };
        let control = control.unwrap();
        let written = control.mutate::<(), ()>(move |_| Ok((vec![put.clone()], ())));
        written.await.unwrap();
    }

    /// Waits until so many files are in that state.
    pub(crate) async fn until(&self, job: &ImportJob, count: usize, state: ImportFileState) {
        let what = format!("{count} files are {state:?}");
        until(&what, || {
            let files = self.files(job);
            files.iter().filter(|file| file.state() == state).count() >= count
        })
        .await;
    }

    /// Waits until so many files are read, and gives all.
    pub(crate) async fn done(&self, job: &ImportJob, count: usize) -> Vec<ImportFile> {
        self.until(job, count, ImportFileState::Done).await;
        self.files(job)
    }

    /// Values of the field `email` of all events of the account, of which there are so many.
    pub(crate) async fn emails(&self, count: usize) -> Vec<String> {
        let events = self.service.events(self.account, count).await;
        events
            .iter()
            .map(|event| event.field("email").unwrap().to_owned())
            .collect()
    }
}

/// Creates an authorization of Braze with this key; its name.
pub(crate) async fn authorize(service: &Service, account: AccountNumber, key: &str) -> String {
    let new = NewAuthorization {
        label: "Sim".to_owned(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: None,
        budget: Budget::default(),
        rest_api_key: key.into(),
    };
    let sealer = Sealer::from_config(&KEYS.into()).unwrap();
    let authorizations = service.directory.authorizations();
    let created = authorizations.create(account, new, 1, &sealer, Timestamp::now());
    created.await.unwrap().name()
}

/// A CSV of users with these numbers.
pub(crate) fn csv(numbers: std::ops::Range<usize>) -> String {
    let rows = numbers.map(|number| format!("b-{number},user-{number}@example.com\n"));
    std::iter::once("braze_id,email\n".to_owned()).chain(rows).collect()
}

pub(crate) fn counters(file: &ImportFile) -> ImportCounters {
    file.counters.unwrap_or_default()
}

/// How far a file is, at that row.
pub(crate) fn encoded(file: FileProgress, next_row: u64) -> Vec<u8> {
    let progress = Some(Progress::File(FileProgress { next_row, ..file }));
    ImportProgress { progress }.encode_to_vec()
}

fn decode(value: &[u8]) -> Option<Progress> {
    ImportProgress::decode(value).unwrap().progress
}
