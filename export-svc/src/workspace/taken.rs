//! Which request of late has taken which change, for people who ask. It is known as long as the process serves the workspace, and of
//! the last requests only: what is settled, progress tells.

use std::collections::VecDeque;

use crate::clock::Time;
use crate::feed::FeedId;

/// Requests that are remembered: some 20,000 changes, half a megabyte.
const REQUESTS_MAX: usize = 256;

/// A record for a feed.
pub(crate) type Change = (FeedId, i32, i64);

/// A request of which Braze has taken something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// When it was answered.
    pub(crate) time: Time,
    /// What was taken.
    pub(crate) changes: Vec<Change>,
}

/// The last requests of which Braze has taken something, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Taken(VecDeque<Request>);

impl Taken {
    /// Remembers one, and forgets the oldest if there are too many.
    pub(crate) fn keep(&mut self, request: Request) {
        if request.changes.is_empty() {
            return;
        }
        if self.0.len() == REQUESTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    /// The last request that has taken this record for this feed, if it is known.
    pub(crate) fn of(&self, change: Change) -> Option<&Request> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find(|request| request.changes.contains(&change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(second: i64, changes: &[Change]) -> Request {
        Request {
            time: Time::from_millis(second * 1_000),
            changes: changes.to_vec(),
        }
    }

    #[test]
    fn the_last_request_of_a_change_is_known_until_so_many_others_have_come() {
        let mut taken = Taken::default();
        taken.keep(request(1, &[(1, 0, 7), (2, 0, 7)]));
        taken.keep(request(2, &[(1, 0, 7)]));
        taken.keep(request(3, &[]));
        assert_eq!(taken.of((1, 0, 7)), Some(&request(2, &[(1, 0, 7)])));
        assert_eq!(taken.of((2, 0, 7)).unwrap().time, Time::from_millis(1_000));
        for unknown in [(3, 0, 7), (1, 1, 7), (1, 0, 8)] {
            assert_eq!(taken.of(unknown), None);
        }
        for offset in 0..254 {
            taken.keep(request(4, &[(9, 0, offset)]));
        }
        assert!(taken.of((2, 0, 7)).is_some(), "as many as are remembered");
        taken.keep(request(5, &[(9, 0, 254)]));
        assert!(taken.of((2, 0, 7)).is_none() && taken.of((1, 0, 7)).is_some());
    }
}
