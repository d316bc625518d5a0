//! The admin port: probes and metrics.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Listen;
use crate::http1;
use crate::lifecycle::Readiness;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A connection may be idle for this long: longer than the pause between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    server: http1::Server,
}

impl Admin {
    /// Binds at once, so that port 0 can be asked for and read back.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind<const PORT: u16>(config: &Listen<PORT>) -> io::Result<Self> {
        let options = http1::Options {
            port: "admin",
            connections_max: config.connections_max,
            header_timeout: HEADER_TIMEOUT,
        };
        Ok(Self {
            server: http1::Server::bind(&config.listen, options).await?,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.server.local_addr()
    }

    /// Answers until `stop` is cancelled; that is [`crate::lifecycle::Lifecycle::drained`], so that a drain can be watched.
    ///
    /// | path | answer |
    /// |---|---|
    /// | `/livez` | 200 while the process can answer at all |
    /// | `/readyz` | 200, or 503 with one reason a line while it wants no traffic |
    /// | `/metrics` | Prometheus text |
    pub async fn serve(
        self,
        stop: CancellationToken,
        readiness: Readiness,
        metrics: PrometheusHandle,
    ) -> Result<(), Infallible> {
        let rendered = metrics.clone();
        let router = Router::new()
            .route("/livez", get(async || "alive\n"))
            .route("/readyz", get(async move || readyz(&readiness)))
            .route(
                "/metrics",
                get(async move || ([(CONTENT_TYPE, METRICS_TYPE)], rendered.render())),
            );
        tokio::select! {
            () = self.server.serve(TowerToHyperService::new(router), stop) => Ok(()),
            never = upkeep(metrics) => match never {},
        }
    }
}

fn readyz(readiness: &Readiness) -> (StatusCode, String) {
    let reasons = readiness.reasons();
    match reasons.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

/// Folds recorded samples into their buckets, so that they do not pile up while nobody asks for `/metrics`.
async fn upkeep(metrics: PrometheusHandle) -> Infallible {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        metrics.run_upkeep();
    }
}
