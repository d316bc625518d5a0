//! The waits of the engine in the storm: the shipped ones in smaller, or the storm would take hours. What the simulator does
//! late stays below nine tenths of what the engine allows for.

use std::time::Duration;

/// `engine.settle_gap` (shipped: 3 s).
pub(crate) const SETTLE_GAP: Duration = Duration::from_millis(500);
/// `engine.doubt` (shipped: 60 s).
pub(crate) const DOUBT: Duration = Duration::from_secs(3);
/// `engine.lease` (shipped: 5 s).
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// `engine.progress_every` (as shipped).
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// `engine.request_timeout` (shipped: 10 s): a call that is answered later has ended unknown.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than the group waits for a replica (10 s), its heartbeat and the lease.
pub(crate) const FREEZE: Duration = Duration::from_secs(14);
/// How far below the engine's allowance the simulator stays.
const MARGIN: f64 = 0.9;

/// The longest time after its 2xx that a call is applied.
pub(crate) fn settle_max() -> Duration {
    SETTLE_GAP.mul_f64(MARGIN)
}

/// How long after it was read a call that ends badly is applied: `share` (0 to 1) of the longest time.
pub(crate) fn late(share: f64) -> Duration {
    DOUBT.mul_f64(MARGIN * share)
}

/// Section `engine` of the replicas' configuration, as environment variables.
pub(crate) fn settings() -> Vec<(String, String)> {
    let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
    let settings = [
        ("SETTLE_GAP", milliseconds(SETTLE_GAP)),
        ("DOUBT", milliseconds(DOUBT)),
        ("LEASE", milliseconds(LEASE)),
        ("PROGRESS_EVERY", milliseconds(PROGRESS_EVERY)),
        ("REQUEST_TIMEOUT", milliseconds(CALL_TIMEOUT)),
        // The kernel of the storm's machine delivers at once.
        ("TCP_USER_TIMEOUT", "500ms".to_owned()),
        ("LATE_FLUSH_AFTER", "200ms".to_owned()),
        ("BACKOFF_MIN", "100ms".to_owned()),
        ("BACKOFF_MAX", "1s".to_owned()),
        ("PROBE_AFTER", "1s".to_owned()),
        ("RESTART_AFTER", "200ms".to_owned()),
        ("REQUESTS_PER_SECOND", "200".to_owned()),
    ];
    settings
        .map(|(key, value)| (format!("EXPORT_SVC__ENGINE__{key}"), value))
        .into()
}
