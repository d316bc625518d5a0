//! Time as the deciding code takes it: milliseconds since 1970, never going back.

use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since 1970, as in Kafka's timestamps and in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// Earlier than every other.
    pub const MIN: Self = Self(i64::MIN);
    /// Later than every other: never.
    pub const MAX: Self = Self(i64::MAX);

    /// This many milliseconds after 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier`; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// Rounded up, so that nothing is early.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// Goes on while the machine is suspended: a lease runs out in its sleep.
#[cfg(target_os = "linux")]
const MONOTONIC: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// The wall clock as it was at the start, carried on by the monotonic one: a step of the wall clock cannot make a wait
/// shorter or endless, and times can be compared with Kafka's and with those a predecessor wrote.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    start: Duration,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            wall: Time(Timestamp::now().as_millisecond()),
            start: monotonic(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.wall + monotonic().saturating_sub(self.start)
    }
}

fn monotonic() -> Duration {
    // No clock of this kind is ever before its origin.
    Duration::try_from(clock_gettime(MONOTONIC)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_from_the_wall_clock() {
        let (wall, clock) = (Timestamp::now().as_millisecond(), Clock::start());
        let first = clock.now();
        assert!(first.since(Time(wall)) < Duration::from_secs(60) && first >= Time(wall));
        while clock.now() == first {}
        assert!(clock.now() > first);
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_overflows() {
        let time = Time::from_millis(5);
        assert_eq!(time + Duration::from_micros(1), Time::from_millis(6));
        assert_eq!(time + Duration::MAX, Time::MAX);
        assert_eq!(time.since(Time::from_millis(2)), Duration::from_millis(3));
        assert_eq!(time.since(Time::MAX), Duration::ZERO);
    }
}
