//! Where a target is, and when it must be looked at again.

use std::cmp::Reverse;

use super::{Batch, Pending, Place, TargetId};
use crate::clock::Time;
use crate::order::Order;

impl<T> Batch<T> {
    /// Looks again at whoever waited until `now`.
    pub fn wake(&mut self, order: &Order, now: Time) {
        while let Some(Reverse((time, id))) = self.wake.peek().copied()
            && time <= now
        {
            self.wake.pop();
            if self.targets.place(id) == Place::Waiting(time) {
                self.settle_place(id, order, now);
            }
        }
    }

    /// When [`Batch::wake`] or [`Batch::is_ready`] may have something new to say, if nothing else happens.
    pub fn next_wake(&self) -> Option<Time> {
        let wake = self.wake.peek().map(|Reverse((time, _))| *time);
        self.due.first().into_iter().chain(wake).min()
    }

    /// When a change may be sent; [`Time::MAX`] while somebody else must go first.
    #[inline(always)]
    pub(super) fn not_before(&self, change: &Pending<T>, order: &Order) -> Time {
        if self.people.may_go(change, &self.changes) {
            order.not_before(change.keys, change.add).max(change.held_until)
        } else {
            Time::MAX
        }
    }

    /// A target leaves the open batch, if it is in it.
    #[inline(always)]
    pub(super) fn take_out(&mut self, id: TargetId) {
        if let Some(target) = self.targets.get_mut(id).filter(|target| target.place == Place::Open) {
            target.place = Place::Nowhere;
            self.open_len -= 1;
            self.open_bytes -= target.body_bytes;
            self.due.leave(target.flush_at);
        }
    }

    /// Puts a target where it belongs now.
    pub(super) fn settle_place(&mut self, id: TargetId, order: &Order, now: Time) {
        self.take_out(id);
        let Some(target) = self.targets.get_mut(id) else {
            return;
        };
        target.bring_forward(&self.changes);
        if target.changes.is_empty() {
            target.place = Place::Nowhere;
            if target.in_flight.is_none() {
                self.targets.remove(id);
            }
            return;
        }
        if let Some(request) = target.in_flight {
            target.place = Place::Fenced(request);
            return;
        }
        if matches!(target.place, Place::Fenced(_) | Place::Grouped) {
            return;
        }
        let target = &self.targets[id];
        let (mut earliest, mut flush_at) = (Time::MAX, Time::MAX);
        let mut suspect = false;
        let mut body_bytes = target.identifier_json_bytes;
        for change_id in &target.changes {
            let change = &self.changes[*change_id];
            let time = self.not_before(change, order);
            earliest = earliest.min(time);
            flush_at = flush_at.min(change.flush_at);
            suspect |= change.alone > 0 && time <= now;
            body_bytes += match &change.occurrence {
                None => self.slugs.json_bytes(change.slug),
                Some(clause) => clause.len(),
            };
        }
        let oldest = target.changes.first().map(|change| self.changes[*change].lane);
        let target = &mut self.targets[id];
        if earliest > now {
            target.place = if earliest == Time::MAX {
                Place::Behind
            } else {
                self.wake.push(Reverse((earliest, id)));
                Place::Waiting(earliest)
            };
            self.shrink();
            return;
        }
        if suspect {
            target.place = Place::Grouped;
            self.groups.push_back(vec![id]);
            return;
        }
        (target.place, target.flush_at, target.body_bytes) = (Place::Open, flush_at, body_bytes);
        self.open_len += 1;
        self.open_bytes += body_bytes;
        self.due.enter(flush_at);
        if !self.targets.set_queued(id, true)
            && let Some(lane) = oldest
        {
            self.lanes.queue(lane, id);
        }
    }

    /// Drops what no longer counts from the heap before it outweighs what does.
    fn shrink(&mut self) {
        let targets = &self.targets;
        if self.wake.len() > 2 * targets.len() + 64 {
            self.wake
                .retain(|Reverse((time, id))| targets.place(*id) == Place::Waiting(*time));
        }
    }
}
