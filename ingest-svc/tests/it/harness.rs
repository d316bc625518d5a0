//! What the tests share: the service in this process, a raw HTTP client, and the topics read back.

pub(crate) mod http;
pub(crate) mod imports;
pub(crate) mod ingest;
pub(crate) mod process;
pub(crate) mod s3;
pub(crate) mod topic;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use control::{ApiTokenSettings, Directory, NewAccount};
use ingest_svc::app::{Addresses, App};
use ingest_svc::config::Config;
use jiff::Timestamp;
use kafka::testing::{Brokers, InProcessBroker};
use model::{AccountNumber, Role};
use runtime::lifecycle::Lifecycle;
pub(crate) use runtime::testing::{DEADLINE, wait_for};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

pub(crate) const ADMIN_TOKEN: &str = "the-admin-token-of-the-tests";

/// A running service.
pub(crate) struct Service {
    pub(crate) addresses: Addresses,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) kafka: kafka::Config,
    pub(crate) directory: Directory,
}

/// Sets up spans for the whole test binary, with log lines only of what may explain a test that failed.
fn traced() {
    static GUARD: OnceLock<runtime::telemetry::Guard> = OnceLock::new();
    GUARD.get_or_init(|| {
        let config = runtime::telemetry::Config {
            log_filter: "error,kafka::table=debug".to_owned(),
            ..Default::default()
        };
        runtime::telemetry::init("ingest-svc", &config).unwrap()
    });
}

/// The configuration of a test: free ports, short timeouts.
pub(crate) fn config(kafka: &kafka::Config) -> Config {
    let mut config = Config {
        kafka: kafka.clone(),
        ..Config::default()
    };
    config.auth.admin_token = Some(SecretString::from(ADMIN_TOKEN));
    for listen in [
        &mut config.http.listen,
        &mut config.grpc.listen,
        &mut config.admin.listen,
    ] {
        "127.0.0.1:0".clone_into(listen);
    }
    config
}

impl Service {
    /// A service of the test's own on the in-process broker, which can be taken away.
    pub(crate) async fn alone(change: impl FnOnce(&mut Config)) -> (InProcessBroker, Self) {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let mut config = config(&broker.config());
        change(&mut config);
        (broker, Self::start(config).await)
    }

    /// Starts the service on the current runtime and waits until it is ready.
    pub(crate) async fn start(config: Config) -> Self {
        traced();
        let kafka = config.kafka.clone();
        let app = App::build(config).await.unwrap();
        let (addresses, lifecycle) = (app.addresses(), app.lifecycle());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { app.run().await.unwrap() });
        tasks.detach_all();
        let directory = Directory::open(&kafka, &control::Auth::default()).await.unwrap();
        let readiness = lifecycle.readiness();
        until("the service is ready", || readiness.is_ready()).await;
        Self {
            addresses,
            lifecycle,
            kafka,
            directory,
        }
    }

    /// A new account with a number of its own.
    pub(crate) async fn account(&self) -> AccountNumber {
        static NEXT: AtomicU64 = AtomicU64::new(1_000);
        let number = AccountNumber::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap();
        let new = NewAccount {
            number,
            hex: None,
            label: "test".to_owned(),
        };
        self.directory.accounts().create(new, Timestamp::now()).await.unwrap();
        number
    }

    /// A new token, known to the service.
    pub(crate) async fn token(&self, account: AccountNumber, role: Role, expire_time: Option<Timestamp>) -> String {
        let settings = ApiTokenSettings {
            roles: vec![role],
            ..ApiTokenSettings::default()
        };
        self.token_with(account, settings, expire_time).await
    }

    /// A new token of these settings, known to the service.
    pub(crate) async fn token_with(
        &self,
        account: AccountNumber,
        settings: ApiTokenSettings,
        expire_time: Option<Timestamp>,
    ) -> String {
        let tokens = self.directory.api_tokens();
        let created = tokens.create(account, settings, expire_time, Timestamp::now()).await;
        let token = created.unwrap().1.expose_secret().to_owned();
        // The service has a table of its own: wait until it knows the token, whatever it may do.
        let path = format!("/c/{account}/braze_users?dryrun=true&key={token}");
        wait_for("the service has heard of the token", async || {
            let known = expire_time.is_some() || self.post(&path, "[]").await.status != 401;
            known.then_some(())
        })
        .await;
        token
    }

    /// A new account and a data manager's token for it.
    pub(crate) async fn sender(&self) -> (AccountNumber, String) {
        let account = self.account().await;
        let token = self.token(account, Role::DataManager, None).await;
        (account, token)
    }

    /// Posts as Braze does.
    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> http::Answer {
        http::post(
            self.addresses.http,
            path,
            &["content-type: application/json"],
            body.as_ref(),
        )
        .await
    }

    /// A request whose body is still to come.
    pub(crate) async fn begin(&self, path: &str, content_length: usize) -> http::Connection {
        let mut connection = http::Connection::open(self.addresses.http).await;
        connection
            .begin(path, &format!("content-length: {content_length}"))
            .await;
        connection
    }

    /// A request whose `body` is still to come, and the refusal, by this status, of another one that has no room beside it.
    pub(crate) async fn two_at_once(&self, path: &str, body: &str, status: u16) -> (http::Connection, http::Answer) {
        wait_for("the second of two is refused", async || {
            let mut first = self.begin(path, body.len()).await;
            let second = self.post(path, "[]").await;
            if second.status == status {
                return Some((first, second));
            }
            // It was faster.
            first.write(body).await;
            first.answer().await;
            None
        })
        .await
    }

    /// The records of `profile-events` of an account, once there are `count`.
    pub(crate) async fn events(&self, account: AccountNumber, count: usize) -> Vec<topic::Event> {
        topic::events(&self.kafka, account, count).await
    }

    /// The records of `profile-events.rejected` of an account, once there are `count`.
    pub(crate) async fn rejected(&self, account: AccountNumber, count: usize) -> Vec<topic::Kept> {
        topic::rejected(&self.kafka, account, count).await
    }
}

/// The service that most tests share, on a runtime of its own; accounts keep them apart.
pub(crate) async fn shared() -> &'static Service {
    static SHARED: OnceLock<(Runtime, Brokers, Service)> = OnceLock::new();
    let (_, _, service) = tokio::task::spawn_blocking(|| {
        SHARED.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            let brokers = kafka::testing::brokers();
            let service = runtime.block_on(async {
                brokers.ensure_topics(&[]).await.unwrap();
                Service::start(config(&brokers.config())).await
            });
            (runtime, brokers, service)
        })
    })
    .await
    .unwrap();
    service
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    runtime::testing::until(what, async || holds()).await;
}
