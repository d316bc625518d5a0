//! The engine's settings.

use std::time::Duration;

use serde::Deserialize;

use crate::feed::Patience;

/// Offsets that fit a feed's progress record of less than a megabyte, at 10 bytes each.
const PENDING_MAX: usize = 80_000;
/// Least values of what ends a call.
const REQUEST_TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TCP_USER_TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Section `engine` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Bytes of one request body. At most, and by default, 4,000,000 (Braze refuses more).
    pub body_bytes_max: usize,
    /// A change older than its job's flush-after when it is read, as in a backlog, waits at most this long. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub late_flush_after: Duration,
    /// Changes read and not settled, per Braze workspace. When as many are pending, nothing more is read. One job alone fills
    /// half of it, so with less than 150 for each request in flight there are never as many of those. At most 80,000. Default
    /// 20,000.
    pub pending_max: usize,
    /// The same bound in bytes. Default 33,554,432.
    pub pending_bytes_max: usize,
    /// Requests in flight, per Braze workspace. At most 150. Default 32.
    pub in_flight_max: usize,
    /// Requests started per second, per Braze workspace, unless an authorization of it has a budget of its own. Default: half of
    /// the limit that Braze's answers tell, 50 until then.
    pub requests_per_second: Option<f64>,
    /// How long the opposite of an accepted change waits: Braze may apply calls this far out of order. Default `3s`.
    #[serde(with = "humantime_serde")]
    pub settle_gap: Duration,
    /// How long after our last byte Braze may apply a call that ended unknown. The opposite of its changes waits that long and
    /// `tcp_user_timeout`. Default `60s`.
    #[serde(with = "humantime_serde")]
    pub doubt: Duration,
    /// Changes whose opposite must wait, per Braze workspace. When as many are remembered, no request starts. Default
    /// 1,000,000.
    pub not_before_max: usize,
    /// A request starts only if progress was committed in a transaction begun less than this ago; also how long a new
    /// owner waits when its predecessor has not released the workspace. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Limit of one call to Braze, answer included. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long the kernel may go on sending bytes that Braze does not acknowledge, be the call over or not. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub tcp_user_timeout: Duration,
    /// First wait after an attempt that ended unknown; doubled with each further one, for as long as Braze is away up to
    /// `sleep_max`. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub backoff_min: Duration,
    /// Longest such wait of an update that fails alone. Default `60s`.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// First wait of the jobs of an authorization that Braze refuses, before it is tried again; doubled each time, up to
    /// `sleep_max`. A changed authorization is tried at once. Default `1m`.
    #[serde(with = "humantime_serde")]
    pub probe_after: Duration,
    /// Longest that jobs sleep before Braze is tried again. Default `10m`.
    #[serde(with = "humantime_serde")]
    pub sleep_max: Duration,
    /// A job that has met nothing but errors for so long has failed: it sends nothing until it is bounced. Default `10h`.
    #[serde(with = "humantime_serde")]
    pub fail_after: Duration,
    /// How often progress is written while something changes. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub progress_every: Duration,
    /// How often the progress of every feed is written, however quiet it is; or a successor would read for it all that it was
    /// shown since its last change. Default `1h`.
    #[serde(with = "humantime_serde")]
    pub progress_of_all_every: Duration,
    /// Wait before a workspace that failed is served again; doubled each time, up to 30 s. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub restart_after: Duration,
    /// How long a Braze workspace that another replica is to serve may take to finish what is in flight. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub hand_over: Duration,
    /// How long a drain may take before what is in flight is left to the next owner. Default `20s`.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: braze::BODY_BYTES_MAX,
            late_flush_after: Duration::from_secs(1),
            pending_max: 20_000,
            pending_bytes_max: 32 << 20,
            in_flight_max: 32,
            requests_per_second: None,
            settle_gap: Duration::from_secs(3),
            doubt: Duration::from_secs(60),
            not_before_max: 1_000_000,
            lease: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            tcp_user_timeout: Duration::from_secs(5),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            probe_after: Duration::from_secs(60),
            sleep_max: Duration::from_secs(600),
            fail_after: Duration::from_secs(36_000),
            progress_every: Duration::from_secs(1),
            progress_of_all_every: Duration::from_secs(3_600),
            restart_after: Duration::from_secs(1),
            hand_over: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }
}

impl EngineConfig {
    /// How long the last byte of an attempt may leave after its start: the call's limit and the kernel's together.
    pub fn attempt_max(&self) -> Duration {
        self.request_timeout + self.tcp_user_timeout
    }

