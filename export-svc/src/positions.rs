//! Where one feed stands in each partition: everything below `next` is settled, except what is open.
//!
//! An open offset is either *handed* (somewhere between batch and Braze) or *awaited* (to be read again: after a restart, or
//! after the feed was detached). An awaited offset that the reader passes without seeing it was compacted away: a newer
//! record of its key follows, so it is dropped.
//!
//! A record that changes an identifier is several changes, its *parts*. It is settled when all of them are, and those that are
//! settled already are not sent again when it is read again: someone else may have had the last word on them since.

mod handed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::handed::Handed;
use proto::export::v1::PartitionPosition;

/// The positions of a feed, by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<PartitionState>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PartitionState {
    next: i64,
    handed: Handed,
    awaited: BTreeSet<i64>,
    /// Of open offsets that are several changes: the bits of those that are settled.
    parts: BTreeMap<i64, u32>,
}

/// Which of the changes of a record: nearly every record is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    index: u8,
    of: u8,
}

impl Part {
    /// The one change of a record that is one.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The parts of a record that is `of` changes, a few at most.
    pub fn each(of: u8) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Self { index, of })
    }

    /// Whether the outcome of this part is the record's: the last one's is.
    pub fn counts(self) -> bool {
        self.index + 1 == self.of
    }

    fn bit(self) -> u32 {
        1 << self.index
    }

    fn all(self) -> u32 {
        (1 << self.of) - 1
    }
}

impl Positions {
    /// A feed that has read nothing and starts at `start`; at the beginning where `start` says nothing.
    pub fn starting(partitions: usize, start: &[(i32, i64)]) -> Self {
        let mut positions = Self(vec![PartitionState::default(); partitions]);
        for (partition, offset) in start {
            if let Some(state) = positions.state_mut(*partition) {
                state.next = *offset;
            }
        }
        positions
    }

    /// A feed as it was written to progress.
    pub fn restore(partitions: usize, written: &[PartitionPosition]) -> Self {
        let mut positions = Self::starting(partitions, &[]);
        for written in written {
            if let Some(state) = positions.state_mut(written.partition) {
                state.next = written.next;
                state.awaited = written.open.iter().copied().collect();
                state.parts = written.settled_parts.iter().map(|(at, bits)| (*at, *bits)).collect();
            }
        }
        positions
    }

    /// As it is written to progress. `read_to` says how far the reader has come: what it has passed needs no second look,
    /// even if it was not for this feed.
    pub fn written(&self, read_to: impl Fn(i32) -> i64) -> Vec<PartitionPosition> {
        let position = |(partition, state): (usize, &PartitionState)| {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            PartitionPosition {
                partition,
                next: state.next.max(read_to(partition)),
                open: state.open(),
                settled_parts: state.parts.iter().map(|(at, bits)| (*at, *bits)).collect(),
            }
        };
        self.0.iter().enumerate().map(position).collect()
    }

    /// Where the reader must start for this feed.
    pub fn read_from(&self, partition: i32) -> i64 {
        let state = self.state(partition);
        state.map_or(0, |state| {
            state.awaited.first().map_or(state.next, |first| state.next.min(*first))
        })
    }

    /// Whether the feed has still to be handed this record.
    pub fn wants(&self, partition: i32, offset: i64) -> bool {
        self.state(partition)
            .is_some_and(|state| offset >= state.next || state.awaited.contains(&offset))
    }

    /// The record is handed to the feed: open until it is settled.
    pub fn hand(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.state_mut(partition) {
            if offset < state.next {
                state.awaited.remove(&offset);
            }
            state.handed.insert(offset);
            state.next = state.next.max(offset + 1);
        }
    }

    /// The record was settled, and is open again as if it had just been handed on. `false` if it is open, or has still to be read.
    pub fn reopen(&mut self, partition: i32, offset: i64) -> bool {
        let Some(state) = self.state_mut(partition) else {
            return false;
        };
        let reopens = offset < state.next && !state.is_open(offset);
        if reopens {
            state.handed.insert(offset);
        }
        reopens
    }

    /// The record is settled. `false` if it was not open: it has been settled before.
    pub fn settle(&mut self, partition: i32, offset: i64) -> bool {
        self.settle_part(partition, offset, Part::WHOLE)
    }

