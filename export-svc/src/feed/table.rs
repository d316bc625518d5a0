//! Feeds by their number, which is where they lie: they are looked at several times for every record.

use super::{Feed, FeedId};

/// All feeds there are, and a place for each that there ever was while the workspace has been served.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Option<Box<Feed>>>);

fn index(id: FeedId) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

impl Table {
    pub(super) fn insert(&mut self, id: FeedId, feed: Feed) {
        let index = index(id);
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(Box::new(feed));
    }

    pub(super) fn remove(&mut self, id: FeedId) -> Option<Box<Feed>> {
        self.0.get_mut(index(id))?.take()
    }

    pub(super) fn get(&self, id: FeedId) -> Option<&Feed> {
        self.0.get(index(id))?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: FeedId) -> Option<&mut Feed> {
        self.0.get_mut(index(id))?.as_deref_mut()
    }

    /// In the order of their numbers, which is that in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FeedId, &Feed)> {
        (0..).zip(&self.0).filter_map(|(id, feed)| Some((id, feed.as_deref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (FeedId, &mut Feed)> {
        let feeds = (0..).zip(&mut self.0);
        feeds.filter_map(|(id, feed)| Some((id, feed.as_deref_mut()?)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Feed> {
        self.iter().map(|(_, feed)| feed)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Feed> {
        self.iter_mut().map(|(_, feed)| feed)
    }
}
