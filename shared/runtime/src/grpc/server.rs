use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::{self, health_server::HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::call::CallLayer;
use super::{connection, health};
use crate::config::Listen;
use crate::connections::Connections;
use crate::lifecycle::Readiness;

/// How long a connection without a call may last in a drain: its peer may be taking leave.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Limits of a gRPC server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest a call may take; a shorter `grpc-timeout` of the caller is honoured.
    pub deadline_max: Duration,
    /// Calls at once per connection; the client holds further ones back.
    pub concurrency_max: u32,
    /// How often an idle connection is asked whether it still lives.
    pub keepalive: Duration,
    /// How long calls may last once the drain has begun; what is left then is given up. Must be shorter than the drain of the
    /// process, or a peer that never reads fails it; and longer than the calls that matter.
    pub drain_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline_max: Duration::from_secs(60),
            concurrency_max: 256,
            keepalive: Duration::from_secs(30),
            drain_grace: Duration::from_secs(10),
        }
    }
}

/// The services of one server; health and reflection are added by [`Server::serve`].
pub struct Services {
    names: Vec<&'static str>,
    routes: Routes,
    descriptors: &'static [u8],
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Services {
    /// No services yet. `descriptors` is an encoded `FileDescriptorSet` that holds at least those that will be added.
    pub fn new(descriptors: &'static [u8]) -> Self {
        Self {
            names: Vec::new(),
            routes: Routes::default(),
            descriptors,
        }
    }

    /// Adds a generated server.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a builder's verb, not arithmetic")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }
}

/// Why a gRPC server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The descriptors do not decode.
    #[error("the descriptors for reflection are broken")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// A bound gRPC server that does not answer yet.
#[derive(Debug)]
pub struct Server {
    connections: Connections,
    options: Options,
}

impl Server {
    /// Binds at once, so that port 0 can be asked for and read back.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind<const PORT: u16>(config: &Listen<PORT>, options: Options) -> io::Result<Self> {
        Ok(Self {
            connections: Connections::bind("grpc", &config.listen, config.connections_max).await?,
            options,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connections.local_addr()
    }

    /// Answers until `drain` is cancelled, then finishes the calls in flight, for at most [`Options::drain_grace`]. Connections
    /// without a call are given a second to take leave; a peer that has stopped does not. Adds `grpc.health.v1` (which follows `readiness`) and reflection (v1 and v1alpha).
    ///
    /// # Errors
    /// When the descriptors are broken or the transport fails.
    pub async fn serve(
        self,
        services: Services,
        readiness: Readiness,
        drain: CancellationToken,
    ) -> Result<(), ServerError> {
        let Self { connections, options } = self;
        let Services {
            mut names,
            routes,
            descriptors,
        } = services;
        let reporter = HealthReporter::new();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        names.push(pb::health_server::SERVICE_NAME);
        let routes = routes
            .add_service(reflection(descriptors, &names).build_v1()?)
            .add_service(reflection(descriptors, &names).build_v1alpha()?)
            .add_service(health);

        let calls = TaskTracker::new();
        let server = tonic::transport::Server::builder()
            .max_concurrent_streams(options.concurrency_max)
            .http2_keepalive_interval(Some(options.keepalive))
            .layer(CallLayer::new(&names, options.deadline_max, calls.clone()))
            .add_routes(routes)
            .serve_with_incoming_shutdown(connection::accepted(connections), drain.clone().cancelled_owned());
        let mut server = pin!(server);
        tokio::select! {
            ended = &mut server => return Ok(ended?),
            () = health::follow(reporter, &names, readiness, drain) => {}
        }
        calls.close();
        let grace = options.drain_grace;
        tokio::select! {
            ended = &mut server => return Ok(ended?),
            () = idle(&calls) => tracing::debug!("connections without a call were dropped in the drain"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!("calls that did not end within {grace:?} of the drain were given up");
            }
        }
        Ok(())
    }
}

/// Waits until there has been no call for [`IDLE_GRACE`].
async fn idle(calls: &TaskTracker) {
    loop {
        calls.wait().await;
        tokio::time::sleep(IDLE_GRACE).await;
        if calls.is_empty() {
            return;
        }
    }
}

fn reflection(descriptors: &'static [u8], names: &[&'static str]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET);
    names
        .iter()
        .fold(builder, |builder, name| builder.with_service_name(*name))
}
