//! How many requests a Braze workspace may start, and when it must not start any.
//!
//! Pure; time is an argument. Four things hold a request back: the rate, the window in which Braze counts, a freeze that Braze
//! asked for (429), and a back-off after attempts that ended unknown.
//!
//! The rate is configured, or learnt: a share of the limit that Braze's answers tell, half of it unless somebody says another,
//! since the customer's other traffic counts against the same limit. If both are said, the lower rate holds. Braze tells the limit of a window and when that ends, not how long it is; so the window is the
//! shortest documented one that fits what has been seen.

mod window;

use std::time::Duration;

use braze::RateHints;

use self::window::Window;
use crate::clock::Time;

/// Requests per second until Braze has told its limit.
pub(crate) const RATE_UNTIL_LEARNT: f64 = 50.0;
/// Of a learnt limit, this much is ours unless somebody says otherwise.
const SHARE: f64 = 0.5;
/// When less than this much of a window is left, what is left is spread over the rest of it.
const SCARCE: f64 = 0.05;
/// The windows that Braze documents, in seconds.
const WINDOWS: [u32; 3] = [3, 60, 3_600];
/// No documented limit allows more requests per second.
const LIMIT_MAX: f64 = 1_000.0;
/// The end of a window is told in whole seconds, rounded up.
const ROUNDED: Duration = Duration::from_secs(1);

/// A configured rate may be all that Braze allows, and the first requests open connections, so that they arrive late and close
/// together: for this long they cost more, double at the beginning and less and less.
const SLOW_START: Duration = Duration::from_secs(3);
/// Requests saved up while idle, as time in nanoseconds: a burst is what the rate gives in this time, or one request. What starts
/// together arrives one after the other, so a large one would look larger to Braze.
const BURST: i128 = 30_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;
/// What a request costs that cannot be afforded: centuries, in nanoseconds.
const NEVER: i128 = u64::MAX as i128;

/// The budget of one Braze workspace.
///
/// Each request costs the time in which the rate pays for it; whoever is more than the burst ahead waits. Whole nanoseconds,
/// so that [`Budget::next`] and [`Budget::take`] never disagree.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Requests per second, if somebody says so.
    configured: Option<f64>,
    /// Of a learnt limit, this much is ours, if somebody says so.
    share: Option<f64>,
    /// What Braze's answers tell.
    learnt: Option<Learnt>,
    /// Until then a request costs more.
    slow_until: Time,
    /// What has been started lately.
    window: Window,
    /// The longest time to the end of a window that Braze has told.
    longest: Duration,
    /// Requests per second.
    rate: f64,
    /// Until when the rate has been spent, in nanoseconds since 1970.
    spent_until: i128,
    frozen_until: Time,
    /// No request before then, because of failures.
    waits_until: Time,
    backoff_min: Duration,
    backoff_max: Duration,
    failures: u32,
}

/// Requests per second, as Braze's last answer told.
#[derive(Clone, Copy, Debug)]
struct Learnt {
    /// The limit.
    whole: f64,
    /// What is left, spread over the rest of the window, if that is little.
    scarce: Option<f64>,
}

impl Budget {
    /// A full budget of `rate` requests per second, or of what Braze's answers tell. A rate that is not above zero allows one
    /// request and then none.
    pub fn new(rate: Option<f64>, backoff_min: Duration, backoff_max: Duration, now: Time) -> Self {
        Self {
            configured: rate,
            share: None,
            learnt: None,
            // Of a learnt limit half is left.
            slow_until: rate.map_or(Time::MIN, |_| now + SLOW_START),
            window: Window::default(),
            longest: Duration::ZERO,
            rate: rate.unwrap_or(RATE_UNTIL_LEARNT),
            spent_until: nanos(now),
            frozen_until: Time::MIN,
            waits_until: Time::MIN,
            backoff_min,
            backoff_max,
            failures: 0,
        }
    }

