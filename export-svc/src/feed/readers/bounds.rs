//! Where a partition begins and ends, as its readers find it, and who needs what is not there.

use super::{Which, index};
use crate::feed::{Feed, FeedId, Feeds};

impl Feeds {
    /// The reader has come to the end of a partition.
    pub(crate) fn ended(&mut self, which: Which, partition: i32) {
        let view = self.readers.view_mut(which);
        if let Some(index) = index(partition).filter(|index| *index < self.partitions)
            && !view.seeks.contains_key(&partition)
        {
            view.ended[index] = true;
        }
    }

    /// What the readers have said of partitions that end there is not trusted any more, for it may have been said before: they look
    /// again where they are.
    pub(in crate::feed) fn look_again(&mut self, ends: &[i64]) {
        for which in Which::BOTH {
            let view = self.readers.view_mut(which);
            for (partition, end) in ends.iter().enumerate().take(self.partitions) {
                let read_to = view.read_to[partition];
                if read_to < *end {
                    view.go(partition, read_to);
                }
            }
        }
    }

    /// Feeds that began beyond the ends of the partitions, with the partition. `newest` was the newest feed when the ends were
    /// asked for: a later one may begin beyond them. Every feed is looked at once.
    pub(crate) fn beyond(&mut self, ends: &[i64], newest: FeedId) -> Vec<(FeedId, i32)> {
        let mut beyond = Vec::new();
        for (id, feed) in self.feeds.iter_mut().take_while(|(id, _)| *id <= newest) {
            let began = std::mem::take(&mut feed.began);
            let partition = (0..).zip(began.iter().zip(ends)).find(|(_, (began, end))| began > end);
            beyond.extend(partition.map(|(partition, _)| (id, partition)));
        }
        beyond
    }

    /// The reader was refused a position in a partition that holds offsets from the first to the end in `held`. Whoever needs
    /// what is not there sticks, and is given back; the reader goes where the others need it.
    pub(crate) fn offset_gone(
        &mut self,
        which: Which,
        partition: i32,
        held: (i64, i64),
        reason: impl Fn(&Feed) -> String,
    ) -> Vec<FeedId> {
        let Some(index) = index(partition).filter(|index| *index < self.partitions) else {
            return Vec::new();
        };
        let (first, end) = held;
        let (mut stuck, mut rest) = (Vec::new(), Vec::new());
        let view = self.readers.view_mut(which);
        for id in &view.feeds {
            let Some(feed) = self.feeds.get_mut(*id) else { continue };
            feed.positions.advance(partition, view.read_to[index]);
            match feed.positions.read_from(partition) {
                // It has read nothing, and begins with whatever there is.
                0 => rest.push(first),
                from if (first..=end).contains(&from) => rest.push(from),
                from if from < first && feed.removing.is_some() => {
                    feed.go_on_without(partition, first);
                    rest.push(first);
                }
                _ => stuck.push(*id),
            }
        }
        if let Some(from) = rest.into_iter().min() {
            view.go(index, from);
        }
        self.readers.joining = false;
        self.stick(&stuck, reason);
        stuck
    }
}
