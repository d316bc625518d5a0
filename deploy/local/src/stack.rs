//! The system in one process, and how to reach its parts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{Sim, SimHandle, Storage};
use kafka::testing::InProcessBroker;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::lifecycle::Lifecycle;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The account that exists from the start.
pub(crate) const ACCOUNT: u64 = 1234;
/// The admin token of both services: for a stack that nobody else reaches.
pub(crate) const ADMIN_TOKEN: &str = "local-admin-token";
/// The REST API key that the simulator knows.
pub(crate) const BRAZE_KEY: &str = "sim-key";
/// Partitions of every topic that is not declared with one.
const PARTITIONS: i32 = 4;
/// Seals Braze's keys in a broker that is gone with the process.
const SEALING_KEY: &str = "local:bG9jYWwgc3RhY2sgb25seSwgbm90IGEgc2VjcmV0IQo=";
/// Where in the folder for imports the simulator writes exports, and where uploaded files are kept.
const EXPORTS: &str = "braze";
const UPLOADS: &str = "uploads";
/// How long the last spans and log lines may take at the end.
pub(crate) const FLUSH: Duration = Duration::from_secs(2);
/// How long the services may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the parts listen.
pub(crate) struct Ports {
    pub(crate) ingest_http: SocketAddr,
    pub(crate) ingest_grpc: SocketAddr,
    pub(crate) ingest_admin: SocketAddr,
    pub(crate) export_grpc: SocketAddr,
    pub(crate) export_admin: SocketAddr,
    pub(crate) sim: SocketAddr,
}

impl Ports {
    /// The ports that every document names, on the loopback interface.
    pub(crate) fn usual() -> Self {
        let on = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            ingest_http: on(8080),
            ingest_grpc: on(8081),
            ingest_admin: on(8082),
            export_grpc: on(8091),
            export_admin: on(8092),
            sim: on(8099),
        }
    }

    /// Ports that are free.
    pub(crate) fn free() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            ingest_http: any,
            ingest_grpc: any,
            ingest_admin: any,
            export_grpc: any,
            export_admin: any,
            sim: any,
        }
    }
}

/// The address, with a port that is free now if any will do.
fn known(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    if address.port() != 0 {
        return Ok(address);
    }
    let free = std::net::TcpListener::bind(address).context("a free port")?;
    Ok(free.local_addr()?)
}

/// A running system.
pub(crate) struct Stack {
    sim: Sim,
    /// Where everything listens in fact.
    pub(crate) ports: Ports,
    /// What import jobs may read; it goes with the stack.
    imports: TempDir,
    lifecycles: Vec<Lifecycle>,
    services: JoinSet<Result<(), Failure>>,
    /// Last, so that it outlives everybody who talks to it.
    broker: InProcessBroker,
}

impl Stack {
    /// Starts everything and waits until both services are ready.
    pub(crate) async fn start(ports: Ports) -> anyhow::Result<Self> {
        let broker = InProcessBroker::start(PARTITIONS, &[ACCOUNT]).context("in-process broker")?;
        let imports = tempfile::Builder::new().prefix("lytics-imports-").tempdir();
        let imports = imports.context("a folder for imports")?;
        let folder = imports.path().canonicalize().context("the folder for imports")?;
        let options = braze_sim::Options {
            listen: ports.sim,
            storage: Some(Storage::Folder(folder.join(EXPORTS))),
            ..braze_sim::Options::default()
        };
        let sim = Sim::start(options).await.context("braze-sim")?;

        let mut config = ingest_svc::config::Config {
            kafka: broker.config(),
            ..Default::default()
        };
        config.auth.admin_token = Some(SecretString::from(ADMIN_TOKEN));
        config.secrets.keys = SecretString::from(SEALING_KEY);
        config.braze.endpoint = Some(sim.base_url());
        config.imports.upload_url = Some(format!("file://{}", folder.join(UPLOADS).display()));
        config.imports.folder = Some(folder);
        let http = known(ports.ingest_http)?;
        // Braze calls back when an export is there.
        config.http.public_url = format!("http://{http}");
        config.http.listen = http.to_string();
        config.grpc.listen = ports.ingest_grpc.to_string();
        config.admin.listen = ports.ingest_admin.to_string();
        let ingest = ingest_svc::app::App::build(config).await.context("ingest-svc")?;

        let mut config = export_svc::config::Config {
            kafka: broker.config(),
            ..Default::default()
        };
        config.auth.admin_token = Some(SecretString::from(ADMIN_TOKEN));
        config.secrets.keys = SecretString::from(SEALING_KEY);
        config.bootstrap.accounts = format!("{ACCOUNT}=Demo");
        config.braze.endpoint = Some(sim.base_url());
        config.grpc.listen = ports.export_grpc.to_string();
        config.admin.listen = ports.export_admin.to_string();
        let export = export_svc::app::App::build(config).await.context("export-svc")?;

        let (at_ingest, at_export) = (ingest.addresses(), (export.grpc_addr(), export.admin_addr()));
        let ports = Ports {
            ingest_http: at_ingest.http,
            ingest_grpc: at_ingest.grpc,
            ingest_admin: at_ingest.admin,
            export_grpc: at_export.0,
            export_admin: at_export.1,
            sim: sim.local_addr(),
        };
        let lifecycles = vec![ingest.lifecycle(), export.lifecycle().clone()];
        let mut services = JoinSet::new();
        services.spawn(ingest.run());
        services.spawn(export.run());
        let stack = Self {
            broker,
            sim,
            ports,
            imports,
            lifecycles,
            services,
        };
        for lifecycle in &stack.lifecycles {
            let readiness = lifecycle.readiness();
            let mut changed = readiness.changed();
            let ready = changed.wait_for(|_| readiness.is_ready());
            let waited = tokio::time::timeout(READY_TIMEOUT, ready).await;
            anyhow::ensure!(
                waited.is_ok(),
                "a service did not become ready: {}",
                readiness.reasons().join("; ")
            );
        }
        Ok(stack)
    }

