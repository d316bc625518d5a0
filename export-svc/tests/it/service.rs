//! The whole service in this process, on ports of its own.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use export_svc::app::App;
use export_svc::config::Config;
use kafka::testing::Brokers;
use model::{AccountNumber, Role};
use runtime::grpc::Channel;
use runtime::lifecycle::Lifecycle;
use runtime::telemetry;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

/// The installation's admin token in every test.
pub(crate) const ADMIN: &str = "admin-token-of-the-tests";
/// A sealing key: 32 zero bytes.
pub(crate) const KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// The account that every service begins with.
pub(crate) const ACCOUNT: &str = "accounts/1234";

/// The process's telemetry, which the first service would otherwise set up for itself and take with it.
static TELEMETRY: OnceLock<telemetry::Guard> = OnceLock::new();

pub(crate) struct Service {
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) directory: control::Directory,
    lifecycle: Lifecycle,
    running: JoinHandle<Result<(), String>>,
}

/// A configuration for a service on ports of the system's choice, with account 1234.
pub(crate) fn config(brokers: &Brokers) -> Config {
    let mut config = Config {
        kafka: brokers.config(),
        ..Config::default()
    };
    config.auth.admin_token = Some(ADMIN.into());
    config.secrets.keys = KEYS.into();
    config.bootstrap.accounts = "1234=Demo".to_owned();
    config.grpc.listen = "127.0.0.1:0".to_owned();
    config.admin.listen = "127.0.0.1:0".to_owned();
    // Nothing listens there: no test of the API may reach Braze.
    config.braze.endpoint = Some("http://127.0.0.1:1".to_owned());
    config
}

impl Service {
    pub(crate) async fn start(config: Config) -> Self {
        TELEMETRY.get_or_init(|| telemetry::init("export-svc", &config.telemetry).expect("telemetry is set up"));
        let app = App::build(config).await.expect("the service starts");
        let (grpc, admin) = (app.grpc_addr(), app.admin_addr());
        let (directory, lifecycle) = (app.directory().clone(), app.lifecycle().clone());
        #[expect(clippy::disallowed_methods, reason = "`stop` waits for it")]
        let running = tokio::spawn(async move { app.run().await.map_err(|failure| failure.to_string()) });
        Self {
            grpc,
            admin,
            directory,
            lifecycle,
            running,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    pub(crate) async fn connect(&self, token: Option<&str>) -> Channel {
        let token = token.map(SecretString::from);
        runtime::grpc::connect(&self.endpoint(), token.as_ref())
            .await
            .expect("the service answers")
    }

    pub(crate) async fn admin(&self) -> Channel {
        self.connect(Some(ADMIN)).await
    }

    /// A token of account 1234 with this role alone.
    pub(crate) async fn token(&self, role: Role) -> String {
        self.token_of(1234, role).await
    }

    pub(crate) async fn token_of(&self, account: u64, role: Role) -> String {
        let settings = control::ApiTokenSettings {
            roles: vec![role],
            ..control::ApiTokenSettings::default()
        };
        let account = AccountNumber::new(account).unwrap();
        let tokens = self.directory.api_tokens();
        let created = tokens.create(account, settings, None, jiff::Timestamp::now()).await;
        created.expect("the token is created").1.expose_secret().to_owned()
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.drain("the test is over");
        self.ended().await.expect("the service ends well");
    }

    /// How it ends, which it must by itself.
    pub(crate) async fn ended(self) -> Result<(), String> {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.running).await;
        ended.expect("the service drains").unwrap()
    }
}
