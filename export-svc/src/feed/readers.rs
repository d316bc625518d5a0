//! Which of the two readers of a workspace serves which feed, and where each reader goes.
//!
//! **Live** serves whoever is up to date. Whoever has older records to read – new, back after a pause, full for a while – is
//! served by **catch-up**, which starts at the least of their positions and hands them to live when nothing is left between:
//! when each partition has shown a record at or beyond live's position, or its end after a seek. Offsets alone would not do,
//! for compaction and transactions leave holes. Live rests only for those last looks.
//!
//! A feed is *full* when too much of the batch is its own. It is left out then (*resting*: it keeps its position and what it
//! was handed), and the others are read for; a reader all of whose feeds are full is not polled. One pass of catch-up ends
//! before it goes back for others: when it joins, or when all of its feeds are full. So each pass moves somebody forward.

mod bounds;

use std::collections::{BTreeMap, BTreeSet};

use super::{Feed, FeedId, Feeds};
use crate::clock::Time;

/// So many records, at most, live reads again at its start rather than leaving them to catch-up.
const READ_AGAIN_MAX: i64 = 10_000;

/// One of the two readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Live,
    CatchUp,
}

impl Which {
    pub(crate) const BOTH: [Self; 2] = [Self::Live, Self::CatchUp];

    /// As metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::CatchUp => "catch_up",
        }
    }
}

/// What one reader has shown, and to whom.
#[derive(Debug, Default)]
struct View {
    feeds: BTreeSet<FeedId>,
    /// All of its feeds, perhaps none, are full.
    idle: bool,
    /// One past the last record that it has shown, by partition.
    read_to: Vec<i64>,
    /// When that record was written, if that is known.
    shown_at: Vec<Option<Time>>,
    /// It has said since its last seek that there is nothing more, by partition.
    ended: Vec<bool>,
    /// Where it must go before it reads on.
    seeks: BTreeMap<i32, i64>,
    /// (first awaited offset, feed) of its feeds, by partition.
    awaited: Vec<BTreeSet<(i64, FeedId)>>,
}

impl View {
    fn new(partitions: usize) -> Self {
        Self {
            idle: true,
            read_to: vec![0; partitions],
            shown_at: vec![None; partitions],
            ended: vec![false; partitions],
            awaited: vec![BTreeSet::new(); partitions],
            ..Self::default()
        }
    }

    fn go(&mut self, partition: usize, offset: i64) {
        self.read_to[partition] = offset;
        self.ended[partition] = false;
        self.shown_at[partition] = None;
        self.seeks.insert(number(partition), offset);
    }

    fn serves_from(&self, feed: &Feed) -> bool {
        let mut partitions = self.read_to.iter().enumerate();
        partitions.all(|(index, read_to)| feed.positions.read_from(number(index)) >= *read_to)
    }
}

/// Both readers of a workspace.
#[derive(Debug, Default)]
pub(super) struct Readers {
    live: View,
    catch_up: View,
    /// Live rests until catch-up has taken its last looks.
    joining: bool,
    /// Some feed is full.
    any_full: bool,
}

impl Readers {
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            live: View::new(partitions),
            catch_up: View::new(partitions),
            ..Self::default()
        }
    }

    fn view(&self, which: Which) -> &View {
        match which {
            Which::Live => &self.live,
            Which::CatchUp => &self.catch_up,
        }
    }

    fn view_mut(&mut self, which: Which) -> &mut View {
        match which {
            Which::Live => &mut self.live,
            Which::CatchUp => &mut self.catch_up,
        }
    }

    pub(super) fn read_to(&self, which: Which, partition: i32) -> i64 {
        let read_to = index(partition).and_then(|index| self.view(which).read_to.get(index));
        read_to.copied().unwrap_or(0)
    }

    /// When the last record of the partition was written that the reader has shown since its last seek.
    pub(super) fn shown_at(&self, which: Which, partition: i32) -> Option<Time> {
        let shown = index(partition).and_then(|index| self.view(which).shown_at.get(index));
        shown.copied().flatten()
    }

    /// Whether the reader has said since its last seek that there is nothing more.
    pub(super) fn has_ended(&self, which: Which, partition: i32) -> bool {
        let ended = index(partition).and_then(|index| self.view(which).ended.get(index));
        ended.copied().unwrap_or(false)
    }
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn index(partition: i32) -> Option<usize> {
    usize::try_from(partition).ok()
}

