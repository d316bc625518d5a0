//! What a replica that serves the workspace knows, and what it decides by it.
//!
//! Where the product's code decides, it is set up from this state, asked, and read back: see `product`. What only its private
//! loop decides is said again here, each time with its name there.

use braze::Verdict;
use export_svc::batch::{End, Ending};
use export_svc::order::{Order, Unsettled};

use super::product::{KEYS, NOW, change, offset, ticks_until};
use super::rules::{Broken, Rules, Scale};

/// Offset of a record; records are enter, exit, enter, … of one person and audience.
pub(super) type Offset = u8;

pub(super) fn is_enter(offset: Offset) -> bool {
    offset.is_multiple_of(2)
}

/// A set of offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Offsets(u8);

impl Offsets {
    pub(super) fn has(self, offset: Offset) -> bool {
        self.0 & (1 << offset) != 0
    }

    pub(super) fn with(self, offset: Offset) -> Self {
        Self(self.0 | (1 << offset))
    }

    pub(super) fn without(self, offset: Offset) -> Self {
        Self(self.0 & !(1 << offset))
    }
}

/// How much longer the opposite of a value waits, and whether progress says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wait {
    Gap(u8),
    Doubt(u8),
}

/// What is written down in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    pub(super) released: bool,
    /// What was left of the waits, by value.
    pub(super) waits: [u8; 2],
    pub(super) next: Offset,
    pub(super) open: Offsets,
}

impl Progress {
    pub(super) fn is_settled(&self, offset: Offset) -> bool {
        offset < self.next && !self.open.has(offset)
    }
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// The body has not been asked for.
    Made { offset: Offset },
    /// The body is on its way; Braze may apply it for this long, and may have done so.
    Sent { offset: Offset, left: u8, applied: bool },
}

/// The predecessor did not release the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Takeover {
    pub(super) send_in: u8,
    pub(super) doubt_left: u8,
    pub(super) ends: Option<Offset>,
}

/// The thread that writes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Idle,
    /// Begun that long ago.
    Writing {
        age: u8,
        progress: Progress,
    },
    /// Kafka has committed it; the loop has not heard of it.
    Committed {
        age: u8,
    },
}

/// One period of serving the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) read_to: Offset,
    pub(super) next: Offset,
    pub(super) open: Offsets,
    pub(super) pending: Option<Offset>,
    pub(super) call: Option<Call>,
    /// By value.
    pub(super) waits: [Option<Wait>; 2],
    pub(super) takeover: Option<Takeover>,
    /// How much longer requests may start.
    pub(super) lease: u8,
    pub(super) writer: Writer,
}

/// How an attempt ends, as the product sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ended {
    Accepted,
    Refused,
    Unknown,
}

impl Owner {
    /// `init_transactions` has returned, and progress is read to its end. As `Workspace::new`.
    pub(super) fn take_over(progress: Option<&Progress>, rules: &Rules) -> Self {
        let scale = rules.scale;
        let mut order = Order::new(scale.order_limits());
        for add in [false, true] {
            let left = progress.map_or(0, |progress| progress.waits[usize::from(add)]);
            let left = left.saturating_sub(u8::from(rules.is(Broken::WaitsByTheClock)));
            for key in *KEYS {
                order.restore(Unsettled {
                    key,
                    add,
                    until: NOW + Scale::ticks(left),
                });
            }
        }
        let takeover = progress.filter(|progress| !progress.released).map(|_| Takeover {
            send_in: if rules.is(Broken::NoWaitAfterACrash) {
                0
            } else {
                scale.lease
            },
            doubt_left: match rules.broken {
                Some(Broken::DoubtWithoutTheAttempt) => scale.lease + scale.doubt,
                Some(Broken::DoubtWithoutTheLease) => scale.attempt + scale.doubt,
                _ => scale.lease + scale.attempt + scale.doubt,
            },
            ends: None,
        });
        let mut owner = Self {
            read_to: 0,
            next: 0,
            open: Offsets::default(),
            pending: None,
            call: None,
            waits: [None; 2],
            takeover,
            lease: if rules.is(Broken::LeaseFromTheStart) {
                scale.lease
            } else {
                0
            },
            writer: Writer::Idle,
        };
        if let Some(progress) = progress {
            (owner.next, owner.open) = (progress.next, progress.open);
        }
        owner.read_to = offset(owner.positions().read_from(0));
        owner.remember(&order);
        if rules.is(Broken::WaitsTakenOverNotWritten) {
            owner.waits = owner
                .waits
                .map(|wait| wait.map(|(Wait::Gap(left) | Wait::Doubt(left))| Wait::Gap(left)));
        }
        owner
    }

    /// Reads the next record that the feed wants. As `Workspace::take`.
    pub(super) fn read(&mut self, log: Offset, rules: &Rules) -> bool {
        if self.read_to >= log {
            return false;
        }
        let mut positions = self.positions();
        while self.read_to < log && !positions.wants(0, self.read_to.into()) {
            self.read_to += 1;
        }
        if self.read_to >= log {
            return true;
        }
        let read = self.read_to;
        self.read_to += 1;
        let mut order = self.order(rules);
        let (mut batch, _) = self.batch(&order);
        positions.hand(0, read.into());
        if let Some(takeover) = &self.takeover
            && takeover.ends.is_none_or(|ends| read < ends)
            && !rules.is(Broken::NoDoubtAfterACrash)
        {
            order.doubt(*KEYS, is_enter(read), NOW + Scale::ticks(takeover.doubt_left));
        }
        if let Some(superseded) = batch.push(change(read), &order, NOW) {
            positions.settle(0, superseded.origin.into());
        }
        self.keep(&positions, &order, batch);
        true
    }

