//! How many requests a Braze workspace may start, and when it must not start any.
//!
//! Pure; time is an argument. Three things hold a request back: the rate, a freeze that Braze asked for (429), and a back-off
//! after attempts that ended unknown.

use std::time::Duration;

use crate::clock::Time;

/// Requests saved up while idle, as time: a burst is at most this much of a second.
const BURST: f64 = 0.1;

/// The budget of one Braze workspace.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: f64,
    tokens: f64,
    /// When `tokens` was true.
    as_of: Time,
    frozen_until: Time,
    backoff_min: Duration,
    backoff_max: Duration,
    failures: u32,
}

impl Budget {
    /// A full budget of `rate` requests per second.
    pub fn new(rate: f64, backoff_min: Duration, backoff_max: Duration, now: Time) -> Self {
        Self {
            rate,
            tokens: (rate * BURST).max(1.0),
            as_of: now,
            frozen_until: Time::MIN,
            backoff_min,
            backoff_max,
            failures: 0,
        }
    }

    /// Takes one request out of the budget, if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        self.refill(now);
        let free = now >= self.frozen_until && self.tokens >= 1.0;
        if free {
            self.tokens -= 1.0;
        }
        free
    }

    /// The earliest time at which [`Budget::take`] may succeed.
    pub fn next(&self) -> Time {
        let missing = (1.0 - self.tokens).max(0.0) / self.rate;
        (self.as_of + Duration::from_secs_f64(missing)).max(self.frozen_until)
    }

    /// No request before `until`.
    pub fn freeze(&mut self, until: Time) {
        self.frozen_until = self.frozen_until.max(until);
    }

    /// Braze has answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed and nobody says for how long: the wait doubles each time; `jitter`, from 0 to 1, spreads it over its
    /// upper half. Attempts that began before the last failure count once with it.
    pub fn failed(&mut self, now: Time, jitter: f64) {
        if now < self.frozen_until {
            return;
        }
        let doubled = self.backoff_min.saturating_mul(1 << self.failures.min(16));
        let wait = doubled
            .min(self.backoff_max)
            .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.failures += 1;
        self.freeze(now + wait);
    }

    fn refill(&mut self, now: Time) {
        if now > self.as_of {
            let earned = now.since(self.as_of).as_secs_f64() * self.rate;
            self.tokens = (self.tokens + earned).min((self.rate * BURST).max(1.0));
            self.as_of = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn budget() -> Budget {
        Budget::new(50.0, Duration::from_secs(1), Duration::from_secs(60), at(0))
    }

    #[test]
    fn the_rate_is_kept_over_time_and_bursts_are_short() {
        let mut budget = budget();
        let taken = |budget: &mut Budget, from: i64, to: i64| (from..to).filter(|now| budget.take(at(*now))).count();
        assert_eq!(taken(&mut budget, 0, 1), 1);
        assert!(
            (53..=55).contains(&taken(&mut budget, 1, 1_001)),
            "a second's worth and the burst"
        );
        assert!((49..=51).contains(&taken(&mut budget, 1_001, 2_001)));
        let next = budget.next();
        assert!(!budget.take(next + Duration::ZERO - Duration::from_millis(1)));
        assert!(budget.take(next));
    }

    #[test]
    fn a_freeze_holds_everything_back_until_it_ends() {
        let mut budget = budget();
        budget.freeze(at(5_000));
        budget.freeze(at(3_000));
        assert!(!budget.take(at(4_999)));
        assert_eq!(budget.next(), at(5_000));
        assert!(budget.take(at(5_000)));
    }

    #[test]
    fn the_wait_doubles_with_each_failure_up_to_its_limit_and_starts_anew_after_a_success() {
        let mut budget = budget();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            budget.failed(now, 1.0);
            waits.push(budget.next().since(now).as_secs());
            now = budget.next();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        budget.failed(now, 0.0);
        budget.failed(now, 0.0);
        assert_eq!(
            budget.next().since(now).as_secs(),
            30,
            "half of it at least, and once for all that fail together"
        );
        budget.succeeded();
        now = budget.next();
        budget.failed(now, 1.0);
        assert_eq!(budget.next().since(now).as_secs(), 1);
    }
}
