//! What is measured: ingest-svc as a process on a core of its own, over a real Kafka, with topics of its own; and the floor.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Replica;
use crate::bench::{CORE, Floor, Setup};
use anyhow::Context as _;
use control::{ApiTokenSettings, Directory};
use jiff::Timestamp;
use model::{AccountNumber, Role};
use nix::sys::signal::Signal;
use secrecy::ExposeSecret;

use super::connection::Connection;
use super::requests::{Requests, USERS};

/// The account that everything belongs to.
pub const ACCOUNT: u64 = 1234;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// ingest-svc and its topics.
pub struct World {
    kafka: kafka::Config,
    replica: Replica,
    token: String,
    http: SocketAddr,
}

impl World {
    /// Starts it. `settings` are environment variables without their prefix.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(setup: &Setup, name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_on(setup, name, settings, Some(CORE)).await
    }

    /// The same on that core, or on every one.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn start_on(
        setup: &Setup,
        name: &str,
        settings: &[(&str, &str)],
        core: Option<usize>,
    ) -> anyhow::Result<Self> {
        let run = format!("bench-{name}-{:08x}", rand::random::<u32>());
        let kafka = kafka::Config {
            brokers: setup.brokers.clone(),
            topic_prefix: format!("{run}."),
            partitions_max: Some(8),
            ..kafka::Config::default()
        };
        kafka::topics::ensure(&kafka, &[]).await?;
        let token = token(&kafka).await?;
        let own = [
            ("KAFKA__BROKERS", kafka.brokers.as_str()),
            ("KAFKA__TOPIC_PREFIX", &kafka.topic_prefix),
            ("KAFKA__PARTITIONS_MAX", "8"),
            // One token sends everything.
            ("HTTP__TOKEN_REQUESTS_PER_SECOND", "1000000"),
            ("HTTP__TOKEN_REQUESTS_MAX", "1000000"),
            ("HTTP__LISTEN", "127.0.0.1:0"),
            ("GRPC__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        let environment = own.iter().chain(settings);
        let environment = environment.map(|(key, value)| (format!("INGEST_SVC__{key}"), (*value).to_owned()));
        let log = setup.logs.join(format!("{run}.log"));
        let mut replica = Replica::new("ingest-svc", environment.collect(), log)?;
        if let Some(core) = core {
            replica = replica.on_core(core);
        }
        replica.start().await?;
        let http = replica.address("http").context("ingest-svc says where it listens")?;
        let world = Self {
            kafka,
            replica,
            token,
            http,
        };
        world.until_it_takes().await?;
        Ok(world)
    }

    /// The process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.replica.id().context("ingest-svc has ended")
    }

    /// Where its topics are.
    pub fn kafka(&self) -> &kafka::Config {
        &self.kafka
    }

    /// Where requests go.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where metrics are.
    ///
    /// # Errors
    /// When it has ended.
    pub fn metrics(&self) -> anyhow::Result<SocketAddr> {
        self.replica.address("metrics").context("ingest-svc has ended")
    }

    /// What takes the records, with the token.
    pub fn path(&self, endpoint: &str) -> String {
        format!("{endpoint}/braze_users?key={}", self.token)
    }

    /// Requests of so many events each.
    pub fn requests(&self, events_each: usize) -> Requests {
        Requests::new(&self.path(&format!("/c/{ACCOUNT}")), events_each)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.replica.signal(Signal::SIGTERM)?;
        let status = self.replica.wait().await?;
        anyhow::ensure!(status.success(), "ingest-svc drained badly: {status}");
        Ok(())
    }

    /// The floor, which produces what is on the topic already: an event of each user, see [`World::fill`].
    ///
    /// # Errors
    /// When the program is missing.
    pub fn floor(&self, source: &[&str]) -> anyhow::Result<Floor> {
        let topic = kafka::Topics::new(&self.kafka).profile_events();
        let prebuilt = USERS.to_string();
        let own = [
            "--brokers",
            &self.kafka.brokers,
            "--topic",
            &topic,
            "--prebuilt",
            &prebuilt,
        ];
        let arguments: Vec<_> = own.iter().chain(source).copied().collect();
        Floor::start("floor_ingest", &arguments)
    }

    /// Publishes an event of each user.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn fill(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.http).await?;
        for request in self.requests(100).bytes {
            let status = connection.ask(&request).await?;
            anyhow::ensure!(status == 200, "a request is answered {status}");
        }
        Ok(())
    }

    /// Until it has heard of the account and of the token.
    async fn until_it_takes(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.http).await?;
        let path = self.path(&format!("/c/{ACCOUNT}")) + "&dryrun=true";
        let request = Requests::new(&path, 1).bytes.swap_remove(0);
        let takes = async {
            while connection.ask(&request).await? != 200 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, takes)
            .await
            .context("it does not know its token")?
    }
}

/// Creates the account and a token that may send.
async fn token(kafka: &kafka::Config) -> anyhow::Result<String> {
    let directory = Directory::open(kafka, &control::Auth::default()).await?;
    let account = AccountNumber::new(ACCOUNT).context("a number that accounts have")?;
    let now = Timestamp::now();
    directory
        .accounts()
        .ensure(&[(account, "Bench".to_owned())], now)
        .await?;
    let settings = ApiTokenSettings {
        roles: vec![Role::DataWrite],
        ..ApiTokenSettings::default()
    };
    let (_, token) = directory.api_tokens().create(account, settings, None, now).await?;
    Ok(token.expose_secret().to_owned())
}
