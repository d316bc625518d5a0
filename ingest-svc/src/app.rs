//! The composition root: the one file that knows every module.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use control::Directory;
use futures::FutureExt;
use kafka::{Disposition, Publisher, Topics};
use proto::apitoken::v1::api_token_service_server::ApiTokenServiceServer;
use proto::imports::v1::import_job_service_server::ImportJobServiceServer;
use proto::imports::v1::storage_authorization_service_server::StorageAuthorizationServiceServer;
use proto::ingest::v1::ingest_service_server::IngestServiceServer;
use proto::mapping::v1::mapping_service_server::MappingServiceServer;
use runtime::admin::Admin;
use runtime::background::Background;
use runtime::exit::Failure;
use runtime::grpc::{self, MESSAGE_BYTES_MAX, Services};
use runtime::http1;
use runtime::lifecycle::Lifecycle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Ingest, Observer, Storages, Tokens};
use crate::config::Config;
use crate::imports::callback::Callbacks;
use crate::imports::{ImportParts, Imports, Progress};
use crate::mappings::Mappings;
use crate::metrics;
use crate::publish::Publish;
use crate::shadow;
use crate::source::webhook::{Routes, Webhook};
use crate::uploads::{self, Uploads};

/// How often the fill of the bounds is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long gRPC calls may last in a drain, on top of the acknowledgement timeout.
const GRPC_GRACE: Duration = Duration::from_secs(1);
/// How long to wait before the tables are opened again after a failure.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// The service with its ports bound, not answering yet.
pub struct App {
    config: Config,
    lifecycle: Lifecycle,
    http: http1::Server,
    grpc: grpc::Server,
    admin: Admin,
    addresses: Addresses,
}

/// The addresses that were bound; with port 0 in the configuration, the system's choice.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Webhooks.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Probes and metrics.
    pub admin: SocketAddr,
}

