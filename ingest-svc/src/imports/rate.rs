//! How fast a job is, from what this replica has seen of its progress lately.

use std::collections::VecDeque;
use std::time::Duration;

use proto::imports::v1::ImportCounters;
use tokio::time::Instant;

/// The time that is looked back.
const LATELY: Duration = Duration::from_secs(30);
/// Looks are noted so far apart, at least.
const APART: Duration = Duration::from_secs(1);

/// What was seen of the counters of a job: at most a look a second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rate {
    seen: VecDeque<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    rows: u64,
    bytes: u64,
}

/// How fast a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pace {
    /// Rows a second.
    pub(crate) rows: f64,
    /// Bytes of the files, as they are stored, a second.
    pub(crate) bytes: f64,
}

impl Rate {
    /// Notes what the counters are.
    pub(super) fn see(&mut self, counters: &ImportCounters, at: Instant) {
        // It was reset, or a file was forgotten: what was seen is of something else.
        if self.seen.back().is_some_and(|last| counters.rows < last.rows) {
            self.seen.clear();
        }
        if self.seen.back().is_some_and(|last| at < last.at + APART) {
            return;
        }
        self.seen.push_back(Seen {
            at,
            rows: counters.rows,
            bytes: counters.bytes_read,
        });
        while self.seen.get(1).is_some_and(|second| second.at + LATELY <= at) {
            self.seen.pop_front();
        }
    }

    /// How fast it is at this moment, at which the counters are these; 0 as long as nothing is known.
    pub(super) fn pace(&self, counters: &ImportCounters, at: Instant) -> Pace {
        let Some(first) = self.seen.front() else {
            return Pace::default();
        };
        let seconds = at.saturating_duration_since(first.at).as_secs_f64();
        if seconds < APART.as_secs_f64() {
            return Pace::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "a pace need not be exact beyond 2^52")]
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Pace {
            rows: per_second(counters.rows, first.rows),
            bytes: per_second(counters.bytes_read, first.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(rows: u64) -> ImportCounters {
        ImportCounters {
            rows,
            bytes_read: 10 * rows,
            ..ImportCounters::default()
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_half_minute_and_no_more_is_kept() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let mut rows = 0;
        for tenth in 0..1_200 {
            // 100 rows a second, and in the last half minute 50.
            rows += if tenth < 900 { 10 } else { 5 };
            let at = start + Duration::from_millis(100) * tenth;
            rate.see(&counters(rows), at);
            assert!(rate.seen.len() <= 32, "{}", rate.seen.len());
        }
        let pace = rate.pace(&counters(rows), start + Duration::from_secs(120));
        assert!((49.0..=52.0).contains(&pace.rows), "{pace:?}");
        assert!((490.0..=520.0).contains(&pace.bytes), "{pace:?}");
    }

    #[test]
    fn of_a_job_that_was_looked_at_once_no_pace_is_known() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        assert_eq!(rate.pace(&counters(5), start), Pace::default());
        rate.see(&counters(5), start);
        assert_eq!(rate.pace(&counters(5), start), Pace::default());
    }

    #[test]
    fn counters_that_go_back_begin_anew() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.see(&counters(500), start);
        rate.see(&counters(5), start + APART);
        let pace = rate.pace(&counters(7), start + APART * 2);
        assert!((pace.rows - 2.0).abs() < 0.01, "{pace:?}");
    }
}