    /// How to reach the broker.
    pub(crate) fn kafka(&self) -> kafka::Config {
        self.broker.config()
    }

    /// The environment in which `export-svc doctor` looks at this stack.
    pub(crate) fn doctor_env(&self) -> String {
        let (broker, sim) = (self.broker.config().brokers, self.sim.base_url());
        format!(
            "EXPORT_SVC__KAFKA__BROKERS={broker} EXPORT_SVC__KAFKA__IN_PROCESS=true EXPORT_SVC__BRAZE__ENDPOINT={sim} \
             EXPORT_SVC__SECRETS__KEYS={SEALING_KEY}"
        )
    }

    /// The folder that import jobs may read.
    pub(crate) fn imports(&self) -> &Path {
        self.imports.path()
    }

    /// The simulator.
    pub(crate) fn sim(&self) -> SimHandle {
        self.sim.handle()
    }

    /// A connection to ingest-svc with the admin token.
    pub(crate) async fn ingest(&self) -> anyhow::Result<Channel> {
        connect(self.ports.ingest_grpc).await
    }

    /// A connection to export-svc with the admin token.
    pub(crate) async fn export(&self) -> anyhow::Result<Channel> {
        connect(self.ports.export_grpc).await
    }

    /// Waits until a service drains of its own accord: something in it has failed.
    pub(crate) async fn until_one_fails(&self) {
        let draining = self
            .lifecycles
            .iter()
            .map(|lifecycle| Box::pin(lifecycle.token().cancelled_owned()));
        futures::future::select_all(draining).await;
    }

    /// Drains both services: they call Braze no more.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure> {
        for lifecycle in &self.lifecycles {
            lifecycle.drain("the local stack ends");
        }
        let mut outcome = Ok(());
        while let Some(service) = self.services.join_next().await {
            let ended = service.map_err(Failure::internal).and_then(|ended| ended);
            outcome = outcome.and(ended);
        }
        outcome
    }

    /// Drains both services and stops the simulator.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let outcome = self.drain().await;
        self.sim.shutdown().await;
        outcome
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<Channel> {
    let token = SecretString::from(ADMIN_TOKEN);
    Ok(runtime::grpc::connect(&format!("http://{address}"), Some(&token)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ports_are_those_that_the_services_and_the_simulator_listen_on_by_default() {
        let (ingest, export) = (
            ingest_svc::config::Config::default(),
            export_svc::config::Config::default(),
        );
        let usual = Ports::usual();
        for (port, default) in [
            (usual.ingest_http, &*ingest.http.listen),
            (usual.ingest_grpc, &ingest.grpc.listen),
            (usual.ingest_admin, &ingest.admin.listen),
            (usual.export_grpc, &export.grpc.listen),
            (usual.export_admin, &export.admin.listen),
            (usual.sim, "127.0.0.1:8099"),
        ] {
            let default: SocketAddr = default.parse().expect("an address");
            assert!(port.ip().is_loopback(), "{port}");
            assert_eq!(port.port(), default.port());
        }
    }
}
