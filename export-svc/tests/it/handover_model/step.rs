//! The steps of one owner.

use super::owner::{Call, Ended, Writer, is_enter};
use super::rules::{Broken, Rules};
use super::world::{Step, Violation, World};

impl World {
    /// Takes a step, if it is possible.
    pub(super) fn step(&mut self, name: usize, step: Step, rules: &Rules) -> bool {
        let Some(before) = self.owners[name] else { return false };
        let taken = match step {
            Step::Crash => {
                self.end_service(name);
                true
            }
            Step::Send => self.send(name, rules),
            Step::Commit => self.commit(name, rules),
            Step::Hear => self.hear(name, rules),
            Step::End(ended) => self.end(name, ended, rules),
            Step::Release => self.release(name, rules),
            Step::Read | Step::Start | Step::BeginProgress => self.alone(name, step, rules),
        };
        if taken && let Some(after) = &self.owners[name] {
            let accepted = (step == Step::End(Ended::Accepted))
                .then(|| before.call.map(Call::offset))
                .flatten();
            let settled = (0..self.log).filter(|offset| before.open.has(*offset) && !after.open.has(*offset));
            if settled
                .into_iter()
                .any(|offset| Some(offset) != accepted && offset + 1 == after.read_to)
            {
                self.violation = Some(Violation::SettledTooEarly);
            }
        }
        taken
    }

    /// What concerns nobody else.
    fn alone(&mut self, name: usize, step: Step, rules: &Rules) -> bool {
        let fenced = self.is_fenced(name, rules);
        let Some(owner) = &mut self.owners[name] else {
            return false;
        };
        match step {
            Step::Read => owner.read(self.log, rules),
            Step::Start => owner.may_start(rules) && owner.start(rules),
            Step::BeginProgress if !fenced && owner.is_progress_due(self.progress.as_ref()) => {
                let progress = owner.progress(false, rules);
                owner.writer = Writer::Writing { age: 0, progress };
                true
            }
            _ => false,
        }
    }

    /// The body is taken, if the lease still holds; else it never leaves.
    fn send(&mut self, name: usize, rules: &Rules) -> bool {
        let unseen = rules.is(Broken::NoLease) || rules.is(Broken::LeaseNotSeenByTheBody);
        let others = rules.is(Broken::LeaseOfTheProcess) && self.owners.iter().flatten().any(|owner| owner.lease > 0);
        let Some(owner) = &mut self.owners[name] else {
            return false;
        };
        let Some(Call::Made { offset }) = owner.call else {
            return false;
        };
        if owner.lease == 0 && !unseen && !others {
            return false;
        }
        let slow = u8::from(rules.is(Broken::BrazeSlowerThanTheDoubt));
        let left = rules.scale.attempt + rules.scale.doubt + slow;
        owner.call = Some(Call::Sent {
            offset,
            left,
            applied: false,
        });
        let mut earlier = (0..offset).filter(|earlier| is_enter(*earlier) != is_enter(offset));
        if self.sent[..name].contains(&true) {
            self.violation = Some(Violation::Overtaken);
        } else if earlier.any(|earlier| self.may_be_applied(earlier)) {
            self.violation = Some(Violation::Overlap);
        }
        self.sent[name] = true;
        true
    }

    fn end(&mut self, name: usize, ended: Ended, rules: &Rules) -> bool {
        let Some(owner) = &mut self.owners[name] else {
            return false;
        };
        match (owner.call, ended) {
            (Some(Call::Made { .. }), Ended::Refused) => owner.end(ended, rules),
            // Whatever Braze accepts it applies in time.
            (Some(Call::Sent { offset, left, applied }), Ended::Accepted) if applied || left > 0 => {
                owner.end(ended, rules);
                let slow = u8::from(rules.is(Broken::BrazeSlowerThanTheGap));
                self.braze.remember(offset, left.min(rules.scale.settle_gap + slow));
                if !applied {
                    self.braze.due = self.braze.due.with(offset);
                }
            }
            (Some(Call::Sent { offset, left, .. }), Ended::Unknown) => {
                owner.end(ended, rules);
                let late = rules.is(Broken::BytesAfterTheEnd) || rules.is(Broken::BrazeSlowerThanTheDoubt);
                self.braze
                    .remember(offset, left.min(rules.scale.doubt + u8::from(late)));
            }
            _ => return false,
        }
        true
    }

    fn commit(&mut self, name: usize, rules: &Rules) -> bool {
        if self.is_fenced(name, rules) {
            return false;
        }
        let Some(owner) = &mut self.owners[name] else {
            return false;
        };
        let Writer::Writing { age, progress } = owner.writer else {
            return false;
        };
        owner.writer = Writer::Committed { age };
        self.progress = Some(progress);
        true
    }

    /// The loop hears what became of its transaction.
    fn hear(&mut self, name: usize, rules: &Rules) -> bool {
        let Some(owner) = &mut self.owners[name] else {
            return false;
        };
        let Writer::Committed { age } = owner.writer else {
            return false;
        };
        let age = if rules.is(Broken::LeaseFromTheAnswer) { 0 } else { age };
        owner.lease = rules.scale.lease - age;
        owner.writer = Writer::Idle;
        true
    }

    fn release(&mut self, name: usize, rules: &Rules) -> bool {
        let fenced = self.is_fenced(name, rules);
        let Some(owner) = self.owners[name].filter(|owner| !fenced && owner.may_release(rules)) else {
            return false;
        };
        self.progress = Some(owner.progress(true, rules));
        self.end_service(name);
        true
    }
}
