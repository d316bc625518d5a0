//! The lease of a workspace: until when its requests may leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Time};

/// A request may start, and its body may be handed to the connection, only if a progress transaction that *began* less than
/// `length` ago has committed: whoever is to succeed us waits that long after its `init_transactions` has made every later
/// transaction of ours fail. Cheap to clone; all clones are one lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    clock: Clock,
    length: Duration,
    begun: Arc<AtomicI64>,
}

impl Lease {
    /// One that does not hold yet.
    pub(crate) fn new(clock: Clock, length: Duration) -> Self {
        Self {
            clock,
            length,
            begun: Arc::new(AtomicI64::new(Time::MIN.as_millis())),
        }
    }

    /// A transaction that began then has committed.
    pub(crate) fn renew(&self, begun: Time) {
        self.begun.store(begun.as_millis(), Ordering::Release);
    }

    /// When the last committed transaction began.
    pub(crate) fn begun(&self) -> Time {
        Time::from_millis(self.begun.load(Ordering::Acquire))
    }

    pub(crate) fn holds_at(&self, now: Time) -> bool {
        now.since(self.begun()) < self.length
    }

    /// Whether a request may leave at this moment.
    pub(crate) fn holds(&self) -> bool {
        self.holds_at(self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_begin_of_the_transaction_and_ends_by_itself() {
        let lease = Lease::new(Clock::start(), Duration::from_secs(5));
        assert!(!lease.holds());
        let begun = Time::from_millis(1_000);
        lease.clone().renew(begun);
        assert!(lease.holds_at(begun + Duration::from_millis(4_999)));
        assert!(!lease.holds_at(begun + Duration::from_secs(5)));
        assert!(!lease.holds(), "1970 is long ago");
    }
}
