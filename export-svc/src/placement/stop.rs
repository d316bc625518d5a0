//! How a workspace's thread is told to end.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Given to the thread of one workspace; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    deadline: Arc<OnceLock<Instant>>,
    abandoned: CancellationToken,
    /// A child of `abandoned`.
    asked: CancellationToken,
}

impl Stop {
    /// One that is abandoned with `all`, too.
    pub(crate) fn child_of(all: &CancellationToken) -> Self {
        let abandoned = all.child_token();
        Self {
            deadline: Arc::default(),
            asked: abandoned.child_token(),
            abandoned,
        }
    }

    /// Asks for an end in good order: nothing new is admitted, what can be finished in time is, and the workspace is
    /// released. The first deadline stays.
    pub(crate) fn drain(&self, within: Duration) {
        self.deadline.get_or_init(|| Instant::now() + within);
        self.asked.cancel();
    }

    /// The workspace is not ours any more: nothing is finished and nothing is written.
    pub(crate) fn abandon(&self) {
        self.abandoned.cancel();
    }

    /// How much of the drain's time is left; `None` before it began.
    pub(crate) fn left(&self) -> Option<Duration> {
        let deadline = self.deadline.get()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Cancelled when the thread is to end, in good order or not.
    pub(crate) fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.is_cancelled()
    }

    /// The time to end in good order is over.
    pub(crate) fn is_overdue(&self) -> bool {
        self.is_abandoned() || self.is_overdue_by(Duration::ZERO)
    }

    /// The time to end in good order has been over for this long.
    pub(crate) fn is_overdue_by(&self, grace: Duration) -> bool {
        self.deadline
            .get()
            .is_some_and(|deadline| deadline.elapsed() >= grace && *deadline <= Instant::now())
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::child_of(&CancellationToken::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deadline_stays() {
        let stop = Stop::default();
        assert_eq!((stop.left(), stop.is_overdue()), (None, false));
        stop.drain(Duration::from_secs(3_600));
        stop.drain(Duration::ZERO);
        assert!(stop.left() > Some(Duration::from_secs(3_000)) && !stop.is_overdue());
    }

    #[test]
    fn what_is_overdue_is_not_at_once_long_overdue() {
        let stop = Stop::default();
        stop.drain(Duration::ZERO);
        assert!(stop.is_overdue() && !stop.is_overdue_by(Duration::from_secs(3_600)));
    }

    #[test]
    fn one_workspace_is_abandoned_alone_or_with_all() {
        let all = CancellationToken::new();
        let (one, other) = (Stop::child_of(&all), Stop::child_of(&all));
        one.abandon();
        assert_eq!((one.is_overdue(), other.is_abandoned()), (true, false));
        all.cancel();
        assert!(other.is_abandoned());
    }

    #[test]
    fn whoever_waits_for_the_end_hears_of_either_kind() {
        let (drained, abandoned) = (Stop::default(), Stop::default());
        drained.drain(Duration::from_secs(3_600));
        abandoned.abandon();
        let heard = [&drained, &abandoned].map(|stop| stop.asked().is_cancelled());
        assert_eq!((heard, drained.is_abandoned()), ([true, true], false));
    }
}
