//! The engine over a broker and the simulator, with waits of milliseconds instead of seconds and minutes.

mod moves;
mod running;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use braze_sim::{Fault, Sim, SimHandle, User, UserRef};
use control::sealing::Sealer;
use control::{
    AudienceEvents, Coalesce, Directory, ExportJob, Identifiers, NewAccount, NewAuthorization, NewExportJob, Options,
};
use export_svc::engine::{Engine, EngineConfig, EngineParts};
use jiff::Timestamp;
use kafka::testing::Brokers;
use kafka::{Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut, Topics};
use model::{AccountNumber, membership_key};
use prost::Message;
use proto::export::v1::{FeedProgress, PartitionPosition, RejectedChange};
use proto::membership::v1::{MembershipAction, MembershipChange};
use tokio_util::sync::CancellationToken;

pub(super) use self::running::{Running, until};

const ACCOUNT: u64 = 1234;
const PARTITIONS: i32 = 4;
pub(super) const KEY: &str = "sim-key";
/// How long a test waits for anything before it fails.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) struct Rig {
    pub(super) kafka: kafka::Config,
    pub(super) topics: Topics,
    pub(super) directory: Directory,
    pub(super) sim: SimHandle,
    pub(super) account: AccountNumber,
    pub(super) authorization: String,
    sealer: Arc<Sealer>,
    publisher: Publisher,
    endpoint: braze::Url,
    _sim: Sim,
    _brokers: Option<Brokers>,
}

/// Waits short enough for tests, in the proportions of the real ones.
pub(super) fn config() -> EngineConfig {
    EngineConfig {
        settle_gap: Duration::from_millis(150),
        doubt: Duration::from_millis(600),
        lease: Duration::from_millis(500),
        request_timeout: Duration::from_secs(2),
        tcp_user_timeout: Duration::from_millis(100),
        progress_every: Duration::from_millis(50),
        late_flush_after: Duration::from_millis(50),
        backoff_min: Duration::from_millis(50),
        probe_after: Duration::from_millis(200),
        restart_after: Duration::from_millis(100),
        ..EngineConfig::default()
    }
}

/// A job that sends what arrives from now on, under the external id in `user_id`, at once.
pub(super) fn job(audience: &str) -> NewExportJob {
    NewExportJob {
        label: format!("{audience} to Braze"),
        description: String::new(),
        audiences: vec![audience.to_owned()],
        authorization: String::new(),
        identifiers: Identifiers {
            external_id_field: Some("user_id".to_owned()),
            ..Identifiers::default()
        },
        existing_users: false,
        flush_after: Duration::from_millis(50),
        batch_updates_max: 75,
        coalesce: Coalesce::Latest,
        events: AudienceEvents::Both,
        guard_percent: 0,
        options: Options::default(),
        start: Vec::new(),
    }
}

impl Rig {
    pub(super) async fn new() -> Self {
        let brokers = kafka::testing::brokers();
        if let Brokers::InProcess(broker) = &brokers {
            let topic = Topics::new(&broker.config()).audience_membership(ACCOUNT);
            broker.create_topic(&topic, PARTITIONS).unwrap();
        } else {
            brokers.ensure_topics(&[ACCOUNT]).await.unwrap();
        }
        let config = brokers.config();
        Self::over(config, Some(brokers)).await
    }

