//! Which feeds have caught up: each has been shown everything there was, and what was open by then is settled.

use proto::export::v1::ExportJobState;

use super::{Feed, Feeds};
use crate::positions::Positions;

/// How far a feed has come with that, since it was served for the first time, or again, or was reset.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum CaughtUp {
    #[default]
    No,
    /// It has been shown everything; what was open then lies below these offsets, by partition.
    Shown(Vec<i64>),
    Yes,
}

impl CaughtUp {
    /// As it was written down.
    pub(super) fn restore(synced: bool) -> Self {
        if synced { Self::Yes } else { Self::No }
    }

    /// The next step, if there is one. `is_shown`: the feed has been shown everything there is.
    fn step(&self, is_shown: bool, positions: &Positions, partitions: usize) -> Option<Self> {
        let mut numbers = (0..).take(partitions);
        match self {
            Self::No if is_shown => {
                let shown = Self::Shown(numbers.map(|number| positions.next(number)).collect());
                shown.step(is_shown, positions, partitions).or(Some(shown))
            }
            Self::Shown(ends) => {
                let mut ends = numbers.by_ref().zip(ends);
                let settled = ends.all(|(number, end)| positions.first_open(number).is_none_or(|open| open >= *end));
                settled.then_some(Self::Yes)
            }
            _ => None,
        }
    }
}

impl Feed {
    /// It has been shown everything there was, and what was open by then is settled.
    pub(crate) fn is_synced(&self) -> bool {
        self.caught_up == CaughtUp::Yes
    }
}

impl Feeds {
    /// Looks at every feed, by the ends of the partitions. One that is not runnable begins anew afterwards.
    pub(crate) fn observe_caught_up(&mut self, ends: &[i64]) {
        let next = |feed: &Feed| match self.condition(feed).0 {
            ExportJobState::Runnable => {
                let is_shown = self.lag(feed, ends) == Some(0) && self.left_of_pass(feed) == 0;
                feed.caught_up.step(is_shown, &feed.positions, self.partitions)
            }
            _ => (feed.caught_up != CaughtUp::No).then_some(CaughtUp::No),
        };
        let next: Vec<_> = self
            .feeds
            .iter()
            .filter_map(|(id, feed)| Some((id, next(feed)?)))
            .collect();
        for (id, next) in next {
            if let Some(feed) = self.get_mut(id) {
                feed.caught_up = next;
            }
        }
    }
}
