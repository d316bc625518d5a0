//! Both services, and what an operator types.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Output;

use tempfile::TempPath;

use super::broker::Broker;
use super::http;
use super::process::{Process, command, ready, run};
use super::sim::Sim;

/// The installation's admin token in every test.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-the-end-to-end-tests";
/// Seals Braze's keys: 32 bytes.
pub(crate) const SEALING_KEY: &str = "ZW5kLXRvLWVuZCB0ZXN0cywgbm90IGEgc2VjcmV0ISE=";

/// A running ingest-svc.
pub(crate) struct Ingest {
    pub(crate) process: Process,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// A running export-svc.
pub(crate) struct Export {
    pub(crate) process: Process,
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Ingest {
    /// Starts it with these settings (`TELEMETRY__LOG_FILTER`, …) besides those that every test needs, and waits until it is
    /// ready.
    pub(crate) async fn start(broker: &Broker, settings: &[(&str, &str)]) -> Self {
        let ingest = Self::spawn(broker, settings).await;
        ready(ingest.admin).await;
        ingest
    }

    /// As [`Ingest::start`], but only until it listens.
    pub(crate) async fn spawn(broker: &Broker, settings: &[(&str, &str)]) -> Self {
        let mut environment = broker.environment("INGEST_SVC");
        let always = [
            ("AUTH__ADMIN_TOKEN", ADMIN_TOKEN),
            ("HTTP__LISTEN", "127.0.0.1:0"),
            ("GRPC__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        environment.extend(named("INGEST_SVC", &always).chain(named("INGEST_SVC", settings)));
        Self::serve(&["serve"], environment).await
    }

    /// Starts it with these arguments and exactly this environment, and waits until it listens.
    pub(crate) async fn serve(arguments: &[&str], environment: Vec<(String, String)>) -> Self {
        let process = Process::start("ingest-svc", arguments, environment);
        let (http, grpc, admin) = (
            process.address("listening: http ").await,
            process.address(", grpc ").await,
            process.address(", admin ").await,
        );
        Self {
            process,
            http,
            grpc,
            admin,
        }
    }

    /// Posts a record to the account, as Braze does.
    pub(crate) async fn post(&self, token: &str, body: &str) -> http::Answer {
        http::post(self.http, &format!("/c/1234/braze_users?key={token}"), body).await
    }

    /// Runs a command of the binary with the admin token.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> Output {
        operator("ingest-svc", "INGEST_SVC_ENDPOINT", self.grpc, arguments).await
    }
}

impl Export {
    /// As [`Ingest::start`]. Account 1234 exists then.
    pub(crate) async fn start(broker: &Broker, sim: &Sim, settings: &[(&str, &str)]) -> Self {
        Self::serve(&["serve"], Self::environment(broker, sim, settings)).await
    }

    /// What [`Export::start`] starts it with.
    pub(crate) fn environment(broker: &Broker, sim: &Sim, settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = broker.environment("EXPORT_SVC");
        let (url, keys) = (sim.url(), format!("k1:{SEALING_KEY}"));
        let always = [
            ("AUTH__ADMIN_TOKEN", ADMIN_TOKEN),
            ("SECRETS__KEYS", &keys),
            ("BOOTSTRAP__ACCOUNTS", "1234=Demo"),
            ("BRAZE__ENDPOINT", &url),
            ("GRPC__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        environment.extend(named("EXPORT_SVC", &always).chain(named("EXPORT_SVC", settings)));
        environment
    }

    /// Starts it with these arguments and exactly this environment, and waits until it is ready.
    pub(crate) async fn serve(arguments: &[&str], environment: Vec<(String, String)>) -> Self {
        let process = Process::start("export-svc", arguments, environment);
        let grpc = process.address("ready: gRPC on ").await;
        let admin = process.address("probes and metrics on ").await;
        ready(admin).await;
        Self { process, grpc, admin }
    }

    /// Runs a command of the binary with the admin token.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> Output {
        operator("export-svc", "EXPORT_SVC_ENDPOINT", self.grpc, arguments).await
    }

    /// Starts a job for the audience `vip`; see [`Export::job_for`].
    pub(crate) async fn job(&self, key: &str, options: &[&str]) {
        self.job_for("vip", key, options).await;
    }

    /// Stores an authorization of a Braze workspace of its own with this key, and starts a job for the audience, by the field
    /// `user_id`. Both are labelled as the audience.
    pub(crate) async fn job_for(&self, audience: &str, key: &str, options: &[&str]) {
        let file = key_file(key);
        let path = file.to_str().unwrap();
        let create = ["authorizations", "create", "--account", "1234", "--provider", "braze"];
        let which = ["--label", audience, "--instance", "US-01", "--key-file", path];
        printed(&self.operator(&[&create[..], &which].concat()).await);
        let create = ["jobs", "create", "--account", "1234", "--auth", audience];
        let which = ["--label", audience, "--audience", audience];
        let fields = ["--external-id-field", "user_id", "--existing-users"];
        printed(&self.operator(&[&create[..], &which, &fields, options].concat()).await);
    }

    /// Publishes that the person of this external id entered `vip`.
    pub(crate) async fn enter(&self, external_id: &str) {
        self.enter_to("vip", external_id).await;
    }

    /// Publishes that the person of this external id entered an audience.
    pub(crate) async fn enter_to(&self, audience: &str, external_id: &str) {
        printed(&self.try_enter(audience, external_id, external_id).await);
    }

    /// As [`Export::enter_to`], for this profile; what came of it.
    pub(crate) async fn try_enter(&self, audience: &str, profile: &str, external_id: &str) -> Output {
        let field = format!("user_id={external_id}");
        let publish = ["memberships", "publish", "--account", "1234", "--audience", audience];
        let who = ["--profile", profile, "--enter", "--field", &field];
        self.operator(&[&publish[..], &who].concat()).await
    }

    /// A field of the only job, as `jobs list --output json` shows it.
    pub(crate) async fn job_field(&self, name: &str) -> serde_json::Value {
        let output = self
            .operator(&["jobs", "list", "--account", "1234", "--output", "json"])
            .await;
        let jobs: serde_json::Value = serde_json::from_str(&printed(&output)).unwrap();
        jobs[0][name].clone()
    }
}

fn named<'a>(prefix: &'a str, settings: &'a [(&str, &str)]) -> impl Iterator<Item = (String, String)> + 'a {
    let named = move |(key, value): &(&str, &str)| (format!("{prefix}__{key}"), (*value).to_owned());
    settings.iter().map(named)
}

async fn operator(binary: &str, endpoint: &str, grpc: SocketAddr, arguments: &[&str]) -> Output {
    let mut command = command(binary);
    command.args(arguments);
    run(command
        .env("LYTICS_TOKEN", ADMIN_TOKEN)
        .env(endpoint, format!("http://{grpc}")))
    .await
}

/// What a command printed that must succeed.
#[track_caller]
pub(crate) fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A file that holds a key, deleted when dropped.
pub(crate) fn key_file(key: &str) -> TempPath {
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    file.write_all(key.as_bytes()).unwrap();
    file.into_temp_path()
}
