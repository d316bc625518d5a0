//! Logs, traces and metrics of the process.
//!
//! Log lines go to stderr, spans to an OTLP collector, metrics to the admin port. The log filter decides about log
//! lines only: spans are kept from level info on, so that a quiet log still gives whole traces.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Fault, Validate};

pub use prometheus::install_metrics;

mod prometheus;

/// Target of the spans that last as long as a task: shown in log lines, but not the root of every trace.
pub(crate) const TASK_TARGET: &str = "task";

/// Section `telemetry` of a service's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How log lines are written to stderr: `text` for people, `json` for collectors.
    pub log_format: LogFormat,
    /// Which log lines are written, by target and level, for example `info,export_svc=debug`.
    pub log_filter: String,
    /// Where spans go: an OTLP collector's gRPC endpoint, for example `http://localhost:4317`. Unset: nowhere.
    pub otlp_endpoint: Option<String>,
    /// Whether spans and metrics are recorded at all. `false` shows what they cost: no span is sent, no trace of a sender's passes
    /// through, and `/metrics` stays empty. Default `true`.
    pub recorded: bool,
}

impl Config {
    /// The metrics of the process: see [`install_metrics`], unless nothing is recorded.
    pub fn metrics(&self) -> PrometheusHandle {
        if self.recorded {
            install_metrics()
        } else {
            prometheus::recorder().handle()
        }
    }
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
            recorded: true,
        }
    }
}

impl Validate for Config {
    /// Assumes that the section is called `telemetry`.
    fn faults(&self, out: &mut Vec<Fault>) {
        if let Err(error) = EnvFilter::builder().parse(&self.log_filter) {
            out.push(Fault::new(
                "telemetry.log_filter",
                format!("{error}; write for example \"info,export_svc=debug\""),
            ));
        }
        let usable = |text: &str| {
            text.parse::<http::Uri>()
                .is_ok_and(|uri| uri.scheme_str() == Some("http"))
        };
        if self.otlp_endpoint.as_deref().is_some_and(|text| !usable(text)) {
            out.push(Fault::new(
                "telemetry.otlp_endpoint",
                "must be a URL such as \"http://localhost:4317\"",
            ));
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter does not parse.
    #[error("the log filter is not valid")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The OTLP exporter refused its configuration.
    #[error("cannot export spans to {endpoint}")]
    Exporter {
        /// The endpoint as configured.
        endpoint: String,
        /// What the exporter said.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Keeps telemetry alive; [`Guard::shutdown`] sends what is still buffered.
#[derive(Debug)]
#[must_use = "buffered spans are lost unless the guard is shut down at the end of the process"]
pub struct Guard {
    /// Only in the guard of the call that set telemetry up.
    provider: Option<SdkTracerProvider>,
}

impl Guard {
    /// Sends the spans that are still buffered and stops, waiting at most `deadline`. The exporter blocks, so it is given
    /// a thread of its own. Does nothing for a guard of a later [`init`].
    pub async fn shutdown(self, deadline: Duration) {
        let Some(provider) = self.provider else { return };
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline));
        match tokio::time::timeout(deadline, flush).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
            Ok(Err(error)) => tracing::warn!(%error, "the exporter of spans panicked"),
            Err(_) => tracing::warn!(?deadline, "the last spans were not exported in time"),
        }
    }
}

static INITIALISED: Mutex<bool> = Mutex::new(false);

/// Sets up logs and spans, once per process; later calls change nothing and are harmless, so that several services can
/// live in one process (their spans then carry the name of the first). The exporter lives on the tokio runtime that this
/// is called in.
///
/// # Errors
/// When the log filter or the OTLP endpoint cannot be used.
pub fn init(service: &'static str, config: &Config) -> Result<Guard, Error> {
    let mut initialised = INITIALISED.lock().unwrap_or_else(PoisonError::into_inner);
    if *initialised {
        return Ok(Guard { provider: None });
    }
    let filter = EnvFilter::builder().parse(&config.log_filter)?;
    let provider = config
        .recorded
        .then(|| provider(service, config.otlp_endpoint.as_deref()));
    let provider = provider.transpose()?;
    *initialised = true;
    let spans = provider.as_ref().map(|provider| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        opentelemetry::global::set_tracer_provider(provider.clone());
        // Also without a collector: a trace that passes through us goes on in the records we write.
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(recorded_spans())
    });
    let installed = Registry::default()
        .with(spans)
        .with(lines(config.log_format).with_filter(filter))
        .try_init();
    if installed.is_err() {
        tracing::debug!("somebody else's subscriber takes the log lines of this process");
    }
    Ok(Guard { provider })
}

fn provider(service: &'static str, endpoint: Option<&str>) -> Result<SdkTracerProvider, Error> {
    let resource = Resource::builder().with_service_name(service).build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = endpoint else {
        return Ok(builder.build());
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| Error::Exporter {
            endpoint: endpoint.to_owned(),
            source,
        })?;
    Ok(builder.with_batch_exporter(exporter).build())
}

/// Spans of our own from level info on. The transports beneath are left out: exporting would make spans to export.
fn recorded_spans() -> Targets {
    let silent = [
        TASK_TARGET,
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "opentelemetry",
        "reqwest",
    ];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(silent.map(|target| (target, LevelFilter::OFF)))
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty_keys(config: &Config) -> Vec<String> {
        let mut faults = Vec::new();
        config.faults(&mut faults);
        faults.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_each_bad_key_is_named() {
        assert!(faulty_keys(&Config::default()).is_empty());
        let good = Config {
            otlp_endpoint: Some("http://localhost:4317".to_owned()),
            ..Config::default()
        };
        assert!(faulty_keys(&good).is_empty());
        let bad = Config {
            log_filter: "info,x=loud".to_owned(),
            otlp_endpoint: Some("localhost:4317".to_owned()),
            ..Config::default()
        };
        assert_eq!(faulty_keys(&bad), ["telemetry.log_filter", "telemetry.otlp_endpoint"]);
    }
}
