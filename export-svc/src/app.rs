//! The composition root: everything is built here, in order, and nowhere else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use control::Directory;
use control::sealing::Sealer;
use jiff::Timestamp;
use kafka::{Publisher, PublisherOptions};
use runtime::exit::Failure;
use runtime::lifecycle::Lifecycle;
use runtime::{admin, grpc, telemetry};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::{Engine, EngineHandle, EngineParts};
use crate::{api, metrics};

/// How long the last spans may take on their way out.
const TELEMETRY_BUDGET: Duration = Duration::from_secs(2);
/// How long gRPC calls may last in a drain, on top of the acknowledgement timeout.
const GRPC_GRACE: Duration = Duration::from_secs(1);

/// A running export service. Drop it only after [`App::run`].
pub struct App {
    lifecycle: Lifecycle,
    grpc: SocketAddr,
    admin: SocketAddr,
    directory: Directory,
    engine: EngineHandle,
    telemetry: telemetry::Guard,
    drain_timeout: Duration,
}

impl App {
    /// As [`App::build_in`], with a life of its own that ends by [`Lifecycle::drain`].
    ///
    /// # Errors
    /// As [`App::build_in`].
    pub async fn build(config: Config) -> Result<Self, Failure> {
        let built = Self::build_in(config, Lifecycle::new()).await?;
        built.ok_or_else(|| Failure::internal(anyhow!("a component failed while the service started")))
    }

    /// Builds and starts the service; when this returns it is ready. The admin port answers from early on, so that probes see
    /// a service that is starting. `None` when the drain began before the service was ready.
    ///
    /// # Errors
    /// Exit code 69 for an address that cannot be bound or a Kafka that does not answer, 70 for anything else.
    pub async fn build_in(config: Config, lifecycle: Lifecycle) -> Result<Option<Self>, Failure> {
        let telemetry = telemetry::init("export-svc", &config.telemetry).map_err(Failure::internal)?;
        let drain = lifecycle.token();
        let assembled = tokio::select! {
            assembled = assemble(&config, &lifecycle) => assembled.map(Some),
            () = drain.cancelled() => Ok(None),
        };
        let Ok(Some(Assembled {
            grpc,
            admin,
            directory,
            engine,
        })) = assembled
        else {
            lifecycle.drain("the start failed");
            let ended = lifecycle.run(config.drain_timeout).await.map_err(Failure::internal);
            telemetry.shutdown(TELEMETRY_BUDGET).await;
            return assembled.and(ended).map(|()| None);
        };
        lifecycle.readiness().started();
        tracing::info!(%grpc, %admin, "export-svc is ready: gRPC on {grpc}, probes and metrics on {admin}");
        let drain_timeout = config.drain_timeout;
        Ok(Some(Self {
            lifecycle,
            grpc,
            admin,
            directory,
            engine,
            telemetry,
            drain_timeout,
        }))
    }

    /// Where gRPC is served.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc
    }

    /// Where probes and metrics are served.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Drains the service with [`Lifecycle::drain`], or by signals with [`Lifecycle::listen_for_signals`].
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Accounts, authorizations and jobs.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Tells how jobs fare.
    pub fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Serves until the drain begins, and drains. In this order: readiness turns; no new call is taken and no new change is
    /// read; calls in flight are answered, which for changes means acknowledged by Kafka; the engine finishes, settles and
    /// releases; the admin port closes; the last spans go out.
    ///
    /// # Errors
    /// Exit code 70 when a component failed, or did not drain in time.
    pub async fn run(self) -> Result<(), Failure> {
        let outcome = self.lifecycle.run(self.drain_timeout).await;
        self.telemetry.shutdown(TELEMETRY_BUDGET).await;
        outcome.map_err(Failure::internal)
    }
}

struct Assembled {
    grpc: SocketAddr,
    admin: SocketAddr,
    directory: Directory,
    engine: EngineHandle,
}

async fn assemble(config: &Config, lifecycle: &Lifecycle) -> Result<Assembled, Failure> {
    let recorder = config.telemetry.metrics();
    metrics::describe();
    tracing::info!(?config, "effective configuration");

    let admin = admin::Admin::bind(&config.admin)
        .await
        .map_err(|error| bind("admin", &config.admin.listen, error))?;
    let admin_addr = admin.local_addr().map_err(Failure::internal)?;
    lifecycle.spawn_last(
        "admin",
        admin.serve(lifecycle.drained(), lifecycle.readiness(), recorder),
    );
    let options = grpc::Options {
        // What a drain must not cut off are changes that wait for Kafka.
        drain_grace: config.publish.ack_timeout + GRPC_GRACE,
        ..grpc::Options::default()
    };
    let server = grpc::Server::bind(&config.grpc, options)
        .await
        .map_err(|error| bind("grpc", &config.grpc.listen, error))?;
    let grpc_addr = server.local_addr().map_err(Failure::internal)?;

    let directory = open_directory(config).await.map_err(Failure::precondition)?;
    lifecycle.spawn("token uses", keep_uses(directory.clone(), lifecycle.token()));
    let watched = directory.clone();
    lifecycle.readiness().check("control table", move || {
        (!watched.is_fresh()).then(|| "Kafka has not been heard from for 30 s".to_owned())
    });
    let sealer = Sealer::from_config(&config.secrets.keys)
        .context("secrets.keys")
        .map_err(Failure::internal)?;
    let sealer = Arc::new(sealer);
    let placement = kafka::Topics::new(&config.kafka).export_placement();
    let slots = kafka::topics::partitions(&config.kafka, &placement).await;
    let slots = slots.map_err(Failure::precondition)?;
    let engine = start_engine(config, slots, &directory, &sealer, lifecycle).map_err(Failure::internal)?;

    let options = PublisherOptions {
        ack_timeout: config.publish.ack_timeout,
        queue_bytes_max: config.publish.queue_bytes_max,
    };
    let publisher = Publisher::new(&config.kafka, options).map_err(Failure::internal)?;
    lifecycle.spawn("publisher", watch(publisher.clone(), lifecycle.token()));
    let services = api::services(api::Parts {
        directory: directory.clone(),
        sealer,
        slots,
        kafka: config.kafka.clone(),
        ensure_topics: config.topics.ensure,
        publisher,
        window_max: config.publish.window_max,
        engine: engine.clone(),
        drain: lifecycle.token(),
    });
    lifecycle.spawn("grpc", server.serve(services, lifecycle.readiness(), lifecycle.token()));
    Ok(Assembled {
        grpc: grpc_addr,
        admin: admin_addr,
        directory,
        engine,
    })
}

