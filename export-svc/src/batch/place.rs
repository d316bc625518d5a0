//! Where a target is, and when it must be looked at again.

use std::cmp::Reverse;

use super::keys::json_bytes;
use super::{Batch, Place, TargetId};
use crate::clock::Time;
use crate::order::Order;

impl<T> Batch<T> {
    /// Looks again at whoever waited until `now`.
    pub fn wake(&mut self, order: &Order, now: Time) {
        while let Some(Reverse((time, id))) = self.wake.peek().copied()
            && time <= now
        {
            self.wake.pop();
            if self.place(id) == Place::Waiting(time) {
                self.settle_place(id, order, now);
            }
        }
    }

    /// When [`Batch::wake`] or [`Batch::is_ready`] may have something new to say, if nothing else happens.
    pub fn next_wake(&mut self) -> Option<Time> {
        self.prune_due();
        let due = self.due.peek().map(|Reverse((time, _))| *time);
        let wake = self.wake.peek().map(|Reverse((time, _))| *time);
        due.into_iter().chain(wake).min()
    }

    pub(super) fn prune_due(&mut self) {
        while let Some(Reverse((time, id))) = self.due.peek().copied()
            && !self.targets[id]
                .as_ref()
                .is_some_and(|target| target.place == Place::Open && target.flush_at == time)
        {
            self.due.pop();
        }
    }

    /// Puts a target where it belongs now.
    pub(super) fn settle_place(&mut self, id: TargetId, order: &Order, now: Time) {
        let Some(target) = self.targets[id].as_mut() else {
            return;
        };
        let was_open = target.place == Place::Open;
        if was_open {
            self.open_len -= 1;
            self.open_bytes -= target.body_bytes;
        }
        target.bring_forward();
        if target.changes.is_empty() {
            target.place = Place::Nowhere;
            if target.in_flight.is_none() {
                self.by_identifier.remove(&target.identifier);
                self.targets[id] = None;
                self.free.push(id);
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
        let mut earliest = Time::MAX;
        let mut suspect = false;
        for change in &target.changes {
            let time = change.not_before(order, &self.claims);
            earliest = earliest.min(time);
            suspect |= change.alone > 0 && time <= now;
        }
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
        let flush_at = target.changes.iter().map(|change| change.flush_at).min().unwrap_or(now);
        target.body_bytes =
            target.identifier_json_bytes + target.changes.iter().map(|c| json_bytes(&c.slug)).sum::<usize>();
        target.place = Place::Open;
        if !std::mem::replace(&mut self.queued[id], true) {
            let lane = target.changes.first().map_or(0, |oldest| oldest.lane);
            self.lanes.queue(lane, id);
        }
        if !was_open || flush_at != target.flush_at {
            self.due.push(Reverse((flush_at, id)));
        }
        target.flush_at = flush_at;
        self.open_len += 1;
        self.open_bytes += target.body_bytes;
        self.shrink();
    }

    /// Drops what no longer counts from the heaps before it outweighs what does.
    fn shrink(&mut self) {
        let targets = &self.targets;
        let bound = 2 * self.by_identifier.len() + 64;
        if self.due.len() > bound {
            self.due.retain(|Reverse((time, id))| {
                targets[*id]
                    .as_ref()
                    .is_some_and(|target| target.place == Place::Open && target.flush_at == *time)
            });
        }
        if self.wake.len() > bound {
            self.wake.retain(|Reverse((time, id))| {
                targets[*id]
                    .as_ref()
                    .is_some_and(|target| target.place == Place::Waiting(*time))
            });
        }
    }
}
