//! Segments that Braze, played by the simulator, exports when a job asks for it.

use std::sync::Arc;
use std::time::Duration;

use braze_sim::{Bucket, Fault, FaultKind, Key, Options, Segment, Sim, Storage};
use control::sealing::Sealer;
use control::{ImportJob, ImportSchedule, ImportSource, NewImportJob, SegmentFiles};
use jiff::Timestamp;
use tempfile::TempDir;

use super::callback;
use crate::harness::imports::{Importing, KEYS, authorize};
use crate::harness::s3::S3;
use crate::harness::{DEADLINE, http, topic, wait_for};

/// The services, and the storage that Braze writes to and ingest-svc reads.
struct Rig {
    sim: Sim,
    importing: Importing,
    /// `accounts/…/authorizations/…`, of Braze.
    authorization: String,
    exports: Exports,
}

/// What Braze writes its exports to.
enum Exports {
    Folder(TempDir),
    Bucket(S3),
}

impl Exports {
    fn folder() -> Self {
        Self::Folder(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn of_braze(&self) -> Storage {
        match self {
            Self::Folder(folder) => Storage::Folder(folder.path().canonicalize().unwrap()),
            Self::Bucket(s3) => Storage::S3(Bucket {
                name: "files".to_owned(),
                endpoint: Some(s3.endpoint.clone()),
                region: "us-east-1".to_owned(),
                access_key_id: "id-2".to_owned(),
                secret_access_key: "secret-2".to_owned(),
            }),
        }
    }
}

/// A port that nobody has: Braze must be told before the service listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn rig(key: Key, exports: Exports) -> Rig {
    let storage = exports.of_braze();
    let options = Options {
        storage: Some(storage.clone()),
        keys: vec![Key::new("sim-key"), key],
        ..Options::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let (base, port) = (sim.base_url(), free_port());
    let importing = Importing::start(|config| {
        match storage {
            Storage::Folder(folder) => config.imports.folder = Some(folder),
            Storage::S3(bucket) => config.imports.endpoints = bucket.endpoint.into_iter().collect(),
        }
        config.braze.endpoint = Some(base.trim_end_matches('/').to_owned());
        config.http.listen = format!("127.0.0.1:{port}");
        config.http.public_url = format!("http://127.0.0.1:{port}");
    })
    .await;
    let authorization = authorize(&importing.service, importing.account, "job-key").await;
    Rig {
        sim,
        importing,
        authorization,
        exports,
    }
}

impl Rig {
    /// Users at Braze, by their numbers.
    async fn users(&self, numbers: std::ops::Range<usize>) {
        let users: Vec<_> = numbers
            .map(|number| serde_json::json!({ "external_id": format!("u{number}"), "email": format!("u{number}@example.com") }))
            .collect();
        self.call_braze("users/track", &serde_json::json!({ "attributes": users }))
            .await;
        self.sim.handle().idle().await;
    }

    /// As somebody else with a key of the workspace.
    async fn call_braze(&self, endpoint: &str, body: &serde_json::Value) {
        let url = format!("{}/{endpoint}", self.sim.base_url().trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        let answer = client.post(url).bearer_auth("sim-key").json(body).send().await;
        assert!(answer.unwrap().status().is_success());
    }

    async fn job(&self, schedule: Option<ImportSchedule>) -> ImportJob {
        let authorization = self.authorization.clone();
        let of_segment = |new: &mut NewImportJob| {
            let ImportSource::Storage(files) = &new.source else {
                panic!("{new:?}")
            };
            new.source = ImportSource::SegmentExport(SegmentFiles {
                storage_authorization: files.authorization.clone(),
                authorization,
                segment_id: Segment::all_users("default").id,
                fields: vec!["external_id".to_owned(), "email".to_owned()],
                custom_attributes: Vec::new(),
            });
            new.schedule = schedule;
        };
        match &self.exports {
            Exports::Folder(_) => self.importing.job(of_segment).await,
            Exports::Bucket(s3) => self.importing.job_of_s3(s3, of_segment).await,
        }
    }

    /// Waits until so many events are published, and tells whose.
    async fn read(&self, count: usize) -> Vec<String> {
        let (service, account) = (&self.importing.service, self.importing.account);
        let read = async || {
            let events = topic::events_so_far(&service.kafka, account).await;
            (events.len() >= count).then_some(events)
        };
        let events = wait_for("the users of the segment are profile events", read).await;
        assert_eq!(events.len(), count);
        let emails = events.iter().map(|event| event.field("email").unwrap().to_owned());
        emails.collect()
    }

    async fn reason(&self, job: &ImportJob, told: &str) {
        let read = async || {
            let reason = self.importing.coordinated(job).reason;
            reason.contains(told).then_some(())
        };
        wait_for(&format!("the job says {told}"), read).await;
    }
}

#[tokio::test]
async fn what_braze_exports_is_read_once_each_time_it_is_asked_for() {
    let rig = rig(Key::new("job-key"), Exports::folder()).await;
    rig.users(0..5).await;
    let day = ImportSchedule::Every(Duration::from_secs(86_400));
    let job = rig.job(Some(day)).await;
    let mut first = rig.read(5).await;
    first.sort();
    assert_eq!(
        first,
        ["u0", "u1", "u2", "u3", "u4"].map(|user| format!("{user}@example.com"))
    );
    assert_eq!(rig.sim.handle().exports().len(), 1);
    rig.users(5..6).await;
    let jobs = rig.importing.service.directory.import_jobs();
    jobs.bounce(rig.importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    // All users are in the second export, too, and nothing of the first is read again.
    let both = rig.read(11).await;
    assert_eq!(both.iter().filter(|email| *email == "u5@example.com").count(), 1);
    assert_eq!(rig.sim.handle().exports().len(), 2);
}

#[tokio::test]
async fn a_key_that_may_not_export_is_told_with_the_permission_and_a_new_one_goes_on() {
    let rig = rig(Key::new("job-key").with_permissions(["users.track"]), Exports::folder()).await;
    rig.users(0..1).await;
    let job = rig.job(None).await;
    rig.reason(&job, "users.export.segment").await;
    assert!(rig.sim.handle().exports().is_empty());
    rig.sim.handle().put_key(Key::new("job-key"));
    let jobs = rig.importing.service.directory.import_jobs();
    jobs.bounce(rig.importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(rig.read(1).await, ["u0@example.com"]);
}

#[tokio::test]
async fn a_rotated_key_of_braze_is_asked_with_from_the_next_export_on() {
    let rig = rig(Key::new("job-key"), Exports::folder()).await;
    rig.users(0..1).await;
    let job = rig.job(Some(ImportSchedule::Every(Duration::from_secs(86_400)))).await;
    rig.read(1).await;
    rig.sim.handle().reject_key("job-key");
    rig.sim.handle().put_key(Key::new("next-key"));
    let (directory, account) = (&rig.importing.service.directory, rig.importing.account);
    let (jobs, authorizations) = (directory.import_jobs(), directory.authorizations());
    let again = async || {
        let bounced = jobs.bounce(account, &job.id, None, Timestamp::now());
        bounced.await.unwrap();
    };
    again().await;
    rig.reason(&job, "rotate it").await;
    let sealer = Arc::new(Sealer::from_config(&KEYS.into()).unwrap());
    let id = rig.authorization.rsplit('/').next().unwrap();
    let rotated = authorizations.rotate_key(account, id, "next-key".into(), &sealer, None, Timestamp::now());
    rotated.await.unwrap();
    again().await;
    assert_eq!(rig.read(2).await, ["u0@example.com"; 2]);
}

#[tokio::test]
async fn what_braze_writes_to_a_bucket_is_read_from_it() {
    let rig = rig(Key::new("job-key"), Exports::Bucket(S3::start().await)).await;
    rig.users(0..3).await;
    let job = rig.job(None).await;
    let mut read = rig.read(3).await;
    read.sort();
    assert_eq!(read, ["u0", "u1", "u2"].map(|user| format!("{user}@example.com")));
    let [export] = &rig.sim.handle().exports()[..] else {
        panic!("one export")
    };
    let files = rig.importing.done(&job, 1).await;
    assert_eq!(
        files.iter().map(|file| &file.key).collect::<Vec<_>>(),
        export.files.iter().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn without_its_call_an_export_is_not_taken_for_ready_and_a_late_call_is_heard() {
    let rig = rig(Key::new("job-key"), Exports::folder()).await;
    rig.users(0..2).await;
    let handle = rig.sim.handle();
    handle.inject(Fault::new(FaultKind::NoCallback {}).next(1));
    let job = rig.job(None).await;
    rig.reason(&job, "has written 1 files so far").await;
    assert!(rig.importing.files(&job).is_empty());
    let (address, path) = (rig.importing.service.addresses.http, callback::path(&job, 1));
    let called = http::post(address, &path, &[], callback::SUCCESS).await;
    assert_eq!(called.status, 200);
    assert_eq!(rig.read(2).await.len(), 2);
    assert_eq!(handle.exports().len(), 1);
}

#[tokio::test]
async fn while_braze_exports_the_segment_for_somebody_else_the_job_waits_and_says_so() {
    let rig = rig(Key::new("job-key"), Exports::folder()).await;
    rig.users(0..1).await;
    let handle = rig.sim.handle();
    handle.change_settings(|settings| settings.segment_export.delay = Duration::from_secs(3_600));
    let segment = Segment::all_users("default").id;
    let wish = serde_json::json!({ "segment_id": segment, "fields_to_export": ["email"] });
    rig.call_braze("users/export/segment", &wish).await;
    let job = rig.job(None).await;
    rig.reason(&job, "Braze exports the segment already").await;
    let progress = rig.importing.coordinated(&job);
    assert!(progress.resume_time.is_some() && !progress.failed, "{progress:?}");
    assert_eq!(handle.exports().len(), 1);
}