    /// Takes one request out of the budget, if there is one: exactly from [`Budget::next`] on.
    #[must_use = "without it no request may start"]
    pub fn take(&mut self, now: Time) -> bool {
        let free = self.next() <= now;
        if free {
            let (slow, slow_start) = (self.slow_until.since(now).as_millis(), SLOW_START.as_millis());
            let cost = cost(self.rate);
            let more = cost * i128::try_from(slow).unwrap_or(0) / i128::try_from(slow_start).unwrap_or(1);
            self.spent_until = self.spent_until.max(nanos(now)) + cost + more;
            self.window.start(now);
        }
        free
    }

    /// The earliest time at which [`Budget::take`] succeeds, if nothing else happens.
    pub fn next(&self) -> Time {
        let ahead = (BURST - cost(self.rate)).max(0);
        let millis = (self.spent_until - ahead + NANOS_PER_MILLI - 1).div_euclid(NANOS_PER_MILLI);
        Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
            .max(self.window.next(self.rate))
            .max(self.frozen_until)
            .max(self.waits_until)
    }

    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// No request before `until`.
    pub fn freeze(&mut self, until: Time) {
        self.frozen_until = self.frozen_until.max(until);
    }

    /// What somebody says of the rate from now on: requests per second, and how much of a learnt limit.
    pub fn set(&mut self, configured: Option<f64>, share: Option<f64>, now: Time) {
        if (configured, share) == (self.configured, self.share) {
            return;
        }
        if configured.is_some() && configured != self.configured {
            self.slow_until = now + SLOW_START;
        }
        (self.configured, self.share) = (configured, share);
        self.rate = self.rate_now();
        // What the last request cost at another rate is not owed at this one.
        self.spent_until = self.spent_until.min(nanos(now) + cost(self.rate));
    }

    fn rate_now(&self) -> f64 {
        let learnt = || {
            let share = self.share.unwrap_or(SHARE);
            let rate = self.learnt.map(|learnt| {
                let rate = share * learnt.whole;
                // Nothing left: one request a second still shows when there is more.
                learnt.scarce.map_or(rate, |scarce| rate.min(scarce)).max(1.0)
            });
            rate.unwrap_or(RATE_UNTIL_LEARNT)
        };
        match (self.configured, self.share) {
            (Some(rate), None) => rate,
            (Some(rate), Some(_)) => rate.min(learnt()),
            (None, _) => learnt(),
        }
    }

    /// What an answer says about the limit; without effect on a rate that is configured alone.
    pub fn learn(&mut self, hints: &RateHints) {
        let (Some(limit), Some(reset)) = (hints.limit, hints.reset) else {
            return;
        };
        self.longest = self.longest.max(reset);
        let (limit, remaining) = (limit as f64, hints.remaining.unwrap_or(limit) as f64);
        self.learnt = Some(Learnt {
            whole: limit / window(limit, self.longest),
            scarce: (remaining < SCARCE * limit).then(|| remaining / reset.max(ROUNDED).as_secs_f64()),
        });
        self.rate = self.rate_now();
    }

    /// Braze has answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed and nobody says for how long: the wait doubles each time; `jitter`, from 0 to 1, spreads it over its
    /// upper half. Attempts that began before the last failure count once with it.
    pub fn failed(&mut self, now: Time, jitter: f64) {
        if now < self.frozen_until.max(self.waits_until) {
            return;
        }
        let doubled = self.backoff_min.saturating_mul(1 << self.failures.min(16));
        let wait = doubled
            .min(self.backoff_max)
            .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.failures += 1;
        self.waits_until = now + wait;
    }

    /// Whatever has failed is tried again at once; what Braze has asked for holds.
    pub fn try_again(&mut self) {
        (self.failures, self.waits_until) = (0, Time::MIN);
    }
}

/// What a request costs at this rate per second.
fn cost(rate: f64) -> i128 {
    let cost = Duration::try_from_secs_f64(1.0 / rate);
    cost.map_or(NEVER, |cost| i128::try_from(cost.as_nanos()).unwrap_or(NEVER))
        .max(1)
}

/// How long the window of a limit is, in seconds, if its end was once `longest` away.
fn window(limit: f64, longest: Duration) -> f64 {
    let fits = |window: &f64| limit / window <= LIMIT_MAX && longest <= Duration::from_secs_f64(*window) + ROUNDED;
    let [.., last] = WINDOWS;
    WINDOWS.map(f64::from).into_iter().find(fits).unwrap_or(f64::from(last))
}

