use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper bounds, in seconds, of the histograms whose names end in `_seconds`: from an in-memory answer to a batch that
/// waited its five minutes.
const SECONDS_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// Installs the Prometheus recorder behind the `metrics` macros, once per process, and gives its handle every time.
/// Histograms whose names end in `_seconds` have buckets, so that they can be added up over replicas.
pub fn install_metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("somebody else records the metrics of this process: /metrics stays empty");
            }
            handle
        })
        .clone()
}

/// A recorder that nothing is recorded with yet.
pub(super) fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .expect("the buckets are a constant that is not empty")
        .build_recorder()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_gives_the_same_metrics() {
        let first = install_metrics();
        metrics::counter!("runtime_install_test_total").increment(1);
        metrics::histogram!("runtime_install_test_seconds").record(0.2);
        let shown = install_metrics().render();
        assert!(shown.contains("runtime_install_test_total 1"), "{shown}");
        assert!(
            shown.contains("runtime_install_test_seconds_bucket{le=\"0.25\"} 1"),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), first.render().lines().count());
    }
}
