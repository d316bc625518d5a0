//! The log, progress, the owners and Braze, and every step that any of them may take.

use stateright::{Model, Property};

use super::owner::{Call, Ended, Offset, Offsets, Owner, Progress, Writer, is_enter};
use super::rules::{Broken, Rules};

/// Owners that are remembered at once.
const OWNERS: usize = 2;
const RECORDS: usize = 3;

pub(super) const QUIET: &str = "once all is quiet, Braze holds what the last record says";
pub(super) const SUCCESSOR: &str = "no request starts after a successor's first";
pub(super) const OVERLAP: &str = "no earlier opposite can be applied after a later call";
pub(super) const SETTLED: &str = "nothing is settled before Braze has accepted it";
pub(super) const FINISH: &str = "whoever takes over from nobody can finish";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Records appended so far.
    pub(super) log: Offset,
    /// What the last committed progress transaction says.
    pub(super) progress: Option<Progress>,
    /// The newest owner first; whoever comes after it is fenced. `None`: ended.
    pub(super) owners: [Option<Owner>; OWNERS],
    /// Which of them have sent something, as long as there is an older one.
    pub(super) sent: [bool; OWNERS],
    pub(super) braze: Braze,
    pub(super) violation: Option<Violation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Braze {
    /// Whether the user has the slug.
    pub(super) tagged: bool,
    /// For how long calls that no owner waits for any more may be applied; by record.
    pub(super) live: [u8; RECORDS],
    /// Accepted, not applied yet.
    pub(super) due: Offsets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Violation {
    /// A request started after a later owner's first.
    Overtaken,
    /// A call was sent while an opposite one of an earlier record could still be applied after it.
    Overlap,
    /// A change was settled that Braze has not accepted and no later one replaces.
    SettledTooEarly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Upstream publishes the next record.
    Append,
    /// Braze applies a call.
    Apply(Offset),
    /// Time passes. Whoever takes no step meanwhile is frozen. The clock of the named owner stands still.
    Tick {
        standing: Option<usize>,
    },
    /// A replica that believes the slot to be its own: `init_transactions` returns, and progress is read.
    TakeOver,
    By(usize, Step),
}

/// Steps of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Crash,
    Read,
    Start,
    /// The connection asks for the body.
    Send,
    End(Ended),
    BeginProgress,
    /// Kafka decides the transaction.
    Commit,
    /// The loop hears of it.
    Hear,
    /// It has drained, writes its last progress and lets go of the slot. One step: it does nothing else meanwhile, and whoever
    /// drains in vain is as one that has crashed.
    Release,
}

impl Step {
    const ALL: [Self; 11] = [
        Self::Crash,
        Self::Read,
        Self::Start,
        Self::Send,
        Self::End(Ended::Accepted),
        Self::End(Ended::Refused),
        Self::End(Ended::Unknown),
        Self::BeginProgress,
        Self::Release,
        Self::Commit,
        Self::Hear,
    ];
}

impl Model for Rules {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            log: 0,
            progress: None,
            owners: [None; OWNERS],
            sent: [false; OWNERS],
            braze: Braze::default(),
            violation: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.push(Action::Tick { standing: None });
        if self.is(Broken::ClockStandsStill) {
            actions.extend((0..OWNERS).map(|name| Action::Tick { standing: Some(name) }));
        }
        actions.extend([Action::Append, Action::TakeOver]);
        actions.extend((0..world.log).map(Action::Apply));
        for (name, owner) in world.owners.iter().enumerate() {
            if owner.is_some() {
                actions.extend(Step::ALL.map(|step| Action::By(name, step)));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let possible = match action {
            Action::Append => next.append(self.scale.records),
            Action::Apply(offset) => next.apply(offset),
            Action::Tick { standing } => next.tick(standing, self),
            Action::TakeOver => next.take_over(self),
            Action::By(name, step) => next.step(name, step, self),
        };
        next.forget(self);
        (possible && next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(QUIET, |_, world: &World| {
                !world.is_quiet() || world.braze.tagged == world.wanted()
            }),
            Property::always(SUCCESSOR, |_, world: &World| {
                world.violation != Some(Violation::Overtaken)
            }),
            Property::always(OVERLAP, |_, world: &World| world.violation != Some(Violation::Overlap)),
            Property::always(SETTLED, |_, world: &World| {
                world.violation != Some(Violation::SettledTooEarly)
            }),
            Property::always(FINISH, |rules, world: &World| {
                world.owners.iter().any(Option::is_some) || world.can_finish(rules)
            }),
        ]
    }
}

impl World {
    /// What Braze must end with.
    pub(super) fn wanted(&self) -> bool {
        self.log > 0 && is_enter(self.log - 1)
    }

    /// Everything is settled for good, and no call can be applied any more.
    pub(super) fn is_quiet(&self) -> bool {
        let settled = self
            .progress
            .is_some_and(|progress| (0..self.log).all(|offset| progress.is_settled(offset)));
        settled && (0..self.log).all(|offset| !self.may_be_applied(offset))
    }