    pub(super) async fn over(kafka: kafka::Config, brokers: Option<Brokers>) -> Self {
        let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
        let directory = Directory::open(&kafka, &control::Auth::default()).await.unwrap();
        let sealer = Arc::new(Sealer::from_config(&crate::service::KEYS.into()).unwrap());
        let account = AccountNumber::new(ACCOUNT).unwrap();
        let new = NewAccount {
            number: account,
            hex: None,
            label: "Demo".to_owned(),
        };
        directory.accounts().create(new, Timestamp::now()).await.unwrap();
        let new = NewAuthorization {
            label: "Sim".to_owned(),
            description: String::new(),
            instance: "US-01".to_owned(),
            workspace: Some("main".to_owned()),
            budget: control::Budget::default(),
            rest_api_key: KEY.into(),
        };
        let authorization = directory
            .authorizations()
            .create(account, new, PARTITIONS, &sealer, Timestamp::now())
            .await
            .unwrap();
        Self {
            topics: Topics::new(&kafka),
            publisher: Publisher::new(&kafka, PublisherOptions::default()).unwrap(),
            endpoint: sim.base_url().parse().unwrap(),
            sim: sim.handle(),
            authorization: authorization.name(),
            directory,
            sealer,
            account,
            kafka,
            _sim: sim,
            _brokers: brokers,
        }
    }

    /// Stores an authorization; its name.
    pub(super) async fn authorize_with(&self, new: NewAuthorization) -> String {
        let created = self.directory.authorizations();
        let created = created.create(self.account, new, PARTITIONS, &self.sealer, Timestamp::now());
        created.await.unwrap().name()
    }

    /// Gives the authorization of all jobs that do not name one another key.
    pub(super) async fn rotate_key(&self, key: &str) {
        let id = self.authorization.rsplit('/').next().unwrap();
        let authorizations = self.directory.authorizations();
        let rotated = authorizations.rotate_key(self.account, id, key.into(), &self.sealer, None, Timestamp::now());
        rotated.await.unwrap();
    }

    pub(super) fn start(&self) -> Running {
        self.start_with(config())
    }

    pub(super) fn start_with(&self, config: EngineConfig) -> Running {
        let options = braze::ClientOptions {
            endpoint_override: Some(self.endpoint.clone()),
            timeout: config.request_timeout,
            tcp_user_timeout: config.tcp_user_timeout,
            ..braze::ClientOptions::default()
        };
        let (engine, handle) = Engine::new(EngineParts {
            config,
            kafka: self.kafka.clone(),
            slots: PARTITIONS,
            directory: self.directory.clone(),
            sealer: self.sealer.clone(),
            braze: braze::Client::new(options).unwrap(),
            publisher: self.publisher.clone(),
            traced: false,
        });
        let drain = CancellationToken::new();
        let token = drain.clone();
        #[expect(clippy::disallowed_methods, reason = "`Running` waits for it")]
        let task = tokio::spawn(async move { engine.run(token).await.unwrap() });
        Running { handle, drain, task }
    }

    /// Lets an engine end as in a crash, with the enter of profile 1, `cust-1`, in flight, which takes effect long after. Gives
    /// back its job, and what a successor is to be configured with.
    pub(super) async fn crash_before_the_enter_takes_effect(&self) -> (ExportJob, EngineConfig) {
        let patient = EngineConfig {
            request_timeout: Duration::from_secs(6),
            ..config()
        };
        let engine = self.start_with(patient.clone());
        let vip = self.create(job("vip")).await;
        engine.until(&vip, |_| true).await;
        self.sim
            .inject(Fault::drop_after().applied_after(Duration::from_secs(5)));
        self.enter("vip", "1", &[("user_id", "cust-1")]).await;
        self.sim.until_arrivals(1).await;
        engine.crash().await;
        self.sim.clear_faults();
        (vip, patient)
    }

    /// Creates a job that starts at the present end of the topic, as the API does.
    pub(super) async fn create(&self, job: NewExportJob) -> ExportJob {
        let authorization = self.authorization.clone();
        self.create_with(NewExportJob { authorization, ..job }).await
    }

    /// As [`Rig::create`], for the authorization that the job names.
    pub(super) async fn create_with(&self, job: NewExportJob) -> ExportJob {
        let start = self.ends(self.topics.audience_membership(ACCOUNT)).await;
        self.create_at(job, start).await
    }

