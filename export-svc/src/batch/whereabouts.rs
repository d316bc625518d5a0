//! Where a change is, and what it waits for, for people who ask.

use super::request::InFlight;
use super::{Answer, Batch, Pending, Place};
use crate::clock::Time;
use crate::order::Order;

/// Where a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In a request.
    InFlight,
    /// Its user, or its profile under another identifier, is in a request.
    Fenced,
    /// An earlier change of its profile and slug goes first.
    Behind,
    /// The opposite value may still be applied until then; in doubt, if nobody knows whether Braze has taken that.
    TooEarly {
        /// When it may go.
        until: Time,
        /// The opposite ended unknown.
        in_doubt: bool,
    },
    /// Braze has not taken it, and it is tried again then.
    Held {
        /// When it may go.
        until: Time,
    },
    /// In the open batch, which closes when it is full or then.
    Open {
        /// Updates in it.
        updates: usize,
        /// Updates that close it.
        updates_max: usize,
        /// When it closes at the latest.
        due: Time,
    },
    /// In a request that is to be sent as soon as may be.
    Next,
}

impl<T> Batch<T> {
    /// Where the change is that `is_it` picks, and in how many requests it was, and what Braze said to the last one that
    /// did not take it; of several changes the one that came last. `None` if there is none. Looks at all changes.
    pub fn whereabouts(
        &self,
        is_it: impl Fn(&T) -> bool,
        order: &Order,
        now: Time,
    ) -> Option<(Whereabouts, u32, Option<&Answer>)> {
        let found = self.changes.iter().filter(|(_, change)| is_it(&change.origin));
        let (id, change) = found.max_by_key(|(_, change)| change.turn)?;
        let mut sent = self.requests.values().flat_map(InFlight::changes);
        let whereabouts = if sent.any(|sent| *sent == id) {
            Whereabouts::InFlight
        } else {
            self.pending_at(id, change, order, now)
        };
        Some((whereabouts, change.attempts, self.answers.get(id)))
    }