    /// Whether a new owner that nothing goes wrong with brings Braze to what the last record says.
    fn can_finish(&self, rules: &Rules) -> bool {
        const GOOD: [Step; 7] = [
            Step::Read,
            Step::End(Ended::Accepted),
            Step::Send,
            Step::Start,
            Step::Hear,
            Step::Commit,
            Step::BeginProgress,
        ];
        let Some(mut world) = rules.next_state(self, Action::TakeOver) else {
            return false;
        };
        for _ in 0..100 {
            if world.is_quiet() {
                return world.braze.tagged == world.wanted();
            }
            let steps = GOOD.map(|step| Action::By(0, step)).into_iter();
            let due = world.braze.due;
            let applied = (0..world.log).filter(|offset| due.has(*offset)).map(Action::Apply);
            let all = steps.chain(applied).chain([Action::Tick { standing: None }]);
            let Some(next) = all.filter_map(|action| rules.next_state(&world, action)).next() else {
                return world.log == 0;
            };
            world = next;
        }
        world.log == 0
    }

    pub(super) fn may_be_applied(&self, offset: Offset) -> bool {
        let owned = self.owners.iter().flatten().filter_map(|owner| owner.call);
        self.braze.live[usize::from(offset)] > 0
            || owned
                .into_iter()
                .any(|call| matches!(call, Call::Sent { offset: sent, left, .. } if sent == offset && left > 0))
    }

    fn append(&mut self, records: Offset) -> bool {
        let room = self.log < records;
        self.log += u8::from(room);
        room
    }

    /// A call may be applied more than once, which covers every number of calls of the same record.
    fn apply(&mut self, offset: Offset) -> bool {
        if !self.may_be_applied(offset) {
            return false;
        }
        self.braze.tagged = is_enter(offset);
        self.braze.due = self.braze.due.without(offset);
        for owner in self.owners.iter_mut().flatten() {
            if let Some(Call::Sent {
                offset: sent,
                left,
                applied,
            }) = &mut owner.call
                && *sent == offset
                && *left > 0
            {
                *applied = true;
            }
        }
        true
    }

    fn tick(&mut self, standing: Option<usize>, rules: &Rules) -> bool {
        for (offset, live) in (0..).zip(&mut self.braze.live) {
            if *live == 1 && self.braze.due.has(offset) {
                return false;
            }
            *live = live.saturating_sub(1);
        }
        let log = self.log;
        for (name, owner) in self.owners.iter_mut().enumerate() {
            if let Some(owner) = owner {
                owner.tick(standing != Some(name), rules);
                owner.measure(log, rules);
            }
        }
        true
    }

    /// Waits until the oldest that is remembered has ended.
    fn take_over(&mut self, rules: &Rules) -> bool {
        if self.owners[OWNERS - 1].is_some() {
            return false;
        }
        self.owners.rotate_right(1);
        self.sent.rotate_right(1);
        let mut owner = Owner::take_over(self.progress.as_ref(), rules);
        owner.measure(self.log, rules);
        (self.owners[0], self.sent[0]) = (Some(owner), false);
        true
    }

    /// Leaves out what cannot matter any more, so that equal states are equal. What a fenced owner has not committed will
    /// never be; one without a lease, which cannot get one, is as good as ended.
    fn forget(&mut self, rules: &Rules) {
        for name in 0..OWNERS {
            let fenced = self.is_fenced(name, rules);
            let Some(owner) = &mut self.owners[name] else { continue };
            if fenced {
                owner.forget_progress();
            }
            let hears = match owner.writer {
                Writer::Committed { age } => age < rules.scale.lease || rules.is(Broken::LeaseFromTheAnswer),
                Writer::Idle | Writer::Writing { .. } => false,
            };
            let unseen = rules.is(Broken::LeaseNotSeenByTheBody) || rules.is(Broken::LeaseOfTheProcess);
            let sends = owner.lease > 0
                || rules.is(Broken::NoLease)
                || (unseen && matches!(owner.call, Some(Call::Made { .. })));
            if fenced && !sends && !hears {
                self.end_service(name);
            }
        }
        for name in 0..OWNERS {
            self.sent[name] &= self.owners[name + 1..].iter().any(Option::is_some);
        }
    }

    pub(super) fn is_fenced(&self, name: usize, rules: &Rules) -> bool {
        name > 0 && !rules.is(Broken::NoFence)
    }

    /// An owner is no more. What it has sent, Braze remembers.
    pub(super) fn end_service(&mut self, name: usize) {
        if let Some(Owner {
            call: Some(Call::Sent { offset, left, .. }),
            ..
        }) = self.owners[name].take()
        {
            self.braze.remember(offset, left);
        }
    }
}

impl Braze {
    pub(super) fn remember(&mut self, offset: Offset, left: u8) {
        let live = &mut self.live[usize::from(offset)];
        *live = left.max(*live);
    }
}