impl Feeds {
    /// Whether the reader has somebody to read for, now.
    pub(crate) fn readable(&self, which: Which) -> bool {
        let rests = which == Which::Live && self.readers.joining;
        !rests && !self.readers.view(which).idle
    }

    /// Whether the reader has a feed at all.
    pub(crate) fn serves(&self, which: Which) -> bool {
        !self.readers.view(which).feeds.is_empty()
    }

    /// How many feeds the reader has.
    pub(crate) fn served_by(&self, which: Which) -> usize {
        self.readers.view(which).feeds.len()
    }

    /// Records that the reader has still to read, at most, by the ends of the partitions; 0 if it has no feed.
    pub(crate) fn reader_lag(&self, which: Which, ends: &[i64]) -> u64 {
        if !self.serves(which) {
            return 0;
        }
        let unread = |(partition, end): (i32, &i64)| u64::try_from(end - self.readers.read_to(which, partition));
        (0..).zip(ends).map(|at| unread(at).unwrap_or(0)).sum()
    }

    /// Where the reader must go before it reads on.
    pub(crate) fn take_seeks(&mut self, which: Which) -> BTreeMap<i32, i64> {
        std::mem::take(&mut self.readers.view_mut(which).seeks)
    }

    /// Whether the reader must go somewhere before it reads on.
    pub(crate) fn must_seek(&self, which: Which) -> bool {
        !self.readers.view(which).seeks.is_empty()
    }

    /// How far everybody has been shown the partition.
    pub(crate) fn read_to(&self, partition: i32) -> i64 {
        let live = self.readers.read_to(Which::Live, partition);
        if self.serves(Which::CatchUp) {
            live.min(self.readers.read_to(Which::CatchUp, partition))
        } else {
            live
        }
    }

    /// Up to where live has read and its feeds have settled everything, by partition; nothing if it has no feeds.
    pub(crate) fn frontier(&self) -> Vec<(i32, i64)> {
        let live = &self.readers.live;
        if live.feeds.is_empty() {
            return Vec::new();
        }
        let open = |partition| {
            let feeds = live.feeds.iter().filter_map(|id| self.feeds.get(*id));
            feeds.filter_map(|feed| feed.positions.first_open(partition)).min()
        };
        let read_to = (0..).zip(live.read_to.iter().copied());
        read_to
            .map(|(partition, read_to)| (partition, open(partition).map_or(read_to, |open| open.min(read_to))))
            .collect()
    }

    /// The reader shows a record that was written then.
    pub(crate) fn show(&mut self, which: Which, partition: i32, written: Option<Time>) {
        let view = self.readers.view_mut(which);
        if view.seeks.is_empty()
            && let Some(shown) = index(partition).and_then(|index| view.shown_at.get_mut(index))
        {
            *shown = written;
        }
    }

    /// Everything below `offset` has been shown to every feed of the reader.
    pub(crate) fn passed(&mut self, which: Which, partition: i32, offset: i64) {
        let Some(index) = index(partition).filter(|index| *index < self.partitions) else {
            return;
        };
        let view = self.readers.view_mut(which);
        // What was on its way when it was told to go elsewhere.
        if view.seeks.contains_key(&partition) {
            return;
        }
        view.read_to[index] = offset;
        while let Some((awaited, id)) = view.awaited[index].first().copied()
            && awaited < offset
        {
            view.awaited[index].remove(&(awaited, id));
            let Some(feed) = self.feeds.get_mut(id).filter(|feed| feed.reader == Some(which)) else {
                continue;
            };
            feed.positions.passed(partition, offset);
            self.dirty.insert(id);
            if let Some(next) = feed.positions.first_awaited(partition) {
                view.awaited[index].insert((next, id));
            }
        }
    }

