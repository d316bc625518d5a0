//! Segments that Braze, played by the simulator, exports when a job asks for it.

use std::time::Duration;

use braze_sim::{Key, Options, Segment, Sim, Storage};
use control::sealing::Sealer;
use control::{Budget, ImportJob, ImportSchedule, ImportSource, NewAuthorization, SegmentFiles};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::harness::imports::{Importing, KEYS};
use crate::harness::{DEADLINE, topic, wait_for};

/// The services, and the storage that Braze writes to and ingest-svc reads.
struct Rig {
    sim: Sim,
    importing: Importing,
    /// `accounts/…/authorizations/…`, of Braze.
    authorization: String,
    _exports: TempDir,
}

/// A port that nobody has: Braze must be told before the service listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn rig(key: Key) -> Rig {
    let exports = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = exports.path().canonicalize().unwrap();
    let options = Options {
        storage: Some(Storage::Folder(folder.clone())),
        keys: vec![Key::new("sim-key"), key],
        ..Options::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let (base, port) = (sim.base_url(), free_port());
    let importing = Importing::start(|config| {
        config.imports.folder = Some(folder);
        config.braze.endpoint = Some(base.trim_end_matches('/').to_owned());
        config.http.listen = format!("127.0.0.1:{port}");
        config.http.public_url = format!("http://127.0.0.1:{port}");
    })
    .await;
    let new = NewAuthorization {
        label: "Sim".to_owned(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: None,
        budget: Budget::default(),
        rest_api_key: "job-key".into(),
    };
    let sealer = Sealer::from_config(&KEYS.into()).unwrap();
    let authorizations = importing.service.directory.authorizations();
    let created = authorizations.create(importing.account, new, 1, &sealer, Timestamp::now());
    let authorization = created.await.unwrap().name();
    Rig {
        sim,
        importing,
        authorization,
        _exports: exports,
    }
}

impl Rig {
    /// Users at Braze, by their numbers.
    async fn users(&self, numbers: std::ops::Range<usize>) {
        let users: Vec<_> = numbers
            .map(|number| serde_json::json!({ "external_id": format!("u{number}"), "email": format!("u{number}@example.com") }))
            .collect();
        let url = format!("{}/users/track", self.sim.base_url().trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        let request = client.post(url).bearer_auth("sim-key");
        let answer = request.json(&serde_json::json!({ "attributes": users })).send().await;
        assert!(answer.unwrap().status().is_success());
        self.sim.handle().idle().await;
    }

    async fn job(&self, schedule: Option<ImportSchedule>) -> ImportJob {
        let authorization = self.authorization.clone();
        self.importing
            .job(|new| {
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
            })
            .await
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
    let rig = rig(Key::new("job-key")).await;
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
    let rig = rig(Key::new("job-key").with_permissions(["users.track"])).await;
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
