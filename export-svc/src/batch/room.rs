//! How full a batch is, and who fills it.

use super::{Batch, BatchLimits, LaneId};

impl<T> Batch<T> {
    /// Whether no more changes should be pushed for now.
    pub fn is_full(&self) -> bool {
        self.pending() >= self.limits.pending_max || self.pending_bytes >= self.limits.pending_bytes_max
    }

    /// Whether a lane holds so much that the others need the rest: in a batch that is half full, a quarter of what is free. So
    /// something stays free, however many lanes get nowhere. If it did `until_now`, it does until it is down to half of that.
    pub fn is_crowded_by(&self, lane: LaneId, until_now: bool) -> bool {
        let BatchLimits {
            pending_max,
            pending_bytes_max,
            ..
        } = self.limits;
        let (many, large) = self.half_full();
        let crowds = |own: usize, pending: usize, max: usize, half_full: bool| {
            let free = max.saturating_sub(pending);
            own > 0
                && if until_now {
                    own >= free / 8
                } else {
                    half_full && own >= free / 4
                }
        };
        crowds(self.pending_of(lane), self.pending(), pending_max, many)
            || crowds(self.lanes.bytes(lane), self.pending_bytes, pending_bytes_max, large)
    }

    /// Whether any lane may crowd it.
    pub fn is_half_full(&self) -> bool {
        let (many, large) = self.half_full();
        many || large
    }

    /// The same in changes, and in bytes.
    fn half_full(&self) -> (bool, bool) {
        let BatchLimits {
            pending_max,
            pending_bytes_max,
            ..
        } = self.limits;
        (
            self.pending() >= pending_max.div_ceil(2),
            self.pending_bytes >= pending_bytes_max.div_ceil(2),
        )
    }
}
