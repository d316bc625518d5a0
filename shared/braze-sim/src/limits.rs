//! Rate limits (reference §3.7): clock-hour windows, sliding bursts, and the two forms of the headers.

use std::collections::VecDeque;

use http::header::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use crate::settings::{RateHeaders, RateLimits};

const HOUR_SECONDS: i64 = 3_600;

/// What has been counted of one pool in one workspace.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    hour: i64,
    in_hour: u64,
    recent: VecDeque<Timestamp>,
}

/// Whether a request may go on, and what its answer says about the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// The window that the headers speak of; none if there is no limit.
    pub(crate) window: Option<Window>,
}

/// One window as the headers describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) resets_at: Timestamp,
}

impl Limiter {
    /// Counts a request that arrives now, unless it is refused. The headers speak of the window that refused it, else of
    /// the hour, else of the burst.
    pub(crate) fn arrive(&mut self, limits: &RateLimits, now: Timestamp) -> Decision {
        let hour = now.as_second().div_euclid(HOUR_SECONDS);
        if hour != self.hour {
            (self.hour, self.in_hour) = (hour, 0);
        }
        let window = limits
            .burst
            .map(|burst| SignedDuration::try_from(burst.window).unwrap_or(SignedDuration::MAX));
        if let Some(window) = window {
            while self.recent.front().is_some_and(|at| now.duration_since(*at) >= window) {
                self.recent.pop_front();
            }
        } else {
            self.recent.clear();
        }

        let in_burst = self.recent.len() as u64;
        let hour_full = limits.per_hour.is_some_and(|limit| self.in_hour >= limit);
        let burst_full = limits.burst.is_some_and(|burst| in_burst >= burst.requests);
        let allowed = !hour_full && !burst_full;
        if allowed {
            self.in_hour += 1;
            if window.is_some() {
                self.recent.push_back(now);
            }
        }

        let of_hour = limits.per_hour.map(|limit| Window {
            limit,
            remaining: limit.saturating_sub(self.in_hour),
            resets_at: Timestamp::from_second((hour + 1) * HOUR_SECONDS).unwrap_or(now),
        });
        let of_burst = limits.burst.zip(window).map(|(burst, window)| Window {
            limit: burst.requests,
            remaining: burst.requests.saturating_sub(self.recent.len() as u64),
            resets_at: self
                .recent
                .front()
                .unwrap_or(&now)
                .saturating_add(window)
                .unwrap_or(now),
        });
        Decision {
            allowed,
            window: if burst_full && !hour_full {
                of_burst
            } else {
                of_hour.or(of_burst)
            },
        }
    }
}

/// The headers of an answer: names are in lower case, numbers whole seconds, rounded up.
pub(crate) fn headers(form: RateHeaders, decision: &Decision, now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
    let Some(window) = decision.window else {
        return Vec::new();
    };
    let left = up(window.resets_at.duration_since(now)).max(0);
    let reset = match form {
        RateHeaders::Mau if !decision.allowed => {
            return vec![(HeaderName::from_static("x-ratelimit-retry-after"), left.max(1).into())];
        }
        RateHeaders::Mau => left,
        RateHeaders::Classic => up(window.resets_at.duration_since(Timestamp::UNIX_EPOCH)),
    };
    vec![
        (HeaderName::from_static("x-ratelimit-limit"), window.limit.into()),
        (
            HeaderName::from_static("x-ratelimit-remaining"),
            window.remaining.into(),
        ),
        (HeaderName::from_static("x-ratelimit-reset"), reset.into()),
    ]
}

fn up(duration: SignedDuration) -> i64 {
    duration.as_secs() + i64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Burst;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn s3_7_an_hourly_window_ends_on_the_clock_hour() {
        let limits = RateLimits {
            per_hour: Some(2),
            burst: None,
        };
        let mut limiter = Limiter::default();
        assert!(limiter.arrive(&limits, at("2026-01-01T10:59:58Z")).allowed);
        let second = limiter.arrive(&limits, at("2026-01-01T10:59:59Z"));
        let window = Window {
            limit: 2,
            remaining: 0,
            resets_at: at("2026-01-01T11:00:00Z"),
        };
        assert_eq!(
            second,
            Decision {
                allowed: true,
                window: Some(window)
            }
        );
        assert!(!limiter.arrive(&limits, at("2026-01-01T10:59:59.9Z")).allowed);
        assert!(
            limiter.arrive(&limits, at("2026-01-01T11:00:00Z")).allowed,
            "a new hour, not 60 minutes later"
        );
    }

    #[test]
    fn s3_7_the_burst_window_slides() {
        let limits = RateLimits {
            per_hour: None,
            burst: Some(Burst::new(2, Duration::from_secs(3))),
        };
        let mut limiter = Limiter::default();
        assert!(limiter.arrive(&limits, at("2026-01-01T10:00:00Z")).allowed);
        assert!(limiter.arrive(&limits, at("2026-01-01T10:00:02Z")).allowed);
        let third = limiter.arrive(&limits, at("2026-01-01T10:00:02.999Z"));
        let window = Window {
            limit: 2,
            remaining: 0,
            resets_at: at("2026-01-01T10:00:03Z"),
        };
        assert_eq!(
            third,
            Decision {
                allowed: false,
                window: Some(window)
            }
        );
        assert!(
            limiter.arrive(&limits, at("2026-01-01T10:00:03Z")).allowed,
            "the first has left the window"
        );
        assert!(
            !limiter.arrive(&limits, at("2026-01-01T10:00:04.9Z")).allowed,
            "the second has not"
        );
    }

    #[test]
    fn s3_7_a_full_burst_is_reported_although_the_hour_has_room() {
        let limits = RateLimits {
            per_hour: Some(100),
            burst: Some(Burst::new(1, Duration::from_secs(3))),
        };
        let mut limiter = Limiter::default();
        assert_eq!(
            limiter
                .arrive(&limits, at("2026-01-01T10:00:00Z"))
                .window
                .unwrap()
                .limit,
            100
        );
        let refused = limiter.arrive(&limits, at("2026-01-01T10:00:01Z"));
        assert_eq!((refused.allowed, refused.window.unwrap().limit), (false, 1));
    }

    #[test]
    fn s3_7_resets_are_rounded_up_so_that_waiting_for_them_is_enough() {
        let now = at("2026-01-01T10:00:00.5Z");
        let window = Window {
            limit: 9,
            remaining: 0,
            resets_at: at("2026-01-01T10:00:02.6Z"),
        };
        let decision = Decision {
            allowed: false,
            window: Some(window),
        };
        let text = |form| -> Vec<String> {
            let headers = headers(form, &decision, now);
            headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect()
        };
        let epoch = at("2026-01-01T10:00:03Z").as_second();
        assert_eq!(
            text(RateHeaders::Classic),
            [
                "x-ratelimit-limit=9",
                "x-ratelimit-remaining=0",
                &format!("x-ratelimit-reset={epoch}")
            ]
        );
        assert_eq!(text(RateHeaders::Mau), ["x-ratelimit-retry-after=3"]);
    }
}
