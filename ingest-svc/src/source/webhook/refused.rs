//! Answers other than 200: what the sender reads, and what the operator sees of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::parameters::BadParameter;
use super::throttle::Throttled;
use crate::metrics;
use crate::source::rows::BadHeader;

/// Log lines about refusals a second; what is beyond is counted, so that one bad sender does not fill the log.
const LINES_PER_SECOND: u32 = 10;

/// An answer other than 200.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// A short, stable word for metrics and logs.
    pub(super) reason: &'static str,
    /// What the sender reads.
    pub(super) message: String,
}

impl Refused {
    /// 400 because of what the path says.
    pub(super) fn path(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: "path",
            message,
        }
    }

    /// 400 because of what a parameter says.
    pub(super) fn parameter(problem: BadParameter) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: "parameter",
            message: problem.to_string(),
        }
    }

    /// 400 because the rows of a CSV have no names.
    pub(super) fn header(problem: BadHeader) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: "header",
            message: problem.to_string(),
        }
    }

    /// 408, which Braze retries: nobody was answered, so nothing of the body is kept.
    pub(super) fn late(reason: &'static str, message: &str) -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            reason,
            message: message.to_owned(),
        }
    }

    /// 503 with Retry-After.
    pub(super) fn unavailable(reason: &'static str, message: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason,
            message: message.to_owned(),
        }
    }

    /// Whether Braze drops the message for good.
    fn is_final(&self) -> bool {
        let comes_again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        self.status.is_client_error() && !comes_again.contains(&self.status)
    }
}

/// 429 because of a limit of the sender's own token.
impl From<Throttled> for Refused {
    fn from(throttled: Throttled) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            reason: throttled.bound(),
            message: throttled.to_string(),
        }
    }
}

/// 503 because `bound` is reached.
pub(super) fn busy(bound: &'static str) -> Refused {
    ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => bound).increment(1);
    Refused::unavailable(bound, "too much at once; send it again later")
}

/// Counts refusals, and writes of them what fits a log.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<Lines>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Lines::new(Instant::now())))
    }

    /// `account` and `stream` as the path has them: nothing that a sender wrote is printed raw or at length.
    pub(super) fn note(&self, (account, stream): (&str, &str), refused: &Refused) {
        let Refused { status, reason, .. } = refused;
        ::metrics::counter!(metrics::REFUSED, "reason" => *reason).increment(1);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unwritten) = lines.next(Instant::now()) else {
            return;
        };
        drop(lines);
        let (account, stream, status) = (cut(account), cut(stream), status.as_u16());
        if refused.is_final() {
            tracing::info!(
                account,
                stream,
                status,
                reason,
                unwritten,
                "a webhook was refused for good"
            );
        } else {
            tracing::debug!(account, stream, status, reason, unwritten, "a webhook is to come again");
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// How many lines may be written: so many in each second.
#[derive(Debug)]
struct Lines {
    since: Instant,
    written: u32,
    unwritten: u64,
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            written: 0,
            unwritten: 0,
        }
    }

    /// Whether one more may be written now, and how many were not since the last.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.written) = (now, 0);
        }
        if self.written == LINES_PER_SECOND {
            self.unwritten += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_so_many_lines_a_second_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        let written = (0..25).filter_map(|_| lines.next(start)).count();
        assert_eq!(written, 10);
        let later = start + Duration::from_secs(1);
        assert_eq!((lines.next(later), lines.next(later)), (Some(15), Some(0)));
    }

    #[test]
    fn what_a_sender_wrote_is_escaped_and_cut() {
        assert_eq!(cut("a\nb"), "a\\nb");
        assert_eq!(cut(&"x".repeat(1_000)).len(), 64);
    }
}