    /// How long the opposite of a change waits after the end of an attempt that ended unknown. Braze's time begins with our
    /// last byte, and the kernel may still hold some when the call is over.
    pub fn unknown_gap(&self) -> Duration {
        self.doubt + self.tcp_user_timeout
    }

    /// The longest that anything waits: what may have been sent by an owner that did not release the workspace.
    pub fn longest_wait(&self) -> Duration {
        self.lease + self.attempt_max() + self.doubt
    }

    /// When errors are consecutive, and how long they may go on. Whatever waits is tried twice in `apart_max`.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            apart_max: 2 * self.sleep_max + self.attempt_max(),
            fail_after: self.fail_after,
        }
    }

    /// Everything wrong with these values: (key within the section, what is wrong with it).
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut check = |good: bool, key: &'static str, problem: String| {
            if !good {
                problems.push((key, problem));
            }
        };
        let bytes = 1_024..=braze::BODY_BYTES_MAX;
        check(
            bytes.contains(&self.body_bytes_max),
            "body_bytes_max",
            format!("must be from {} to {}", bytes.start(), bytes.end()),
        );
        check(
            (1..=PENDING_MAX).contains(&self.pending_max),
            "pending_max",
            format!("must be from 1 to {PENDING_MAX}: the offsets of what is pending must fit one progress record"),
        );
        check(
            self.pending_bytes_max >= 1,
            "pending_bytes_max",
            "must be at least 1".into(),
        );
        check(
            (1..=150).contains(&self.in_flight_max),
            "in_flight_max",
            "must be from 1 to 150: what all of them leave in doubt must fit one progress record".into(),
        );
        check(
            self.requests_per_second
                .is_none_or(|rate| rate.is_finite() && rate > 0.0),
            "requests_per_second",
            "must be a number above 0".into(),
        );
        let least = 2 * self.in_flight_max * braze::OBJECTS_MAX;
        check(
            self.not_before_max >= least,
            "not_before_max",
            format!("must be at least 150 × in_flight_max = {least}, or one round of requests fills it"),
        );
        check(
            self.doubt >= self.settle_gap,
            "doubt",
            "must not be shorter than settle_gap: an unknown attempt may take effect later than an accepted one".into(),
        );
        check(
            self.request_timeout >= REQUEST_TIMEOUT_MIN,
            "request_timeout",
            format!("must be at least {REQUEST_TIMEOUT_MIN:?}: every call would end unknown, and be sent again"),
        );
        check(
            self.tcp_user_timeout >= TCP_USER_TIMEOUT_MIN,
            "tcp_user_timeout",
            format!("must be at least {TCP_USER_TIMEOUT_MIN:?}"),
        );
        check(
            self.progress_every < self.lease,
            "lease",
            "must be longer than progress_every, or every request waits for a progress write".into(),
        );
        check(
            self.settle_gap <= self.lease,
            "lease",
            "must not be shorter than settle_gap: a new owner waits that long instead of knowing what was just sent"
                .into(),
        );
        check(
            self.hand_over <= Duration::from_secs(20),
            "hand_over",
            "must be at most 20s: a replica that has not given a slot back after 30s is put out of the group".into(),
        );
        check(
            self.backoff_min <= self.backoff_max,
            "backoff_max",
            "must not be shorter than backoff_min".into(),
        );
        check(
            self.sleep_max >= self.probe_after.max(self.backoff_min),
            "sleep_max",
            "must not be shorter than probe_after and backoff_min, which are the first waits".into(),
        );
        check(
            self.fail_after >= self.sleep_max,
            "fail_after",
            "must not be shorter than sleep_max, or a job fails in its sleep".into(),
        );
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(EngineConfig::default().problems(), []);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let config = EngineConfig {
            in_flight_max: 0,
            pending_max: PENDING_MAX + 1,
            doubt: Duration::from_secs(1),
            lease: Duration::from_secs(1),
            request_timeout: Duration::ZERO,
            tcp_user_timeout: Duration::ZERO,
            sleep_max: Duration::from_secs(59),
            fail_after: Duration::from_secs(58),
            ..EngineConfig::default()
        };
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "pending_max",
                "in_flight_max",
                "doubt",
                "request_timeout",
                "tcp_user_timeout",
                "lease",
                "lease",
                "sleep_max",
                "fail_after"
            ]
        );
    }
}