    /// Creates a job that starts at these offsets.
    pub(super) async fn create_at(&self, job: NewExportJob, start: Vec<(i32, i64)>) -> ExportJob {
        let job = NewExportJob { start, ..job };
        self.directory
            .export_jobs()
            .create(self.account, job, Timestamp::now())
            .await
            .unwrap()
    }

    pub(super) async fn ends(&self, topic: String) -> Vec<(i32, i64)> {
        let kafka = self.kafka.clone();
        let ends = move || {
            let reader = Reader::open(&kafka, ReaderOptions::default()).unwrap();
            let end = |partition| (partition, reader.watermarks(&topic, partition).unwrap().1);
            reader.partitions(&topic).unwrap().into_iter().map(end).collect()
        };
        tokio::task::spawn_blocking(ends).await.unwrap()
    }

    /// Everything in a topic: key and value.
    pub(super) async fn read(&self, topic: String) -> Vec<(Vec<u8>, Vec<u8>)> {
        let kafka = self.kafka.clone();
        let read = move || {
            let mut reader = Reader::open(&kafka, ReaderOptions::default()).unwrap();
            let partitions = reader.partitions(&topic).unwrap();
            let from: Vec<_> = partitions
                .iter()
                .map(|partition| (*partition, Position::Beginning))
                .collect();
            reader.assign(&topic, &from).unwrap();
            let (mut records, mut ended) = (Vec::new(), 0);
            while ended < partitions.len() {
                match reader
                    .poll(Duration::from_secs(10))
                    .expect("the topic can be read")
                    .unwrap()
                {
                    Polled::Eof { .. } => ended += 1,
                    Polled::Record(record) => {
                        let bytes = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
                        records.push((bytes(record.key()), bytes(record.payload())));
                    }
                }
            }
            records
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// What stands on the rejected topic.
    pub(super) async fn rejected(&self) -> Vec<RejectedChange> {
        let kept = self.read(self.topics.export_rejected()).await;
        kept.iter()
            .map(|(_, value)| RejectedChange::decode(&value[..]).unwrap())
            .collect()
    }

    pub(super) async fn enter(&self, audience: &str, profile: &str, fields: &[(&str, &str)]) {
        self.publish(audience, profile, MembershipAction::Enter, fields, &[])
            .await;
    }

    /// As [`Rig::enter`], of a profile whose fields were others before.
    pub(super) async fn enter_from(
        &self,
        audience: &str,
        profile: &str,
        fields: &[(&str, &str)],
        previous: &[(&str, &str)],
    ) {
        self.publish(audience, profile, MembershipAction::Enter, fields, previous)
            .await;
    }

    /// As [`Rig::exit`], of a profile whose fields were others before.
    pub(super) async fn exit_from(
        &self,
        audience: &str,
        profile: &str,
        fields: &[(&str, &str)],
        previous: &[(&str, &str)],
    ) {
        self.publish(audience, profile, MembershipAction::Exit, fields, previous)
            .await;
    }

    pub(super) async fn exit(&self, audience: &str, profile: &str, fields: &[(&str, &str)]) {
        self.publish(audience, profile, MembershipAction::Exit, fields, &[])
            .await;
    }

    async fn publish(
        &self,
        audience: &str,
        profile: &str,
        action: MembershipAction,
        fields: &[(&str, &str)],
        previous: &[(&str, &str)],
    ) {
        let map = |fields: &[(&str, &str)]| -> HashMap<_, _> {
            let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            fields.collect()
        };
        let change = MembershipChange {
            account: ACCOUNT,
            audience_id: audience.to_owned(),
            audience_slug: audience.to_owned(),
            profile_id: profile.to_owned(),
            action: action.into(),
            fields: map(fields),
            previous_fields: map(previous),
            ..MembershipChange::default()
        };
        self.publish_bytes(&membership_key(audience, profile), change.encode_to_vec())
            .await;
    }

    pub(super) async fn publish_bytes(&self, key: &str, payload: Vec<u8>) {
        self.publish_to(&self.topics.audience_membership(ACCOUNT), key, payload)
            .await;
    }

    /// What upstream writes long after an exit.
    pub(super) async fn publish_tombstone(&self, key: &str) {
        let record = RecordOut::new(self.topics.audience_membership(ACCOUNT)).key(key.to_owned());
        self.publisher.publish(record).await.unwrap();
    }

    /// Writes a record where the workspace's progress is looked for, whichever partition that is.
    pub(super) async fn write_progress(&self, key: &str, progress: &impl Message) {
        let topic = self.topics.export_progress();
        for (partition, _) in self.ends(topic.clone()).await {
            let record = RecordOut::new(topic.clone()).partition(partition);
            let record = record.key(key.to_owned()).payload(progress.encode_to_vec());
            self.publisher.publish(record).await.unwrap();
        }
    }

    /// Lets the job go on, when it is served next, where the topic does not reach.
    pub(super) async fn move_beyond(&self, job: &ExportJob) {
        let beyond = (0..PARTITIONS).map(|partition| (partition, 1_000));
        self.move_to(job, beyond.collect()).await;
    }

    /// Lets the job go on at these offsets when it is served next, as if it were shown nothing of what lies before.
    pub(super) async fn move_to(&self, job: &ExportJob, offsets: Vec<(i32, i64)>) {
        let positions = offsets.into_iter().map(|(partition, next)| PartitionPosition {
            partition,
            next,
            ..PartitionPosition::default()
        });
        let moved = FeedProgress {
            positions: positions.collect(),
            ..FeedProgress::default()
        };
        let key = format!("1234.main/{}/{}", job.id, job.audiences[0]);
        self.write_progress(&key, &moved).await;
    }

    pub(super) async fn publish_to(&self, topic: &str, key: &str, payload: Vec<u8>) {
        let record = RecordOut::new(topic).key(key.to_owned()).payload(payload);
        self.publisher.publish(record).await.unwrap();
    }

    /// Compacts the membership topic, on a real Kafka, until of each of these keys only the last record is left.
    pub(super) async fn compact(&self, keys: &[String]) {
        let topic = self.topics.audience_membership(ACCOUNT);
        kafka::testing::compact_soon(&self.kafka, &topic).await.unwrap();
        let deadline = tokio::time::Instant::now() + 4 * DEADLINE;
        let times = |records: &[(Vec<u8>, Vec<u8>)], key: &String| {
            records.iter().filter(|(found, ..)| found == key.as_bytes()).count()
        };
        loop {
            // A record more, once the broker has heard of the settings, and what was written before can be compacted.
            for partition in 0..PARTITIONS {
                let record = RecordOut::new(topic.clone()).partition(partition).key("nobody/0");
                self.publisher.publish(record).await.unwrap();
            }
            let records = self.read(topic.clone()).await;
            if keys.iter().all(|key| times(&records, key) == 1) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "the topic is not compacted");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Slugs of the user with this external id; `None` if there is no such user.
    pub(super) fn slugs(&self, external_id: &str) -> Option<Vec<String>> {
        self.sim
            .user("default", &UserRef::external_id(external_id))
            .map(|user| slugs(&user))
    }

    /// Waits until a user has exactly these slugs.
    pub(super) async fn until_slugs(&self, external_id: &str, expected: &[&str]) {
        let holds = || self.slugs(external_id).is_some_and(|slugs| slugs == expected);
        until(holds, || {
            format!("{external_id} has {expected:?}, it has {:?}", self.slugs(external_id))
        })
        .await;
    }

    pub(super) fn objects(&self) -> Vec<usize> {
        self.sim
            .journal()
            .iter()
            .map(|entry| entry.accepted + entry.refused)
            .collect()
    }
}

pub(super) fn slugs(user: &User) -> Vec<String> {
    user.array("lytics_segments").into_iter().map(str::to_owned).collect()
}
