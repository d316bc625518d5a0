//! The requests of the last few seconds, as Braze counts them: within any window, not from one to the next.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Time;

/// The shortest window that Braze documents; a limit told for a longer one is kept in each of these, too.
const WINDOW: Duration = Duration::from_secs(3);
/// Of what a window allows, this much is used: requests take different times to arrive, so Braze may see more of them in its window
/// than were started in one.
const USED: f64 = 0.99;

/// When the last requests were started. At most one entry for each millisecond of a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    starts: VecDeque<(Time, u64)>,
    started: u64,
}

impl Window {
    /// Counts a request that starts now.
    pub(super) fn start(&mut self, now: Time) {
        while let Some((_, requests)) = self.starts.pop_front_if(|(at, _)| *at + WINDOW <= now) {
            self.started -= requests;
        }
        match self.starts.back_mut() {
            Some((at, requests)) if *at == now => *requests += 1,
            _ => self.starts.push_back((now, 1)),
        }
        self.started += 1;
    }

    /// When one more may start at this rate per second.
    pub(super) fn next(&self, rate: f64) -> Time {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and at least 1"
        )]
        let most = (USED * rate * WINDOW.as_secs_f64()).ceil().max(1.0) as u64;
        let mut started = self.started;
        let mut next = Time::MIN;
        for (at, requests) in &self.starts {
            if started < most {
                break;
            }
            started -= requests;
            next = *at + WINDOW;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    /// So many requests in one instant after the other.
    fn window(starts: &[(i64, u64)]) -> Window {
        let mut window = Window::default();
        for (millis, requests) in starts {
            (0..*requests).for_each(|_| window.start(at(*millis)));
        }
        window
    }

    #[test]
    fn what_is_full_has_room_again_when_its_first_is_three_seconds_old() {
        assert_eq!(window(&[]).next(100.0), Time::MIN);
        assert_eq!(window(&[(0, 296)]).next(100.0), Time::MIN);
        assert_eq!(window(&[(0, 2), (1_000, 294), (2_000, 1)]).next(100.0), at(3_000));
        // The first two are not in it any more.
        assert_eq!(window(&[(0, 2), (1_000, 294), (3_000, 1)]).next(100.0), Time::MIN);
    }

    #[test]
    fn after_the_rate_has_become_lower_as_many_must_have_left_as_were_too_many() {
        let full = window(&[(0, 50), (500, 50), (900, 50), (1_000, 20)]);
        assert_eq!(full.next(100.0), Time::MIN);
        assert_eq!(full.next(40.0), at(3_500), "119 of 170");
        assert_eq!(full.next(1e-9), at(4_000));
    }
}