    /// Hands the feeds of catch-up to live if nothing is left between the two.
    pub(crate) fn join(&mut self) {
        if self.readers.catch_up.feeds.is_empty() || !self.has_arrived() {
            return;
        }
        let Readers {
            live,
            catch_up,
            joining,
            ..
        } = &mut self.readers;
        let behind = |index: &usize| catch_up.read_to[*index] < live.read_to[*index];
        let behind: Vec<_> = (0..self.partitions).filter(behind).collect();
        if !*joining && !behind.is_empty() {
            // All full, it cannot look; live does not wait for that.
            if !catch_up.idle {
                *joining = true;
                for partition in behind {
                    catch_up.go(partition, catch_up.read_to[partition]);
                }
            }
            return;
        }
        self.readers.joining = false;
        for id in std::mem::take(&mut self.readers.catch_up.feeds) {
            let Some(feed) = self.feeds.get_mut(id) else { continue };
            for partition in 0..self.partitions {
                let shown = self.readers.live.read_to[partition].max(self.readers.catch_up.read_to[partition]);
                feed.positions.passed(number(partition), shown);
                feed.positions.advance(number(partition), shown);
            }
            self.attach(id, Which::Live);
        }
        self.serve();
    }

    /// Each partition of catch-up has come to live's position, or to its end.
    fn has_arrived(&self) -> bool {
        let Readers { live, catch_up, .. } = &self.readers;
        (0..self.partitions)
            .all(|partition| catch_up.ended[partition] || catch_up.read_to[partition] >= live.read_to[partition])
    }

    /// Feeds of the reader that have still to be handed a record: of its audience, or of any if that is not known.
    pub(crate) fn wanting(
        &self,
        which: Which,
        slug: Option<&[u8]>,
        partition: i32,
        offset: i64,
        found: &mut Vec<FeedId>,
    ) {
        let wants = |id: &FeedId| {
            self.feeds
                .get(*id)
                .is_some_and(|feed| feed.reader == Some(which) && feed.positions.wants(partition, offset))
        };
        match slug {
            Some(slug) => found.extend(self.by_slug.get(slug).into_iter().flatten().copied().filter(wants)),
            None => found.extend(self.readers.view(which).feeds.iter().copied().filter(wants)),
        }
    }

    /// Whether any feed is full, so that [`Feeds::fill`] must be asked again.
    pub(crate) fn any_full(&self) -> bool {
        self.readers.any_full
    }

    /// Takes over whose lane or audience holds too much; `full` is told whether it did so until now.
    pub(crate) fn fill(&mut self, full: impl Fn(&Feed, bool) -> bool) {
        let mut changed = false;
        self.readers.any_full = false;
        for feed in self.feeds.values_mut() {
            let now = full(feed, feed.full);
            changed |= now != feed.full;
            feed.full = now;
            self.readers.any_full |= now;
        }
        if changed {
            self.serve();
        }
    }