    /// Whether a request may be made. As `Workspace::start_requests` and `may_start`.
    pub(super) fn may_start(&self, rules: &Rules) -> bool {
        let leased = self.lease > 0 || rules.is(Broken::NoLease);
        let ready = self
            .takeover
            .is_none_or(|takeover| takeover.send_in == 0 && takeover.ends.is_some());
        leased && ready
    }

    /// Makes a request, if there is anything that may go.
    pub(super) fn start(&mut self, rules: &Rules) -> bool {
        if self.call.is_some() || self.pending.is_none() {
            return false;
        }
        let order = self.order(rules);
        let (mut batch, _) = self.batch(&order);
        let Some(request) = batch.is_ready(NOW).then(|| batch.close(&order, NOW)).flatten() else {
            return false;
        };
        let offset = *batch.origins(request).next().expect("a request holds a change");
        self.call = Some(Call::Made { offset });
        self.pending = None;
        if rules.is(Broken::SettledWhenSent) {
            self.open = self.open.without(offset);
        }
        true
    }

    /// The attempt has ended. As `Workspace::complete`.
    pub(super) fn end(&mut self, ended: Ended, rules: &Rules) {
        let mut positions = self.positions();
        let mut order = self.order(rules);
        let (mut batch, request) = self.batch(&order);
        let Some(request) = request else { return };
        let (end, verdict) = match ended {
            Ended::Accepted => (End::Accepted, Verdict::Accepted),
            Ended::Refused => (End::Refused, Verdict::Retry { message: None }),
            Ended::Unknown => (End::Unknown, Verdict::Retry { message: None }),
        };
        let ending = Ending {
            end,
            verdicts: vec![verdict],
            split: false,
        };
        let value = self.call.map(|call| is_enter(call.offset()));
        self.call = None;
        for settled in batch.complete(request, ending, &mut order, NOW) {
            positions.settle(0, settled.origin.into());
        }
        self.keep(&positions, &order, batch);
        if let (Ended::Accepted, Some(add), true) = (ended, value, rules.is(Broken::DoubtShortened)) {
            self.waits[usize::from(add)] = Some(Wait::Gap(rules.scale.settle_gap));
        }
    }

    /// Whether it may be released.
    pub(super) fn may_release(&self, rules: &Rules) -> bool {
        let idle = self.call.is_none() || rules.is(Broken::ReleasedInFlight);
        let sure = self.takeover.is_none() || rules.is(Broken::ReleasedInDoubt);
        idle && sure && self.writer == Writer::Idle
    }

    /// Whether progress is due: something is read or settled that `known` does not say, or a request waits for the lease.
    pub(super) fn is_progress_due(&self, known: Option<&Progress>) -> bool {
        let known = known.map_or_else(Default::default, |known| (known.next, known.open));
        let due = known != (self.next, self.open) || (self.lease == 0 && self.pending.is_some());
        due && self.writer == Writer::Idle
    }

    /// What a progress transaction says. As `Workspace::progress`.
    pub(super) fn progress(&self, released: bool, rules: &Rules) -> Progress {
        let order = self.order(rules);
        let waits = match rules.broken {
            Some(Broken::GapsNotReleased) if released => order.doubts(NOW),
            Some(Broken::DoubtsNotWritten) if !released => Vec::new(),
            _ if released => order.unexpired(NOW).collect(),
            _ => order.doubts(NOW),
        };
        let left = |add| {
            waits
                .iter()
                .find(|wait| wait.add == add)
                .map_or(0, |wait| ticks_until(wait.until))
        };
        Progress {
            released,
            waits: [left(false), left(true)],
            next: self.next,
            open: self.open,
        }
    }

    /// The ends of the partitions are measured as soon as they count; later ones would only add to what is in doubt.
    pub(super) fn measure(&mut self, log: Offset, rules: &Rules) {
        if let Some(takeover) = &mut self.takeover
            && (takeover.send_in == 0 || rules.is(Broken::EndsTooEarly))
        {
            takeover.ends = takeover.ends.or(Some(log));
        }
    }

    /// A tick has passed. `clock`: the owner's clock has seen it.
    pub(super) fn tick(&mut self, clock: bool, rules: &Rules) {
        if let Some(Call::Sent { left, .. }) = &mut self.call {
            *left = left.saturating_sub(1);
        }
        if !clock {
            return;
        }
        let lease = rules.scale.lease;
        if let Writer::Writing { age, .. } | Writer::Committed { age } = &mut self.writer {
            *age = (*age + 1).min(lease);
        }
        self.lease = self.lease.saturating_sub(1);
        self.waits = self.waits.map(|wait| match wait? {
            Wait::Gap(left) => (left > 1).then(|| Wait::Gap(left - 1)),
            Wait::Doubt(left) => (left > 1).then(|| Wait::Doubt(left - 1)),
        });
        self.takeover = self
            .takeover
            .filter(|takeover| takeover.doubt_left > 1)
            .map(|takeover| Takeover {
                send_in: takeover.send_in.saturating_sub(1),
                doubt_left: takeover.doubt_left - 1,
                ..takeover
            });
    }

    /// What a fenced owner knows of progress is of no use: it will write none.
    pub(super) fn forget_progress(&mut self) {
        if matches!(self.writer, Writer::Writing { .. }) {
            self.writer = Writer::Idle;
        }
        self.open = (0..self.read_to).fold(self.open, Offsets::without);
        self.next = self.next.max(self.read_to);
    }
}

impl Call {
    pub(super) fn offset(self) -> Offset {
        match self {
            Self::Made { offset } | Self::Sent { offset, .. } => offset,
        }
    }
}
