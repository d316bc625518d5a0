//! Proves that replicas of ingest-svc share the files of a job and replace each other: one that is killed in the middle of a file, and one that
//! is frozen for longer than its session. Which files were in the middle is certain: who reads them is stopped, and does not go on.

use std::collections::BTreeSet;

use control::{
    Directory, FileFormat, ImportJob, ImportSource, NewAccount, NewImportJob, NewStorageAuthorization, Storage,
    StorageFiles,
};
use jiff::Timestamp;
use kafka::{Table, Topics};
use model::AccountNumber;
use nix::sys::signal::Signal;
use prost::Message;
use proto::imports::v1::ImportProgress;
use proto::imports::v1::import_progress::Progress;
use tempfile::TempDir;

use crate::harness::broker::{ACCOUNT, Broker};
use crate::harness::process::metric;
use crate::harness::system::Ingest;
use crate::harness::{topic, until};

const FILES: usize = 8;
const ROWS: usize = 20_000;
const READING: &str = "ingest_import_files_reading";
const READ: &str = "ingest_import_rows_total";

/// Two replicas in the middle of a job's files, the first of which is stopped.
struct Halfway {
    broker: Broker,
    first: Ingest,
    second: Ingest,
    job: ImportJob,
    table: Table,
    _folder: TempDir,
}

impl Halfway {
    async fn start(broker: Broker) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for file in 0..FILES {
            let rows = (0..ROWS).map(|row| format!("b-{file}-{row},user-{file}-{row}@example.com\n"));
            let csv: String = std::iter::once("braze_id,email\n".to_owned()).chain(rows).collect();
            std::fs::write(folder.path().join(format!("{file}.csv")), csv).unwrap();
        }
        kafka::topics::ensure(&broker.kafka, &[ACCOUNT]).await.unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let settings = [("IMPORTS__FOLDER", path.as_str()), ("IMPORTS__FILES_MAX", "2")];
        let first = Ingest::start(&broker, &settings).await;
        let second = Ingest::start(&broker, &settings).await;
        let placement = Topics::new(&broker.kafka).import_placement();
        let slots = kafka::topics::partitions(&broker.kafka, &placement).await.unwrap();
        assert!(slots >= 4, "{slots}");
        let job = job(&broker.kafka).await;
        let progress = Topics::new(&broker.kafka).import_progress();
        let table = Table::open(&broker.kafka, &progress, "t", "t").await.unwrap();
        let halfway = Self {
            broker,
            first,
            second,
            job,
            table,
            _folder: folder,
        };
        until("both to read", async || {
            let [first, second] = [&halfway.first, &halfway.second].map(|replica| replica.admin);
            metric(first, READING).await > 0.0 && metric(first, READ).await > 0.0 && metric(second, READ).await > 0.0
        })
        .await;
        halfway.first.process.signal(Signal::SIGSTOP);
        assert!(halfway.done().len() < FILES, "the first was too fast");
        halfway
    }

    /// The ends of files that are written down.
    fn done(&self) -> Vec<String> {
        let entries = self.table.scan(&format!("{}/", self.job.name())).into_iter();
        entries
            .map(|(key, _)| key)
            .filter(|key| key.ends_with("/done"))
            .collect()
    }

    /// Looks for files that are over.
    fn looks(&self) -> u64 {
        let entry = self.table.get(&self.job.name());
        let known = entry.map(|entry| ImportProgress::decode(entry.value).unwrap());
        match known.and_then(|known| known.progress) {
            Some(Progress::Job(job)) => job.looks,
            _ => 0,
        }
    }

    /// Waits until all files are read, and proves that every row has come, if perhaps several times.
    async fn all_came(&self) {
        until("all files to be read", async || self.done().len() == FILES).await;
        let events = topic::events(&self.broker.kafka).await;
        let ids: BTreeSet<_> = events.iter().map(|(_, event)| event.event_id.clone()).collect();
        let keys: BTreeSet<_> = events.iter().map(|(record, _)| record.key.clone()).collect();
        assert_eq!(
            (keys.len(), ids.len()),
            (FILES * ROWS, FILES * ROWS),
            "of {} events",
            events.len()
        );
    }
}

async fn job(kafka: &kafka::Config) -> ImportJob {
    let directory = Directory::open(kafka, &control::Auth::default()).await.unwrap();
    let (account, now) = (AccountNumber::new(ACCOUNT).unwrap(), Timestamp::now());
    let new = NewAccount {
        number: account,
        hex: None,
        label: "test".to_owned(),
    };
    directory.accounts().create(new, now).await.unwrap();
    let new = NewStorageAuthorization {
        label: "folder".to_owned(),
        description: String::new(),
        storage: Storage::Folder { path: String::new() },
        secret: None,
    };
    let authorizations = directory.storage_authorizations();
    let authorization = authorizations.create(account, new, None, now).await.unwrap();
    let new = NewImportJob {
        label: "job".to_owned(),
        description: String::new(),
        stream: "braze_users".to_owned(),
        source: ImportSource::Storage(StorageFiles {
            authorization: authorization.name(),
            prefix: String::new(),
            pattern: String::new(),
        }),
        format: FileFormat::default(),
        schedule: None,
        drop_errors: false,
        skip_bad_files: false,
        diff: false,
    };
    directory.import_jobs().create(account, new, now).await.unwrap()
}

#[tokio::test]
async fn a_replica_killed_in_the_middle_of_a_file_is_replaced_and_no_row_is_lost() {
    let name = "imports::a_replica_killed_in_the_middle_of_a_file_is_replaced_and_no_row_is_lost";
    let Some(broker) = Broker::real_with(name, 8) else {
        return;
    };
    let mut halfway = Halfway::start(broker).await;
    halfway.first.process.signal(Signal::SIGKILL);
    assert_eq!(halfway.first.process.ended().await, None);
    halfway.all_came().await;
    halfway.second.process.terminate().await;
}

#[tokio::test]
async fn a_replica_frozen_past_its_session_stops_when_it_thaws_and_what_is_done_stays_done() {
    let name = "imports::a_replica_frozen_past_its_session_stops_when_it_thaws_and_what_is_done_stays_done";
    let Some(broker) = Broker::real_with(name, 8) else {
        return;
    };
    let mut halfway = Halfway::start(broker).await;
    until("the other to read all files", async || halfway.done().len() == FILES).await;
    let done = halfway.done();
    halfway.first.process.signal(Signal::SIGCONT);
    until("it to stop", async || metric(halfway.first.admin, READING).await == 0.0).await;
    // It has its slots again when the other has gone, and finds nothing to read.
    halfway.second.process.terminate().await;
    let jobs = Directory::open(&halfway.broker.kafka, &control::Auth::default())
        .await
        .unwrap();
    let jobs = jobs.import_jobs();
    jobs.bounce(halfway.job.account, &halfway.job.id, None, Timestamp::now())
        .await
        .unwrap();
    until("it to have looked again", async || halfway.looks() == 2).await;
    assert_eq!(metric(halfway.first.admin, READING).await, 0.0);
    assert_eq!(halfway.done(), done);
    halfway.all_came().await;
    halfway.first.process.terminate().await;
}
