//! Whose targets enter the next request: the jobs take turns, so that one with a backlog takes no more than its share.

use std::collections::VecDeque;

use slab::Slab;

use super::TargetId;
use crate::hash::Map;

/// Names a lane: whatever the caller wants to be fair between.
pub type LaneId = u64;

/// Names a lane for as long as something of it is pending or queued; then the number serves another one.
pub(super) type LaneIndex = usize;

/// The open targets, by lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Slab<Lane>,
    by_id: Map<LaneId, LaneIndex>,
    /// Whom the last change was of; the next one nearly always is too.
    last: Option<(LaneId, LaneIndex)>,
    /// Lanes with something queued; the first one's turn it is.
    turns: VecDeque<LaneIndex>,
    /// The memory of the queue that was forgotten last.
    spare: VecDeque<TargetId>,
}

#[derive(Debug, Default)]
struct Lane {
    id: LaneId,
    /// First come first served.
    queue: VecDeque<TargetId>,
    /// Changes taken and not settled, in the batch and in flight.
    pending: usize,
    /// What they cost to remember, in bytes.
    bytes: usize,
}

impl Lanes {
    /// A change of the lane is pending.
    #[inline(always)]
    pub(super) fn enter(&mut self, id: LaneId, bytes: usize) -> LaneIndex {
        let index = match self.last {
            Some((last, index)) if last == id => index,
            _ => self.find(id),
        };
        let known = &mut self.lanes[index];
        known.pending += 1;
        known.bytes += bytes;
        index
    }

    fn find(&mut self, id: LaneId) -> LaneIndex {
        let (lanes, spare) = (&mut self.lanes, &mut self.spare);
        let new = || {
            lanes.insert(Lane {
                id,
                queue: std::mem::take(spare),
                ..Lane::default()
            })
        };
        let index = *self.by_id.entry(id).or_insert_with(new);
        self.last = Some((id, index));
        index
    }

    /// A change of the lane is settled or forgotten.
    pub(super) fn leave(&mut self, lane: LaneIndex, bytes: usize) {
        let known = &mut self.lanes[lane];
        known.pending -= 1;
        known.bytes -= bytes;
        self.forget_if_empty(lane);
    }

    fn forget_if_empty(&mut self, lane: LaneIndex) {
        let known = &self.lanes[lane];
        if known.pending == 0 && known.queue.is_empty() {
            self.by_id.remove(&known.id);
            self.spare = self.lanes.remove(lane).queue;
            self.last = None;
        }
    }

    fn get(&self, id: LaneId) -> Option<&Lane> {
        self.by_id.get(&id).map(|index| &self.lanes[*index])
    }

    pub(super) fn pending(&self, id: LaneId) -> usize {
        self.get(id).map_or(0, |lane| lane.pending)
    }

    pub(super) fn bytes(&self, id: LaneId) -> usize {
        self.get(id).map_or(0, |lane| lane.bytes)
    }

    /// A target of a pending change of this lane.
    #[inline(always)]
    pub(super) fn queue(&mut self, lane: LaneIndex, target: TargetId) {
        let known = &mut self.lanes[lane];
        if known.queue.is_empty() {
            self.turns.push_back(lane);
        }
        known.queue.push_back(target);
    }

    /// The target whose turn it is.
    pub(super) fn front(&self) -> Option<TargetId> {
        self.lanes[*self.turns.front()?].queue.front().copied()
    }

    /// Takes that target away. `served`: this was the lane's turn, and it is the next one's.
    #[inline(always)]
    pub(super) fn pop(&mut self, served: bool) {
        let Some(lane) = self.turns.front().copied() else {
            return;
        };
        let known = &mut self.lanes[lane];
        known.queue.pop_front();
        if known.queue.is_empty() {
            self.turns.pop_front();
            self.forget_if_empty(lane);
        } else if served && self.turns.len() > 1 {
            self.turns.pop_front();
            self.turns.push_back(lane);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|(_, lane)| lane.queue.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.turns.is_empty() && self.by_id.is_empty()
    }
}
