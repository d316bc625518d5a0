//! The admin port: probes and metrics.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Readiness;

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Binds at once, so that port 0 can be asked for and read back.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers `/livez`, `/readyz` and `/metrics` until `stop` is cancelled.
    pub fn serve(
        self,
        _stop: CancellationToken,
        _readiness: Readiness,
        _metrics: PrometheusHandle,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        async { unimplemented!() }
    }
}