fn nanos(time: Time) -> i128 {
    i128::from(time.as_millis()) * NANOS_PER_MILLI
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn budget() -> Budget {
        Budget::new(Some(50.0), Duration::from_secs(1), Duration::from_secs(60), at(0))
    }

    #[test]
    fn the_rate_is_kept_over_time_and_bursts_are_short() {
        let mut budget = budget();
        let taken = |budget: &mut Budget, from: i64, to: i64| (from..to).filter(|now| budget.take(at(*now))).count();
        let slowly = taken(&mut budget, 0, 3_000);
        // ∫ 50 / (2 - t/3) dt from 0 to 3, and the burst.
        assert!((103..=107).contains(&slowly), "{slowly}");
        let seconds = [(10_000, 11_000), (11_000, 12_000)];
        let taken = seconds.map(|(from, to)| taken(&mut budget, from, to));
        assert!(
            (50..=52).contains(&taken[0]),
            "{taken:?}: a second's worth and the burst"
        );
        assert!((49..=51).contains(&taken[1]), "{taken:?}");
        let next = budget.next();
        assert!(!budget.take(next + Duration::ZERO - Duration::from_millis(1)));
        assert!(budget.take(next));
    }

    #[test]
    fn a_caller_that_asks_at_odd_instants_never_gets_more_than_the_rate_and_the_burst() {
        for (rate, most) in [(50.0, 2_985), (49.9, 2_985), (333.0, 19_810), (0.7, 43)] {
            let mut budget = Budget::new(Some(rate), Duration::from_secs(1), Duration::from_secs(60), at(-3_000));
            let (mut now, mut random, mut taken) = (at(7), 1_u64, 0);
            while now <= at(60_007) {
                // As a caller does: it asks whether, and then relies on it.
                while budget.next() <= now {
                    assert!(budget.take(now), "{rate}/s at {now:?}: what was promised was not there");
                    taken += 1;
                }
                assert!(!budget.take(now), "{rate}/s at {now:?}: there was more than promised");
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                now = now + Duration::from_millis(1 + (random >> 61));
            }
            assert!((most - 13..=most).contains(&taken), "{rate}/s gave {taken} in a minute");
        }
    }

    #[test]
    fn no_window_of_three_seconds_has_more_than_the_rate_gives_even_after_a_rest() {
        let mut budget = Budget::new(
            Some(1_000.0),
            Duration::from_secs(1),
            Duration::from_secs(60),
            at(-3_000),
        );
        let asked = (0..4_000).chain(5_000..12_000);
        let starts: Vec<i64> = asked
            .flat_map(|now| std::iter::repeat_n(now, 200))
            .filter(|now| budget.take(at(*now)))
            .collect();
        let within = |from: &i64| starts.iter().filter(|at| (*from..*from + 3_000).contains(at)).count();
        let most = starts.iter().map(within).max();
        assert_eq!(most, Some(2_970), "all that is used, and never more");
        assert!(starts.iter().filter(|at| **at >= 9_000).count() > 2_960);
    }

    #[test]
    fn a_rate_too_small_to_measure_allows_one_request_and_then_none() {
        for rate in [1e-12, f64::MIN_POSITIVE, 0.0] {
            let mut budget = Budget::new(Some(rate), Duration::from_secs(1), Duration::from_secs(60), at(0));
            assert!(budget.next() <= at(0) && budget.take(at(0)), "{rate}");
            assert!(!budget.take(at(86_400_000)), "{rate}");
            assert!(budget.next() > at(86_400_000), "{rate}");
        }
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

    #[test]
    fn what_has_failed_is_tried_again_at_once_if_somebody_wants_that_but_a_freeze_holds() {
        let mut budget = budget();
        budget.failed(at(0), 1.0);
        budget.failed(at(1_000), 1.0);
        budget.freeze(at(1_500));
        budget.try_again();
        assert_eq!(budget.next(), at(1_500));
        budget.failed(at(1_500), 1.0);
        assert_eq!(budget.next(), at(2_500), "the wait begins anew");
    }

    /// Requests per second after answers of these (limit, remaining, seconds to the reset).
    fn learnt(answers: &[(u64, u64, u64)]) -> f64 {
        let mut budget = Budget::new(None, Duration::from_secs(1), Duration::from_secs(60), at(0));
        for (limit, remaining, reset) in answers {
            budget.learn(&RateHints {
                limit: Some(*limit),
                remaining: Some(*remaining),
                reset: Some(Duration::from_secs(*reset)),
                retry_after: None,
            });
        }
        budget.rate
    }

    #[test]
    fn half_of_the_limit_that_braze_tells_is_ours_whatever_its_window() {
        let about = |rate: f64, expected: f64| assert!((rate - expected).abs() < 0.01, "{rate}, not {expected}");
        about(learnt(&[]), 50.0);
        about(learnt(&[(3_000, 2_999, 3)]), 500.0);
        about(learnt(&[(3_000, 2_999, 4), (3_000, 2_000, 1)]), 500.0);
        about(learnt(&[(50_000, 49_000, 2)]), 50_000.0 / 120.0);
        about(learnt(&[(250_000, 249_000, 2)]), 250_000.0 / 7_200.0);
        // A small hourly limit looks like one of a minute until an end further away is seen.
        about(learnt(&[(30_000, 29_000, 50)]), 250.0);
        about(
            learnt(&[(30_000, 29_000, 50), (30_000, 29_999, 3_600), (30_000, 29_000, 40)]),
            30_000.0 / 7_200.0,
        );
    }

    #[test]
    fn a_share_that_somebody_sets_is_taken_of_the_learnt_limit_and_a_configured_rate_caps_it() {
        let hints = RateHints {
            limit: Some(3_000),
            remaining: Some(2_999),
            reset: Some(Duration::from_secs(3)),
            retry_after: None,
        };
        let mut budget = Budget::new(None, Duration::from_secs(1), Duration::from_secs(60), at(0));
        let mut set = |configured, share| {
            budget.set(configured, share, at(0));
            budget.learn(&hints);
            budget.rate.round()
        };
        let rates = [
            set(None, None),
            set(None, Some(0.1)),
            set(Some(70.0), Some(0.1)),
            set(Some(700.0), Some(0.1)),
            set(Some(700.0), None),
            set(None, Some(1.0)),
        ];
        assert_eq!(rates, [500.0, 100.0, 70.0, 100.0, 700.0, 1_000.0]);
    }

    #[test]
    fn a_higher_rate_need_not_wait_for_what_the_last_request_cost_at_a_lower_one() {
        let mut budget = Budget::new(Some(0.001), Duration::from_secs(1), Duration::from_secs(60), at(0));
        assert!(budget.take(at(0)));
        budget.set(Some(50.0), None, at(10_000));
        assert!(budget.next() <= at(10_020), "{:?}", budget.next());
    }

    #[test]
    fn what_is_nearly_used_up_is_spread_over_the_rest_of_the_window() {
        assert!((learnt(&[(250_000, 1_200, 600)]) - 2.0).abs() < 0.01);
        assert!(
            (learnt(&[(250_000, 0, 600)]) - 1.0).abs() < 0.01,
            "a request a second shows when there is more"
        );
        assert!((learnt(&[(250_000, 0, 600), (250_000, 249_999, 3_600)]) - 34.72).abs() < 0.01);
    }

    #[test]
    fn a_configured_rate_and_an_answer_without_headers_teach_nothing() {
        let hints = RateHints {
            limit: Some(3_000),
            remaining: Some(0),
            reset: Some(Duration::from_secs(3)),
            retry_after: None,
        };
        let mut configured = budget();
        let before = configured.rate;
        configured.learn(&hints);
        assert_eq!(configured.rate.to_bits(), before.to_bits());
        let mut learning = Budget::new(None, Duration::from_secs(1), Duration::from_secs(60), at(0));
        learning.learn(&RateHints { limit: None, ..hints });
        assert_eq!(learning.rate.to_bits(), RATE_UNTIL_LEARNT.to_bits());
    }
}