    /// A part of the record is settled, and with the last part the record; all of it, if that is one part now. `false` if the part
    /// has been settled before.
    pub fn settle_part(&mut self, partition: i32, offset: i64, part: Part) -> bool {
        let Some(state) = self.state_mut(partition) else {
            return false;
        };
        if part == Part::WHOLE {
            state.parts.remove(&offset);
            return state.close(offset);
        }
        if !state.is_open(offset) {
            return false;
        }
        let settled = state.parts.get(&offset).copied().unwrap_or(0);
        if settled & part.bit() != 0 {
            return false;
        }
        if (settled | part.bit()) == part.all() {
            state.parts.remove(&offset);
            state.close(offset);
        } else {
            state.parts.insert(offset, settled | part.bit());
        }
        true
    }

    /// Whether the record was handed to the feed and is not settled, be it on its way or to be read again.
    pub fn is_open(&self, partition: i32, offset: i64) -> bool {
        self.state(partition).is_some_and(|state| state.is_open(offset))
    }

    /// Whether the record was handed to the feed and is not settled.
    pub fn is_handed(&self, partition: i32, offset: i64) -> bool {
        self.state(partition).is_some_and(|state| state.handed.contains(offset))
    }

    /// Whether this part of an open record is settled. What is one part now is not, whichever parts were.
    pub fn is_settled(&self, partition: i32, offset: i64, part: Part) -> bool {
        if part == Part::WHOLE {
            return false;
        }
        let settled = self.state(partition).and_then(|state| state.parts.get(&offset));
        settled.is_some_and(|settled| settled & part.bit() != 0)
    }

    /// The reader has passed everything below `offset`: what was awaited there does not exist any more.
    pub fn passed(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.state_mut(partition) {
            if state.awaited.first().is_some_and(|first| *first < offset) {
                state.awaited = state.awaited.split_off(&offset);
            }
            if !state.parts.is_empty() {
                let mut parts = std::mem::take(&mut state.parts);
                parts.retain(|at, _| state.is_open(*at));
                state.parts = parts;
            }
        }
    }

    /// The reader has shown the feed everything below `offset`, and is about to go back for another feed.
    pub fn advance(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.state_mut(partition) {
            state.next = state.next.max(offset);
        }
    }

    /// What was handed and not settled must be read again.
    pub fn detach(&mut self) {
        for state in &mut self.0 {
            state.awaited.extend(state.handed.iter());
            state.handed = Handed::default();
        }
    }

    /// Whether going on at these offsets leaves out something that has still to be read.
    pub fn leaves_out(&self, offsets: &[(i32, i64)]) -> bool {
        let mut offsets = offsets.iter();
        offsets.any(|(partition, offset)| *offset > self.read_from(*partition))
    }

    /// Goes on at these offsets, and forgets what is open in their partitions.
    pub fn go_to(&mut self, offsets: &[(i32, i64)]) {
        for (partition, offset) in offsets {
            if let Some(state) = self.state_mut(*partition) {
                *state = PartitionState {
                    next: *offset,
                    ..PartitionState::default()
                };
            }
        }
    }

    /// The next offset that the feed was never handed.
    pub fn next(&self, partition: i32) -> i64 {
        self.state(partition).map_or(0, |state| state.next)
    }

    /// Open offsets in all partitions.
    pub fn open_len(&self) -> usize {
        self.0
            .iter()
            .map(|state| state.handed.len() + state.awaited.len())
            .sum()
    }

    /// Whether something is to be read again.
    pub fn awaits(&self) -> bool {
        self.0.iter().any(|state| !state.awaited.is_empty())
    }

    /// The lowest open offset of a partition.
    pub fn first_open(&self, partition: i32) -> Option<i64> {
        let state = self.state(partition)?;
        let awaited = state.awaited.first().copied();
        state.handed.first().into_iter().chain(awaited).min()
    }

    /// The lowest awaited offset of a partition.
    pub fn first_awaited(&self, partition: i32) -> Option<i64> {
        self.state(partition)?.awaited.first().copied()
    }

    fn state(&self, partition: i32) -> Option<&PartitionState> {
        self.0.get(usize::try_from(partition).ok()?)
    }

    fn state_mut(&mut self, partition: i32) -> Option<&mut PartitionState> {
        self.0.get_mut(usize::try_from(partition).ok()?)
    }
}

impl PartitionState {
    fn is_open(&self, offset: i64) -> bool {
        self.handed.contains(offset) || self.awaited.contains(&offset)
    }

    /// `false` if it was not open.
    fn close(&mut self, offset: i64) -> bool {
        self.handed.remove(offset) || self.awaited.remove(&offset)
    }

    fn open(&self) -> Vec<i64> {
        let mut open: Vec<_> = self.handed.iter().chain(self.awaited.iter().copied()).collect();
        open.sort_unstable();
        open
    }
}
