//! What is varied: the durations, and the one rule or condition that is broken.

use std::time::Duration;

use export_svc::batch::{Backoff, BatchLimits};
use export_svc::order::OrderLimits;

/// How long everything takes, in ticks. As small as the rules between them allow: nothing depends on more than their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) lease: u8,
    /// From the body to the last byte that can leave: request timeout and TCP user timeout.
    pub(super) attempt: u8,
    pub(super) settle_gap: u8,
    pub(super) doubt: u8,
    /// Changes that upstream publishes.
    pub(super) records: u8,
}

impl Scale {
    /// In the order of the defaults: the gap is shorter than the lease, and that than the doubt.
    pub(super) const SMALL: Self = Self {
        lease: 2,
        attempt: 1,
        settle_gap: 1,
        doubt: 3,
        records: 2,
    };

    /// A tick as the product's code sees it.
    pub(super) fn ticks(ticks: u8) -> Duration {
        Duration::from_secs(ticks.into())
    }

    pub(super) fn order_limits(self) -> OrderLimits {
        OrderLimits {
            settle_gap: Self::ticks(self.settle_gap),
            doubt: Self::ticks(self.doubt),
            entries_max: 1_000,
            doubts_max: 1_000,
        }
    }

    pub(super) fn batch_limits() -> BatchLimits {
        BatchLimits {
            backoff: Backoff {
                min: Self::ticks(1),
                max: Self::ticks(1),
            },
            objects_max: 75,
            body_bytes_max: 1_000_000,
            pending_max: 100,
            pending_bytes_max: 1_000_000,
        }
    }
}

/// What a model is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) scale: Scale,
    pub(super) broken: Option<Broken>,
}

impl Rules {
    pub(super) fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }
}

/// A rule of the hand-over that is not kept, or a condition of the guarantee that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A predecessor can still write progress.
    NoFence,
    /// Requests start without a lease.
    NoLease,
    /// The lease is looked at when a request is made, not when its body is sent: the process may be frozen in between.
    LeaseNotSeenByTheBody,
    /// The lease counts from when the commit is heard of, not from when its transaction began.
    LeaseFromTheAnswer,
    /// A new owner has a lease before it has written anything.
    LeaseFromTheStart,
    /// A call that outlives the service of its workspace goes by the lease of the next one in the same process.
    LeaseOfTheProcess,
    /// The clock stands still while the process is frozen, as CLOCK_MONOTONIC does while the machine is suspended.
    ClockStandsStill,
    /// After a crash of its predecessor the new owner sends at once.
    NoWaitAfterACrash,
    /// What the predecessor may have sent is not in doubt.
    NoDoubtAfterACrash,
    /// That doubt does not count how long a call may be under way.
    DoubtWithoutTheAttempt,
    /// That doubt counts from the take-over, not from the end of the predecessor's lease.
    DoubtWithoutTheLease,
    /// What the predecessor may have read is measured while it still has its lease.
    EndsTooEarly,
    /// Released with a call in flight.
    ReleasedInFlight,
    /// Released before the doubt that was taken over has passed.
    ReleasedInDoubt,
    /// What is released does not say which accepted values may not have settled.
    GapsNotReleased,
    /// Doubts are not part of progress.
    DoubtsNotWritten,
    /// Waits taken over are not passed on by an owner that crashes.
    WaitsTakenOverNotWritten,
    /// The clock of the new owner is ahead, and waits are compared by the clocks.
    WaitsByTheClock,
    /// An accepted attempt ends the doubt of an earlier unknown one.
    DoubtShortened,
    /// The opposite value does not wait.
    NoOrder,
    /// A change is settled when it is sent.
    SettledWhenSent,
    /// Condition: Braze applies within `settle_gap` of its 2xx.
    BrazeSlowerThanTheGap,
    /// Condition: Braze applies within `doubt` of our last byte.
    BrazeSlowerThanTheDoubt,
    /// Condition: the last byte of a call has left when we see its end. The kernel may go on for the TCP user timeout.
    BytesAfterTheEnd,
}