    /// Finds a reader for whoever may be served and is not.
    pub(super) fn serve(&mut self) {
        let mut coming: Vec<_> = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.reader.is_none() && !feed.full && !feed.capped && !self.is_held(feed))
            .map(|(id, _)| id)
            .collect();
        if self.readers.live.feeds.is_empty() && !coming.is_empty() {
            self.start_live(&coming);
        }
        coming.retain(|id| !self.attach_if_reached(*id, Which::Live));
        self.shed();
        if self.readers.catch_up.idle && !coming.is_empty() {
            let full = self.readers.catch_up.feeds.iter().copied().collect::<Vec<_>>();
            self.rest(&full);
            self.readers.joining = false;
            for partition in 0..self.partitions {
                let from = coming.iter().filter_map(|id| self.feeds.get(*id));
                let from = from.map(|feed| feed.positions.read_from(number(partition))).min();
                let catch_up = &mut self.readers.catch_up;
                catch_up.awaited[partition].clear();
                catch_up.go(partition, from.unwrap_or(0));
            }
        }
        for id in coming {
            self.attach_if_reached(id, Which::CatchUp);
        }
        self.shed();
    }

    /// Live has no feed: it starts where the feeds that have read most go on, and where jobs began. Whoever has less is
    /// served by catch-up, unless it is so little that reading it again costs less than another client.
    fn start_live(&mut self, coming: &[FeedId]) {
        self.readers.joining = false;
        let catch_up = &self.readers.catch_up.feeds;
        let coming = || coming.iter().filter_map(|id| self.feeds.get(*id));
        let all = || coming().chain(catch_up.iter().filter_map(|id| self.feeds.get(*id)));
        let reached = |feed: &Feed, partition: i32| feed.positions.next(partition).max(feed.start(partition));
        let partitions = || (0..).take(self.partitions);
        let least: Vec<_> = partitions()
            .map(|partition| coming().map(|feed| feed.positions.read_from(partition)).min())
            .map(Option::unwrap_or_default)
            .collect();
        let mut from: Vec<_> = partitions()
            .map(|partition| all().map(|feed| reached(feed, partition)).max())
            .map(Option::unwrap_or_default)
            .collect();
        if catch_up.is_empty() {
            let again: i64 = from.iter().zip(&least).map(|(from, least)| from - least).sum();
            if again <= READ_AGAIN_MAX {
                from = least;
            }
        } else {
            let live = self.readers.live.read_to.iter();
            from.iter_mut()
                .zip(live)
                .for_each(|(from, live)| *from = (*from).max(*live));
        }
        for (partition, from) in from.into_iter().enumerate() {
            self.readers.live.go(partition, from);
        }
    }

    fn attach_if_reached(&mut self, id: FeedId, which: Which) -> bool {
        let reached = self
            .feeds
            .get(id)
            .is_some_and(|feed| self.readers.view(which).serves_from(feed));
        if reached {
            self.attach(id, which);
        }
        reached
    }

    fn attach(&mut self, id: FeedId, which: Which) {
        let Some(feed) = self.feeds.get_mut(id) else { return };
        let view = self.readers.view_mut(which);
        for (partition, awaited) in (0..).zip(&mut view.awaited) {
            awaited.extend(feed.positions.first_awaited(partition).map(|offset| (offset, id)));
        }
        feed.reader = Some(which);
        feed.resting = false;
        view.feeds.insert(id);
        self.dirty.insert(id);
    }

    /// Full feeds are read for no more while there are others; a reader that has no others rests.
    pub(super) fn shed(&mut self) {
        for which in Which::BOTH {
            let feeds = &self.readers.view(which).feeds;
            let full: Vec<_> = feeds.iter().copied().filter(|id| self.is_full(*id)).collect();
            let idle = full.len() == feeds.len();
            self.readers.view_mut(which).idle = idle;
            if !idle {
                self.rest(&full);
            }
        }
        self.readers.joining &= !self.readers.catch_up.idle;
    }

    fn is_full(&self, id: FeedId) -> bool {
        self.feeds.get(id).is_some_and(|feed| feed.full)
    }

    /// Feeds are left out for a while, and keep what they were handed.
    pub(super) fn rest(&mut self, ids: &[FeedId]) {
        for id in ids {
            self.leave(*id);
            if let Some(feed) = self.feeds.get_mut(*id) {
                feed.resting = true;
            }
        }
    }

    /// A feed leaves its reader, which has shown it everything so far.
    pub(super) fn leave(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.get_mut(id) else { return };
        let Some(which) = feed.reader.take() else { return };
        let view = self.readers.view_mut(which);
        for (partition, read_to) in (0..).zip(&view.read_to) {
            feed.positions.advance(partition, *read_to);
        }
        view.feeds.remove(&id);
        self.dirty.insert(id);
    }
}
