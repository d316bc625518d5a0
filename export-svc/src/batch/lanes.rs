//! Whose targets enter the next request: the jobs take turns, so that one with a backlog takes no more than its share.

use std::collections::VecDeque;

use super::TargetId;
use crate::hash::Map;

/// Names a lane: whatever the caller wants to be fair between.
pub type LaneId = u64;

/// The open targets, by lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Map<LaneId, Lane>,
    /// Lanes with something queued; the first one's turn it is.
    turns: VecDeque<LaneId>,
}

#[derive(Debug, Default)]
struct Lane {
    /// First come first served.
    queue: VecDeque<TargetId>,
    /// Changes taken and not settled, in the batch and in flight.
    pending: usize,
    /// What they cost to remember, in bytes.
    bytes: usize,
}

impl Lanes {
    /// A change of the lane is pending.
    pub(super) fn enter(&mut self, lane: LaneId, bytes: usize) {
        let known = self.lanes.entry(lane).or_default();
        known.pending += 1;
        known.bytes += bytes;
    }

    /// A change of the lane is settled or forgotten.
    pub(super) fn leave(&mut self, lane: LaneId, bytes: usize) {
        if let Some(known) = self.lanes.get_mut(&lane) {
            known.pending -= 1;
            known.bytes -= bytes;
            if known.pending == 0 && known.queue.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    pub(super) fn pending(&self, lane: LaneId) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.pending)
    }

    pub(super) fn bytes(&self, lane: LaneId) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.bytes)
    }

    pub(super) fn queue(&mut self, lane: LaneId, target: TargetId) {
        let known = self.lanes.entry(lane).or_default();
        if known.queue.is_empty() {
            self.turns.push_back(lane);
        }
        known.queue.push_back(target);
    }

    /// The target whose turn it is.
    pub(super) fn front(&self) -> Option<TargetId> {
        self.lanes.get(self.turns.front()?)?.queue.front().copied()
    }

    /// Takes that target away. `served`: this was the lane's turn, and it is the next one's.
    pub(super) fn pop(&mut self, served: bool) {
        let Some(lane) = self.turns.pop_front() else { return };
        let Some(known) = self.lanes.get_mut(&lane) else { return };
        known.queue.pop_front();
        match (known.queue.is_empty(), served) {
            (true, _) if known.pending == 0 => drop(self.lanes.remove(&lane)),
            (true, _) => {}
            (false, true) => self.turns.push_back(lane),
            (false, false) => self.turns.push_front(lane),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.queue.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.turns.is_empty()
    }
}
