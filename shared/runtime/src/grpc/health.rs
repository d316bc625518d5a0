use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::lifecycle::Readiness;

/// How often the checks of the readiness are asked: they cannot tell when their answer changes.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The name under which the health service speaks of the whole server.
const WHOLE_SERVER: &str = "";

/// Makes the health service say what `readiness` says, until the drain; then ends its watchers' streams, which would
/// otherwise hold their connections, and with them the drain.
pub(super) async fn follow(
    mut reporter: HealthReporter,
    names: &[&'static str],
    readiness: Readiness,
    drain: CancellationToken,
) {
    let names: Vec<&str> = names.iter().copied().chain([WHOLE_SERVER]).collect();
    let mut changed = readiness.changed();
    while !drain.is_cancelled() {
        let status = if readiness.is_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        report(&reporter, &names, status).await;
        tokio::select! {
            // The sender lives as long as `readiness`: an error is not to be feared.
            _ = changed.changed() => {}
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
            () = drain.cancelled() => {}
        }
    }
    report(&reporter, &names, ServingStatus::NotServing).await;
    for name in names {
        reporter.clear_service_status(name).await;
    }
}

async fn report(reporter: &HealthReporter, names: &[&str], status: ServingStatus) {
    for name in names {
        reporter.set_service_status(*name, status).await;
    }
}
