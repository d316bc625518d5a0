//! Logs, traces and metrics of the process.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;

use crate::config::{Fault, Validate};

/// Section `telemetry` of a service's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How log lines are written to stderr: `text` for people, `json` for collectors.
    pub log_format: LogFormat,
    /// Which log lines are written, as an `env_logger`-style filter, for example `info,export_svc=debug`.
    pub log_filter: String,
    /// Where traces go: an OTLP collector's gRPC endpoint, for example `http://localhost:4317`. Unset: nowhere.
    pub otlp_endpoint: Option<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
        }
    }
}

impl Validate for Config {
    fn faults(&self, _out: &mut Vec<Fault>) {}
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The OTLP exporter refused its configuration.
    #[error("cannot export traces to {endpoint}")]
    Exporter {
        /// The endpoint as configured.
        endpoint: String,
        /// What the exporter said.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Keeps telemetry alive; [`Guard::shutdown`] sends what is still buffered.
#[derive(Debug)]
#[must_use = "spans are lost unless the guard is shut down at the end of the process"]
pub struct Guard {}

impl Guard {
    /// Sends the spans that are still buffered, waiting at most `deadline`.
    pub async fn shutdown(self, _deadline: Duration) {}
}

/// Sets up logs and traces, once per process: later calls change nothing and are harmless.
///
/// # Errors
/// When the OTLP endpoint cannot be used.
pub fn init(_service: &'static str, _config: &Config) -> Result<Guard, Error> {
    unimplemented!()
}

/// Installs the Prometheus recorder for the `metrics` macros, once per process, and gives its handle every time.
pub fn install_metrics() -> PrometheusHandle {
    unimplemented!()
}
