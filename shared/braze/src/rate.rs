//! Braze's rate-limit headers, in all their forms.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// No wait that Braze asks for is longer: its longest window is an hour.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// `X-RateLimit-Reset` is an instant (epoch seconds) from here on, and a delay (seconds left) below.
const FIRST_INSTANT: f64 = 1_000_000_000.0;

/// What an answer says about the rate limit of the Braze workspace. Absent or unreadable headers are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateHints {
    /// Requests allowed in the window.
    pub limit: Option<u64>,
    /// Requests left in the window (approximate on some contracts).
    pub remaining: Option<u64>,
    /// Time from now to the end of the window, 0 s to 3,600 s.
    pub reset: Option<Duration>,
    /// Time that Braze asks us to wait before the next request, 0 s to 3,600 s: the longer one of its own
    /// `X-Ratelimit-Retry-After` and the standard `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl RateHints {
    /// Reads the headers of one answer that arrived at `now`.
    pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let count = |name| text(name).and_then(|text| text.parse().ok());
        let own = text("x-ratelimit-retry-after").and_then(|text| wait(text, now));
        let standard = text(RETRY_AFTER.as_str()).and_then(|text| wait(text, now).or_else(|| until(text, now)));
        Self {
            limit: count("x-ratelimit-limit"),
            remaining: count("x-ratelimit-remaining"),
            reset: text("x-ratelimit-reset").and_then(|text| wait(text, now)),
            retry_after: own.max(standard),
        }
    }

    /// How long a 429 asks us to wait: its own delay, else the end of the window. Without either, the caller backs off.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.reset)
    }
}

/// A number of seconds, or an instant in epoch seconds.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds: f64 = text.parse().ok().filter(|seconds: &f64| seconds.is_finite())?;
    let delay = if seconds < FIRST_INSTANT {
        seconds
    } else {
        seconds - now.as_duration().as_secs_f64()
    };
    Some(Duration::from_secs_f64(delay.clamp(0.0, WAIT_MAX.as_secs_f64())))
}

pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// An HTTP date.
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let instant = http_date(text)?;
    Some(
        Duration::try_from(instant.duration_since(now))
            .unwrap_or_default()
            .min(WAIT_MAX),
    )
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_785_000_000;

    fn read(headers: &[(&'static str, &'static str)]) -> RateHints {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        RateHints::read(&headers, Timestamp::from_second(NOW).unwrap())
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_classic_form_gives_an_instant() {
        let hints = read(&[
            ("x-ratelimit-limit", "3000"),
            ("x-ratelimit-remaining", "17"),
            ("x-ratelimit-reset", "1785000002"),
        ]);
        assert_eq!(
            hints,
            RateHints {
                limit: Some(3000),
                remaining: Some(17),
                reset: seconds(2),
                retry_after: None
            }
        );
        assert_eq!(hints.wait(), seconds(2));
    }

    #[test]
    fn the_newer_form_gives_seconds_left_and_a_delay_of_its_own_on_429() {
        assert_eq!(read(&[("x-ratelimit-reset", "42")]).reset, seconds(42));
        let hints = read(&[("x-ratelimit-retry-after", "7")]);
        assert_eq!(
            hints,
            RateHints {
                retry_after: seconds(7),
                ..RateHints::default()
            }
        );
        assert_eq!(hints.wait(), seconds(7));
    }

    #[test]
    fn a_reset_is_a_delay_below_a_thousand_million_and_an_instant_from_there() {
        assert_eq!(read(&[("x-ratelimit-reset", "999999999")]).reset, Some(WAIT_MAX));
        assert_eq!(read(&[("x-ratelimit-reset", "1000000000")]).reset, seconds(0));
    }

    #[test]
    fn waits_are_clamped_to_an_hour_and_never_negative() {
        for (value, wait) in [
            ("3600", 3600),
            ("3601", 3600),
            ("-1", 0),
            ("1785009999", 3600),
            ("1784999999", 0),
        ] {
            assert_eq!(read(&[("x-ratelimit-reset", value)]).reset, seconds(wait), "{value}");
            assert_eq!(
                read(&[("x-ratelimit-retry-after", value)]).retry_after,
                seconds(wait),
                "{value}"
            );
        }
    }

    #[test]
    fn the_standard_header_is_honoured_as_seconds_and_as_a_date() {
        assert_eq!(read(&[("retry-after", "120")]).wait(), seconds(120));
        // NOW is 2026-07-25T17:20:00Z.
        assert_eq!(
            read(&[("retry-after", "Sat, 25 Jul 2026 17:20:30 GMT")]).wait(),
            seconds(30)
        );
        assert_eq!(
            read(&[("retry-after", "Sat, 25 Jul 2026 17:00:00 GMT")]).wait(),
            seconds(0)
        );
        assert_eq!(
            read(&[("retry-after", "Sun, 26 Jul 2026 17:20:00 GMT")]).wait(),
            seconds(3600)
        );
    }

    #[test]
    fn the_longer_of_two_delays_counts_and_both_count_before_the_window() {
        assert_eq!(
            read(&[("x-ratelimit-retry-after", "7"), ("retry-after", "9")]).wait(),
            seconds(9)
        );
        assert_eq!(
            read(&[("x-ratelimit-retry-after", "7"), ("x-ratelimit-reset", "90")]).wait(),
            seconds(7)
        );
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        assert_eq!(read(&[]), RateHints::default());
        for value in ["", "soon", "NaN", "inf", "1e999"] {
            assert_eq!(
                read(&[
                    ("x-ratelimit-limit", value),
                    ("x-ratelimit-remaining", value),
                    ("x-ratelimit-reset", value),
                    ("x-ratelimit-retry-after", value),
                    ("retry-after", value),
                ]),
                RateHints::default(),
                "{value}"
            );
        }
    }
}