impl App {
    /// Binds the ports.
    ///
    /// # Errors
    /// When one of them cannot be bound; the error names it.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let options = http1::Options {
            port: "http",
            connections_max: config.http.connections_max,
            header_timeout: config.http.header_timeout,
        };
        let http = http1::Server::bind(&config.http.listen, options).await;
        let http = http.with_context(|| format!("http.listen: cannot bind {}", config.http.listen))?;
        let options = grpc::Options {
            // What a drain must not cut off are records that wait for Kafka.
            drain_grace: config.publish.ack_timeout + GRPC_GRACE,
            ..grpc::Options::default()
        };
        let grpc = grpc::Server::bind(&config.grpc, options).await;
        let grpc = grpc.with_context(|| format!("grpc.listen: cannot bind {}", config.grpc.listen))?;
        let admin = Admin::bind(&config.admin).await;
        let admin = admin.with_context(|| format!("admin.listen: cannot bind {}", config.admin.listen))?;
        let addresses = Addresses {
            http: http.local_addr()?,
            grpc: grpc.local_addr()?,
            admin: admin.local_addr()?,
        };
        Ok(Self {
            config,
            lifecycle: Lifecycle::new(),
            http,
            grpc,
            admin,
            addresses,
        })
    }

    /// Where the service answers.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// To drain the service, and to ask whether it is ready.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle.clone()
    }

    /// Runs until the drain is over. Webhooks are answered 503 until the control table is loaded.
    ///
    /// # Errors
    /// When Kafka lacks something that nobody but an operator can give, when a component fails, or when the drain takes too long.
    pub async fn run(self) -> Result<(), Failure> {
        let Self {
            config,
            lifecycle,
            http,
            grpc,
            admin,
            addresses,
        } = self;
        let prometheus = config.telemetry.metrics();
        metrics::describe();
        lifecycle.spawn_last(
            "admin",
            admin.serve(lifecycle.drained(), lifecycle.readiness(), prometheus),
        );
        let uploads = config.imports.upload_url.as_deref().map(Uploads::open).transpose();
        let uploads = uploads.map_err(Failure::precondition)?;
        let (uploads_max, ack_timeout) = (config.imports.uploads_max, config.publish.ack_timeout);
        let webhook = Webhook::new(&config.http, uploads_max, ack_timeout, lifecycle.token());
        let serve = http.serve(Routes::new(webhook.clone()), lifecycle.token());
        lifecycle.spawn("http", serve.map(Ok::<_, Infallible>));
        lifecycle.spawn("report", report(webhook.clone(), lifecycle.token()));
        let (http, grpc_address, admin) = (addresses.http, addresses.grpc, addresses.admin);
        tracing::info!("listening: http {http}, grpc {grpc_address}, admin {admin}");

        // Uploads in bulk have a producer of their own, so that they never fill the queue of the others.
        // So have the files of import jobs, and what is written down of them.
        let (publish, bulk) = (publish(&config)?, publish(&config)?);
        let files = publisher(&config)?;
        let of_files = publish_by(&config, files.clone());
        lifecycle.spawn("publisher", watch(publish.clone(), lifecycle.token()));
        lifecycle.spawn("publisher of uploads", watch(bulk.clone(), lifecycle.token()));
        lifecycle.spawn("publisher of files", watch(of_files.clone(), lifecycle.token()));
        let opened = lifecycle
            .token()
            .run_until_cancelled(open(&config, &files))
            .await
            .transpose();
        let mut failed = None;
        match opened {
            Ok(None) => {}
            Ok(Some((directory, progress, slots))) => {
                let (queue, worker) = shadow::queue();
                let mappings = Mappings::new(&directory, queue);
                lifecycle.spawn("shadows", worker.run(lifecycle.token()));
                let follow = mappings.clone().follow(directory.clone(), lifecycle.token());
                lifecycle.spawn("mappings", follow);
                let services = services(
                    &config, &directory, &progress, &mappings, &publish, &webhook, &lifecycle,
                )?;
                lifecycle.spawn("grpc", grpc.serve(services, lifecycle.readiness(), lifecycle.token()));
                lifecycle.spawn("token uses", keep_uses(directory.clone(), lifecycle.token()));
                let table = directory.clone();
                lifecycle.readiness().check("control table", move || {
                    (!table.is_fresh()).then(|| "has not heard from Kafka for too long".to_owned())
                });
                let table = progress.clone();
                lifecycle.readiness().check("progress of imports", move || {
                    (!table.is_fresh()).then(|| "has not heard from Kafka for too long".to_owned())
                });
                if let Some(sealer) = config.secrets.sealer() {
                    webhook.take_callbacks(Callbacks::new(directory.clone(), sealer, progress.clone()));
                }
                let parts = ImportParts {
                    directory: directory.clone(),
                    mappings: mappings.clone(),
                    publish: of_files.clone(),
                    queue_bytes_max: config.publish.queue_bytes_max,
                    progress,
                    sealer: config.secrets.sealer(),
                    config: config.imports.clone(),
                    braze: braze(&config)?,
                    public_url: config.http.public_url.clone().into(),
                    uploads: uploads.clone(),
                    slots,
                    background: Background::start("files").map_err(Failure::internal)?,
                };
                let imports = Imports::new(&config.kafka, parts).map_err(Failure::internal)?;
                lifecycle.spawn("imports", imports.run(lifecycle.token()));
                if let Some(uploads) = uploads.clone() {
                    lifecycle.spawn(
                        "sweep",
                        uploads::keep_clean(uploads, directory.clone(), lifecycle.token()),
                    );
                }
                webhook.open(directory, mappings, publish.clone(), bulk.clone(), uploads);
                lifecycle.readiness().started();
                tracing::info!(
                    "ingest-svc is ready: http on {http}, gRPC on {grpc_address}, probes and metrics on {admin}"
                );
            }
            Err(error) => {
                lifecycle.drain("the tables cannot be opened");
                failed = Some(Failure::precondition(error));
            }
        }
        let drained = lifecycle.run(config.drain_timeout).await;
        // Every answered request has its acknowledgements; what is left are records of senders that have gone.
        for publish in [publish, bulk, of_files] {
            if let Err(error) = publish.flush(config.publish.ack_timeout).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "records without an answer were given up"
                );
            }
        }
        failed.map_or(Ok(()), Err)?;
        drained.map_err(Failure::internal)
    }
}