fn bind(section: &str, address: &str, error: std::io::Error) -> Failure {
    Failure::precondition(anyhow!(error).context(format!("cannot bind {address} ({section}.listen)")))
}

/// Topics, then the table in them, then the accounts in the table, then the topics of those.
async fn open_directory(config: &Config) -> anyhow::Result<Directory> {
    let brokers = &config.kafka.brokers;
    if config.topics.ensure {
        let created = kafka::topics::ensure(&config.kafka, &[]).await;
        let created = created.with_context(|| format!("cannot create topics at {brokers} (kafka.brokers)"))?;
        created.iter().for_each(|topic| tracing::info!("created topic {topic}"));
    }
    let directory = Directory::open(&config.kafka, &config.auth);
    let directory = directory
        .await
        .with_context(|| format!("cannot load the control table from {brokers} (kafka.brokers)"))?;
    let wanted = config
        .bootstrap
        .parse()
        .map_err(|problem| anyhow!("bootstrap.accounts: {problem}"))?;
    directory
        .accounts()
        .ensure(&wanted, Timestamp::now())
        .await
        .context("cannot create bootstrap.accounts")?;
    let accounts: Vec<u64> = directory
        .accounts()
        .all()?
        .iter()
        .map(|account| account.number.get())
        .collect();
    if config.topics.ensure {
        kafka::topics::ensure(&config.kafka, &accounts)
            .await
            .context("cannot create membership topics")?;
    }
    check_membership_topics(&config.kafka, &accounts).await;
    Ok(directory)
}

/// Says what is wrong with the membership topics that others made: with them, members can be lost.
async fn check_membership_topics(kafka: &kafka::Config, accounts: &[u64]) {
    for account in accounts {
        match kafka::topics::check_membership(kafka, *account).await {
            Ok(problems) => problems
                .iter()
                .for_each(|problem| tracing::error!(account, "{problem}")),
            Err(error) => tracing::warn!(
                account,
                error = &error as &dyn std::error::Error,
                "membership topic unchecked"
            ),
        }
    }
}

/// Whoever calls Braze for this configuration.
pub(crate) fn braze_client(config: &Config) -> anyhow::Result<braze::Client> {
    let endpoint_override = config
        .braze
        .parse()
        .map_err(|problem| anyhow!("braze.endpoint: {problem}"))?;
    let ca = config.braze.ca_file.as_ref().map(|file| {
        let read = std::fs::read(file);
        read.with_context(|| format!("{file} (braze.ca_file) cannot be read"))
    });
    let options = braze::ClientOptions {
        endpoint_override,
        ca: ca.transpose()?,
        timeout: config.engine.request_timeout,
        tcp_user_timeout: config.engine.tcp_user_timeout,
        ..braze::ClientOptions::default()
    };
    Ok(braze::Client::new(options)?)
}

fn start_engine(
    config: &Config,
    slots: i32,
    directory: &Directory,
    sealer: &Arc<Sealer>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<EngineHandle> {
    let braze = braze_client(config)?;
    // One of its own: what is published over gRPC does not keep waiting what is kept of the changes that are not sent.
    let publisher = Publisher::new(&config.kafka, PublisherOptions::default())?;
    lifecycle.spawn(
        "publisher of rejected changes",
        watch(publisher.clone(), lifecycle.token()),
    );
    let (engine, handle) = Engine::new(EngineParts {
        config: config.engine.clone(),
        kafka: config.kafka.clone(),
        slots,
        directory: directory.clone(),
        sealer: sealer.clone(),
        braze,
        publisher,
        traced: config.telemetry.otlp_endpoint.is_some(),
    });
    lifecycle.spawn("engine", engine.run(lifecycle.token()));
    Ok(handle)
}

/// Ends the process when a producer has failed for good: only a new one helps.
async fn watch(publisher: Publisher, drain: CancellationToken) -> Result<(), kafka::Error> {
    drain.run_until_cancelled(publisher.failed()).await.map_or(Ok(()), Err)
}

/// Writes down when tokens were last used.
async fn keep_uses(directory: Directory, drain: CancellationToken) -> Result<(), Infallible> {
    drain.run_until_cancelled(directory.keep_uses()).await;
    Ok(())
}
