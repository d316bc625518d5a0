//! How much may be sent with one token, so that a sender gone wild leaves room for the others. Who is over it is answered 429 at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::Caller;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::metrics;

/// After so long without a request a token may send as if it never had: nothing need be remembered of it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2);

/// The limits of all tokens that are in use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Throttle {
    defaults: Limits,
    tokens: Arc<Mutex<HashMap<String, Token>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    per_second: NonZeroU32,
    in_progress: NonZeroU32,
}

struct Token {
    limits: Limits,
    rate: RateLimiter<NotKeyed, InMemoryState, SinceStart, NoOpMiddleware<Duration>>,
    /// Each request in progress has a clone.
    requests: Arc<()>,
    last: Instant,
}

/// A request in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "counted, not read")] Option<Arc<()>>);

/// A token is over one of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Throttled {
    #[error("more than {0} requests a second with this token; send it again later")]
    Rate(NonZeroU32),
    #[error("more than {0} requests at once with this token; send it again when one is answered")]
    Requests(NonZeroU32),
}

impl Throttled {
    /// A short, stable word for metrics and logs.
    pub(crate) fn bound(self) -> &'static str {
        match self {
            Self::Rate(_) => "token_rate",
            Self::Requests(_) => "token_requests",
        }
    }
}

/// Tokio's clock, which tests can stop.
#[derive(Debug, Clone, Copy)]
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Token {
    fn new(limits: Limits, requests: Arc<()>, now: Instant) -> Self {
        Self {
            limits,
            rate: RateLimiter::direct_with_clock(Quota::per_second(limits.per_second), SinceStart(now)),
            requests,
            last: now,
        }
    }

    fn in_progress(&self) -> usize {
        Arc::strong_count(&self.requests) - 1
    }

    fn enter(&mut self, now: Instant) -> Result<Permit, Throttled> {
        self.last = now;
        if self.in_progress() >= self.limits.in_progress.get() as usize {
            return Err(Throttled::Requests(self.limits.in_progress));
        }
        let in_time = self.rate.check();
        in_time.map_err(|_| Throttled::Rate(self.limits.per_second))?;
        Ok(Permit(Some(Arc::clone(&self.requests))))
    }
}

impl Throttle {
    /// With the limits of tokens that have none of their own.
    pub(crate) fn new(per_second: NonZeroU32, in_progress: NonZeroU32) -> Self {
        Self {
            defaults: Limits {
                per_second,
                in_progress,
            },
            tokens: Arc::default(),
        }
    }

    /// A place for one request of a caller. The installation's admin token has no limits.
    pub(crate) fn enter(&self, caller: &Caller) -> Result<Permit, Throttled> {
        let Some(token) = caller.token() else {
            return Ok(Permit(None));
        };
        let limits = Limits {
            per_second: token.limits.requests_per_second.unwrap_or(self.defaults.per_second),
            in_progress: token.limits.requests_max.unwrap_or(self.defaults.in_progress),
        };
        let entered = self.enter_as(&token.name, limits, Instant::now());
        if let Err(throttled) = entered {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => throttled.bound()).increment(1);
        }
        entered
    }

    fn enter_as(&self, name: &str, limits: Limits, now: Instant) -> Result<Permit, Throttled> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get_mut(name) {
            if token.limits != limits {
                // Edited: what is in progress goes on counting.
                *token = Token::new(limits, Arc::clone(&token.requests), now);
            }
            return token.enter(now);
        }
        let token = Token::new(limits, Arc::default(), now);
        tokens.entry(name.to_owned()).or_insert(token).enter(now)
    }

    /// Forgets the tokens that are not in use any more; how many are.
    pub(crate) fn sweep(&self) -> usize {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.in_progress() > 0 || token.last.elapsed() < FORGOTTEN_AFTER);
        tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, in_progress: u32) -> Limits {
        Limits {
            per_second: NonZeroU32::new(per_second).unwrap(),
            in_progress: NonZeroU32::new(in_progress).unwrap(),
        }
    }

    fn throttle() -> Throttle {
        Throttle::new(NonZeroU32::MIN, NonZeroU32::MIN)
    }

    /// How many of `tries` requests, each answered at once, are let in.
    fn let_in(throttle: &Throttle, name: &str, limits: Limits, tries: u32) -> usize {
        let entered = (0..tries).map(|_| throttle.enter_as(name, limits, Instant::now()));
        entered.filter(Result::is_ok).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_may_begin_so_many_requests_a_second_and_others_are_not_held_up() {
        let (throttle, limits) = (throttle(), limits(5, 100));
        assert_eq!(let_in(&throttle, "a", limits, 20), 5);
        let refused = throttle.enter_as("a", limits, Instant::now()).unwrap_err();
        assert_eq!(refused, Throttled::Rate(limits.per_second));
        assert_eq!(let_in(&throttle, "b", limits, 20), 5);
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(let_in(&throttle, "a", limits, 20), 2);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(let_in(&throttle, "a", limits, 20), 5, "a pause is not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_may_have_so_many_requests_in_progress() {
        let (throttle, limits) = (throttle(), limits(100, 2));
        let enter = || throttle.enter_as("a", limits, Instant::now());
        let (first, _second) = (enter().unwrap(), enter().unwrap());
        assert_eq!(enter().unwrap_err(), Throttled::Requests(limits.in_progress));
        drop(first);
        let _third = enter().unwrap();
        assert!(enter().is_err());
        assert!(throttle.enter_as("b", limits, Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_too_much_in_progress_does_not_use_up_the_rate() {
        let (throttle, limits) = (throttle(), limits(2, 1));
        let enter = || throttle.enter_as("a", limits, Instant::now());
        let first = enter().unwrap();
        assert!((0..10).all(|_| enter().is_err()));
        drop(first);
        assert!(enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn new_limits_count_at_once_and_with_what_is_in_progress() {
        let throttle = throttle();
        let _first = throttle.enter_as("a", limits(1, 5), Instant::now()).unwrap();
        assert!(throttle.enter_as("a", limits(1, 5), Instant::now()).is_err());
        let _second = throttle.enter_as("a", limits(9, 2), Instant::now()).unwrap();
        let refused = throttle.enter_as("a", limits(9, 2), Instant::now()).unwrap_err();
        assert_eq!(refused.bound(), "token_requests");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_forgotten_once_it_may_send_as_if_it_never_had() {
        let (throttle, limits) = (throttle(), limits(1, 5));
        let slow = throttle.enter_as("slow", limits, Instant::now()).unwrap();
        for index in 0..1_000 {
            throttle
                .enter_as(&format!("token {index}"), limits, Instant::now())
                .unwrap();
        }
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(throttle.sweep(), 1_001);
        assert!(throttle.enter_as("token 0", limits, Instant::now()).is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(throttle.sweep(), 1, "one is in progress");
        drop(slow);
        assert_eq!(throttle.sweep(), 0);
    }

    #[test]
    fn the_installations_admin_token_has_no_limits() {
        let throttle = throttle();
        let permits: Vec<_> = (0..10)
            .map(|_| throttle.enter(&Caller::installation()).unwrap())
            .collect();
        assert_eq!((permits.len(), throttle.sweep()), (10, 0));
    }
}