fn services(
    config: &Config,
    directory: &Directory,
    progress: &Progress,
    mappings: &Mappings,
    publish: &Publish,
    webhook: &Webhook,
    lifecycle: &Lifecycle,
) -> Result<Services, Failure> {
    let tokens = Tokens::new(directory.clone(), &config.http.public_url);
    let kafka = config.kafka.clone();
    let (publish, admission, throttle) = (publish.clone(), webhook.admission(), webhook.throttle());
    let service = api::Mappings::new(directory.clone(), mappings.clone());
    let service = MappingServiceServer::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let ingest = Ingest::new(
        directory.clone(),
        mappings.clone(),
        publish,
        admission,
        throttle,
        kafka,
        lifecycle.token(),
    );
    let ingest = IngestServiceServer::new(ingest).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let tokens = ApiTokenServiceServer::new(tokens).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let sealer = config.secrets.sealer();
    let storages = Storages::new(directory.clone(), sealer.clone(), config.imports.clone());
    let storages = StorageAuthorizationServiceServer::new(storages).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let observer = Observer::new(progress.clone());
    let (directory, mappings, drain) = (directory.clone(), mappings.clone(), lifecycle.token());
    let imports = api::Imports::new(directory, observer, mappings, sealer, braze(config)?, drain);
    let imports = ImportJobServiceServer::new(imports).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Services::new(proto::DESCRIPTORS)
        .add(tokens)
        .add(service)
        .add(ingest)
        .add(storages)
        .add(imports))
}

/// What publishes, by a producer of its own.
fn publish(config: &Config) -> Result<Publish, Failure> {
    Ok(publish_by(config, publisher(config)?))
}

fn publisher(config: &Config) -> Result<Publisher, Failure> {
    Publisher::new(&config.kafka, config.publish.clone()).map_err(Failure::precondition)
}

fn publish_by(config: &Config, publisher: Publisher) -> Publish {
    Publish::new(publisher, &Topics::new(&config.kafka), config.publish.ack_timeout)
}

/// Asks Braze for segments and exports of them.
fn braze(config: &Config) -> Result<braze::Client, Failure> {
    let endpoint = config.braze.endpoint.as_deref().map(str::parse).transpose();
    let endpoint_override = endpoint.map_err(|_| Failure::precondition(anyhow!("braze.endpoint: no URL")))?;
    let options = braze::ClientOptions {
        endpoint_override,
        ..braze::ClientOptions::default()
    };
    braze::Client::new(options).map_err(Failure::precondition)
}

/// Loads the control table and the progress of import jobs, and asks how many slots there are, however long Kafka is away.
async fn open(config: &Config, files: &Publisher) -> Result<(Directory, Progress, i32), kafka::Error> {
    loop {
        match open_now(config, files).await {
            Err(error) if error.disposition() == Disposition::Retry => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the tables cannot be loaded yet"
                );
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

async fn open_now(config: &Config, files: &Publisher) -> Result<(Directory, Progress, i32), kafka::Error> {
    let placement = Topics::new(&config.kafka).import_placement();
    tokio::try_join!(
        Directory::open(&config.kafka, &config.auth),
        Progress::open(&config.kafka, files.clone()),
        kafka::topics::partitions(&config.kafka, &placement),
    )
}

/// Ends the process when the producer has failed for good: only a new one helps.
async fn watch(publish: Publish, drain: CancellationToken) -> Result<(), kafka::Error> {
    drain.run_until_cancelled(publish.failed()).await.map_or(Ok(()), Err)
}

async fn report(webhook: Webhook, drain: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    while drain.run_until_cancelled(ticks.tick()).await.is_some() {
        webhook.report();
    }
    Ok(())
}

/// Writes down when tokens were last used.
async fn keep_uses(directory: Directory, drain: CancellationToken) -> Result<(), Infallible> {
    drain.run_until_cancelled(directory.keep_uses()).await;
    Ok(())
}