    fn pending_at(&self, id: usize, change: &Pending<T>, order: &Order, now: Time) -> Whereabouts {
        let target = &self.targets[change.target];
        if target.in_flight.is_some() || self.people.in_flight(change.person).is_some() {
            return Whereabouts::Fenced;
        }
        if target.behind.contains(&id) || !self.people.may_go(change, &self.changes) {
            return Whereabouts::Behind;
        }
        let (opposite, held) = (order.not_before(change.keys, change.add), change.held_until);
        if opposite.max(held) > now {
            return if held >= opposite {
                Whereabouts::Held { until: held }
            } else {
                let in_doubt = order.is_in_doubt(change.keys, change.add, now);
                Whereabouts::TooEarly {
                    until: opposite,
                    in_doubt,
                }
            };
        }
        if target.place == Place::Grouped || self.is_ready(now) {
            return Whereabouts::Next;
        }
        Whereabouts::Open {
            updates: self.open_len,
            updates_max: self.limits.objects_max,
            due: self.due.first().unwrap_or(change.flush_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DOUBT, FLUSH, GAP, at, change, ended, limits, order, rejected, retry};
    use super::super::{End, profile_key};
    use super::*;

    fn is_at(batch: &Batch<u32>, order: &Order, origin: u32, now: Time) -> Option<Whereabouts> {
        batch
            .whereabouts(|known| *known == origin, order, now)
            .map(|(at, ..)| at)
    }

    #[test]
    fn a_change_is_followed_through_the_batch() {
        let (mut batch, mut order) = (Batch::new(limits()), order());
        assert_eq!(is_at(&batch, &order, 1, at(0)), None);
        batch.push(change(1, "vip", true, at(0)), &order, at(0));
        batch.push(change(2, "vip", true, at(0)), &order, at(0));
        let window = Whereabouts::Open {
            updates: 2,
            updates_max: 75,
            due: at(0) + FLUSH,
        };
        assert_eq!(is_at(&batch, &order, 1, at(0)), Some(window));
        batch.drain();
        assert_eq!(is_at(&batch, &order, 1, at(0)), Some(Whereabouts::Next));
        let request = batch.close(&order, at(0)).unwrap();
        assert_eq!(
            batch.whereabouts(|known| *known == 1, &order, at(0)),
            Some((Whereabouts::InFlight, 1, None))
        );
        let mut news = change(1, "news", true, at(0));
        news.origin = 3;
        batch.push(news, &order, at(0));
        assert_eq!(is_at(&batch, &order, 3, at(0)), Some(Whereabouts::Fenced), "its user");
        let mut elsewhere = change(9, "news", true, at(0));
        (elsewhere.origin, elsewhere.profile) = (4, profile_key(b"1"));
        batch.push(elsewhere, &order, at(0));
        assert_eq!(
            is_at(&batch, &order, 4, at(0)),
            Some(Whereabouts::Fenced),
            "its profile"
        );
        let verdicts = vec![braze::Verdict::Accepted, rejected()];
        batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(0));
        assert_eq!(is_at(&batch, &order, 1, at(0)), None, "it is settled");
    }

    #[test]
    fn what_a_change_waits_for_is_told_apart() {
        let (mut batch, mut order) = (Batch::new(limits()), order());
        batch.drain();
        let early = |until, in_doubt| Some(Whereabouts::TooEarly { until, in_doubt });
        for (end, verdict, wait, in_doubt) in [
            (End::Accepted, braze::Verdict::Accepted, GAP, false),
            (End::Unknown, retry(), DOUBT, true),
        ] {
            batch.push(change(1, "vip", true, at(0)), &order, at(0));
            let request = batch.close(&order, at(0)).unwrap();
            batch.complete(request, ended(end, vec![verdict]), &mut order, at(0));
            let mut exit = change(1, "vip", false, at(0));
            exit.origin = 2;
            batch.push(exit, &order, at(0));
            assert_eq!(is_at(&batch, &order, 2, at(0)), early(at(0) + wait, in_doubt));
            batch.abandon(|_| true, &order, at(0));
        }
        order.expire(at(0) + DOUBT);
        // The opposite, under another identifier, is still to be sent.
        batch.push(change(3, "vip", true, at(100)), &order, at(100));
        let mut behind = change(4, "vip", false, at(100));
        behind.profile = profile_key(b"3");
        batch.push(behind, &order, at(100));
        assert_eq!(is_at(&batch, &order, 4, at(100)), Some(Whereabouts::Behind));
        let request = batch.close(&order, at(100)).unwrap();
        let words = braze::Verdict::Retry {
            message: Some("no time".into()),
        };
        batch.complete(request, ended(End::Refused, vec![words]), &mut order, at(100));
        let held = Whereabouts::Held { until: at(101) };
        assert_eq!(
            batch.whereabouts(|known| *known == 3, &order, at(100)),
            Some((held, 1, None))
        );
    }

    #[test]
    fn what_braze_said_last_is_known_of_what_it_has_not_taken_and_of_nothing_else() {
        let (mut batch, mut order) = (Batch::new(limits()), order());
        batch.drain();
        let answer = |time, message: &str| Answer {
            time,
            status: Some(201),
            message: message.into(),
        };
        let told = |batch: &Batch<u32>, order: &Order, origin, now| {
            let found = batch.whereabouts(|known| *known == origin, order, now);
            found.and_then(|(_, _, answer)| answer.cloned())
        };
        for number in 1..=4 {
            batch.push(change(number, "vip", true, at(0)), &order, at(0));
        }
        let request = batch.close(&order, at(0)).unwrap();
        batch.answered(request, answer(at(1), "not all"));
        let words = braze::Verdict::Retry {
            message: Some("no time".into()),
        };
        let verdicts = vec![braze::Verdict::Accepted, words, retry(), retry()];
        batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(1));
        assert_eq!(
            told(&batch, &order, 2, at(1)),
            Some(answer(at(1), "no time")),
            "its own words"
        );
        assert_eq!(told(&batch, &order, 3, at(1)), Some(answer(at(1), "not all")));
        // While it is tried again the last answer stands, until there is another one.
        let request = batch.close(&order, at(1)).unwrap();
        assert_eq!(told(&batch, &order, 3, at(1)), Some(answer(at(1), "not all")));
        batch.answered(request, answer(at(5), "still not all"));
        let verdicts = vec![retry(), braze::Verdict::Accepted];
        batch.complete(request, ended(End::Accepted, verdicts), &mut order, at(5));
        assert_eq!(told(&batch, &order, 3, at(5)), Some(answer(at(5), "still not all")));
        // Whoever is not there any more, or is another one, has no answer.
        let mut exit = change(2, "vip", false, at(5));
        exit.origin = 20;
        assert!(
            batch.push(exit, &order, at(5)).is_some(),
            "it takes the place of the enter"
        );
        assert_eq!(told(&batch, &order, 20, at(5)), None);
        batch.abandon(|origin| *origin == 3, &order, at(5));
        assert!(batch.answers.is_empty());
    }
}
