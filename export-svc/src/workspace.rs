//! Everything that one Braze workspace knows, in one place and on one thread: feeds, batch, order, budget.
//!
//! The verbs are in files of their own – `consume` (records in), `deliver` (requests out), `settle` (outcomes, progress) –
//! and the loop that drives them is `pipeline`.

mod count;
mod guard;
mod layout;
mod redrive;
mod removal;
mod show;
mod standing;
mod taken;
mod trouble;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kafka::Topics;
use model::AccountNumber;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use proto::export::v1::WorkspaceProgress;

use self::count::Gauges;
pub(crate) use self::count::Tally;
pub(crate) use self::guard::{Counted, Counting};
pub(crate) use self::layout::Layout;
pub(crate) use self::taken::{Request, Taken};
use crate::batch::{Backoff, Batch, BatchLimits, KEY_VERSION, RequestId};
use crate::budget::Budget;
use crate::clock::Time;
use crate::deliver::{LINKS_MAX, Sent, ToKeep};
use crate::engine::EngineConfig;
use crate::feed::{FeedId, Feeds, JobSet, Which};
use crate::order::{Order, OrderLimits, Unsettled};
use crate::positions::Part;
use crate::redrive::Run;
use crate::settle::{self, NOT_BEFORE_MAX, ProgressRecords, Restored};

/// What settles a change: where it came from, and what is kept if Braze rejects it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) feed: FeedId,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) part: Part,
    /// How often the feed had been moved by then.
    pub(crate) moves: u32,
    /// When the record was written.
    pub(crate) written: Option<Time>,
    pub(crate) payload: Box<[u8]>,
    /// Span of whoever published the change, if it is sampled.
    pub(crate) trace: Option<Box<SpanContext>>,
}

impl Origin {
    /// What is to be settled.
    pub(crate) fn place(&self) -> Place {
        Place {
            feed: self.feed,
            partition: self.partition,
            offset: self.offset,
            part: self.part,
            moves: self.moves,
            contested: false,
        }
    }

    /// The span of whoever published the change, or none.
    pub(crate) fn context(&self) -> Context {
        let span = self.trace.as_deref().cloned();
        span.map_or_else(Context::new, |span| Context::new().with_remote_span_context(span))
    }
}

/// A record of a feed, or a part of it, to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) feed: FeedId,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) part: Part,
    /// How often the feed had been moved by then.
    pub(crate) moves: u32,
    /// It met another profile's change of the same user.
    pub(crate) contested: bool,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Added,
    Removed,
    Omitted,
    Rejected,
}

/// The predecessor did not release the workspace, or nobody knows whom it names: what it sent last may still be applied.
#[derive(Debug)]
pub(crate) struct Takeover {
    /// No request before then.
    pub(crate) send_from: Time,
    /// Until when whatever it sent may be applied.
    pub(crate) doubt_until: Time,
    /// Ends of the partitions at `send_from`; what lies below may have been sent. Before they are known, everything may.
    pub(crate) ends: Option<Vec<i64>>,
}

/// One Braze workspace.
pub(crate) struct Workspace {
    pub(crate) config: EngineConfig,
    pub(crate) key: String,
    pub(crate) account: AccountNumber,
    pub(crate) topics: Topics,
    pub(crate) layout: Layout,
    pub(crate) progress_partition: i32,
    pub(crate) feeds: Feeds,
    pub(crate) batch: Batch<Origin>,
    pub(crate) order: Order,
    pub(crate) budget: Budget,
    pub(crate) takeover: Option<Takeover>,
    /// Requests in flight.
    pub(crate) in_flight: HashMap<RequestId, Sent>,
    pub(crate) taken: Taken,
    /// Records for the rejected topic that this round of reading has brought.
    pub(crate) to_keep: ToKeep,
    /// Records on their way to the rejected topic, as tasks.
    pub(crate) keeping: usize,
    /// Why the rejected topic does not take them.
    pub(crate) not_kept: Option<String>,
    /// Braze takes no more objects in a request, whatever the jobs say.
    pub(crate) objects_max_learnt: usize,
    pub(crate) ends: Vec<i64>,
    /// When these were asked for.
    ends_asked: Time,
    /// Records in a row that could not be used, by partition.
    pub(crate) unusable: HashMap<i32, u32>,
    pub(crate) counting: Counting,
    /// Why nothing can be read for now.
    pub(crate) unread: Option<String>,
    pub(crate) tally: Tally,
    gauges: Gauges,
    pub(crate) wanting: Vec<FeedId>,
    /// How many links the span of a request may have: none if spans go nowhere.
    pub(crate) links_max: usize,
    /// Those that the next one has still room for.
    pub(crate) links_left: usize,
    /// Tombstones of the transaction that is being written.
    tombstoned: Vec<String>,
    /// What is being sent again; how many times that was begun; and not again before then.
    pub(crate) redrive: Option<Run>,
    redrives: u64,
    redrive_from: Time,
    /// Something that a status shows has changed.
    touched: bool,
    /// Jobs that have a status.
    shown: HashSet<String>,
}

/// What a [`Workspace`] starts from.
pub(crate) struct Beginning {
    pub(crate) config: EngineConfig,
    pub(crate) key: String,
    pub(crate) account: AccountNumber,
    pub(crate) topics: Topics,
    pub(crate) layout: Layout,
    pub(crate) restored: Restored,
    /// Spans go somewhere.
    pub(crate) traced: bool,
}

impl Workspace {
    /// Takes over what a predecessor wrote. `now` is when `init_transactions` had returned, which fenced it.
    pub(crate) fn new(beginning: Beginning, now: Time) -> Self {
        let Beginning {
            config,
            key,
            account,
            topics,
            layout,
            restored,
            traced,
        } = beginning;
        let links_max = if traced { LINKS_MAX } else { 0 };
        let mut order = Order::new(OrderLimits {
            settle_gap: config.settle_gap,
            doubt: config.unknown_gap(),
            entries_max: config.not_before_max,
            doubts_max: NOT_BEFORE_MAX.min(config.not_before_max),
        });
        let predecessor = restored.workspace;
        // The predecessor may have gone by a longer lease than ours, and by longer waits.
        let theirs = |of: fn(&WorkspaceProgress) -> Option<prost_types::Duration>| {
            let written = predecessor.as_ref().and_then(of);
            Duration::try_from(written.unwrap_or_default()).unwrap_or_default()
        };
        let lease = config.lease.max(theirs(|progress| progress.lease));
        let longest = config.longest_wait().max(theirs(|progress| progress.longest_wait));
        for unsettled in predecessor.iter().flat_map(|progress| waits(progress, longest, now)) {
            order.restore(unsettled);
        }
        order.expire(now);
        let takeover = predecessor.and_then(|progress| {
            let readable = progress.key_version == KEY_VERSION;
            let takeover = Takeover {
                send_from: now + if readable { lease } else { longest },
                doubt_until: now + longest,
                ends: None,
            };
            (!readable || !progress.released).then_some(takeover)
        });
        Self {
            batch: Batch::new(BatchLimits {
                backoff: Backoff {
                    min: config.backoff_min,
                    max: config.backoff_max,
                },
                objects_max: braze::OBJECTS_MAX,
                body_bytes_max: config.body_bytes_max,
                pending_max: config.pending_max,
                pending_bytes_max: config.pending_bytes_max,
            }),
            budget: Budget::new(config.requests_per_second, config.backoff_min, config.sleep_max, now),
            feeds: Feeds::new(layout.partitions, restored.feeds),
            progress_partition: restored.partition,
            in_flight: HashMap::new(),
            taken: Taken::default(),
            to_keep: ToKeep::default(),
            keeping: 0,
            not_kept: None,
            objects_max_learnt: braze::OBJECTS_MAX,
            ends: Vec::new(),
            ends_asked: Time::MIN,
            unusable: HashMap::new(),
            counting: Counting::default(),
            unread: None,
            tally: Tally::default(),
            gauges: Gauges::default(),
            wanting: Vec::new(),
            links_max,
            links_left: links_max,
            tombstoned: Vec::new(),
            redrive: None,
            redrives: 0,
            redrive_from: Time::MIN,
            touched: true,
            shown: HashSet::new(),
            config,
            key,
            account,
            topics,
            layout,
            order,
            takeover,
        }
    }

    /// Takes over what is wanted now.
    pub(crate) fn apply(&mut self, wanted: &JobSet, now: Time) {
        self.feeds.in_doubt = self.takeover.is_some();
        self.feeds.now = now;
        let ended = self.feeds.apply(&self.key, wanted);
        self.abandon(&ended, now);
        self.bounce(now);
        self.feeds.let_go();
        self.reset(now);
        self.limit(wanted.budget, now);
        let with_work = self.feeds.iter().filter(|feed| !feed.has_removed());
        let with_work: HashSet<&str> = with_work.map(|feed| feed.job.id.as_str()).collect();
        let is_at_work = |job: &&Arc<control::ExportJob>| !job.killed || with_work.contains(job.id.as_str());
        let at_work = wanted.jobs.iter().filter(is_at_work);
        let objects_max = at_work.map(|job| usize::try_from(job.batch_updates_max).unwrap_or(usize::MAX));
        self.batch
            .set_objects_max(objects_max.fold(self.objects_max_learnt, usize::min));
        self.touched = true;
    }

    /// Lets feeds go on elsewhere if somebody wants that.
    fn reset(&mut self, now: Time) {
        let moved = self.feeds.reset();
        let gone = moved.iter().filter_map(|id| self.feeds.get(*id));
        for feed in gone.filter(|feed| feed.resets().next().is_none()) {
            tracing::info!(
                reset = feed.reset,
                "{}, audience {} goes on elsewhere",
                feed.job_name,
                feed.slug
            );
        }
        self.abandon(&moved, now);
    }

    /// Looks whom the clock holds, and whom not any more.
    pub(crate) fn keep_time(&mut self, now: Time) {
        if self.feeds.next_turn().is_some_and(|turn| turn <= now) {
            let held = self.feeds.keep_time(now);
            self.abandon(&held, now);
            self.touched = true;
        }
    }

    /// What these feeds have pending is not sent.
    fn abandon(&mut self, feeds: &[FeedId], now: Time) {
        if !feeds.is_empty() {
            let feeds: HashSet<_> = feeds.iter().collect();
            self.batch
                .abandon(|origin| feeds.contains(&origin.feed), &self.order, now);
            self.touched = true;
        }
    }

    /// A record of a feed is settled, or a part of it. Only the first time counts, and of several parts the last one.
    pub(crate) fn settle(&mut self, place: Place, fate: Fate) {
        // A feed that has ended has nobody to tell.
        let Some(feed) = self.feeds.get_mut(place.feed) else {
            return;
        };
        // From before a reset: it is handed again, and what counts is what becomes of it then.
        if place.moves != feed.moves {
            return;
        }
        if !feed.positions.settle_part(place.partition, place.offset, place.part) {
            return;
        }
        self.touched = true;
        feed.counters.identity_conflicts += u64::from(place.contested);
        self.tally.contested += u64::from(place.contested);
        if !place.part.counts() {
            if !feed.positions.is_open(place.partition, place.offset) {
                self.feeds.count_add(place.feed, place.partition, place.offset, false);
            }
            return;
        }
        let (counter, tally) = match fate {
            Fate::Added => (&mut feed.counters.added, &mut self.tally.accepted),
            Fate::Removed => (&mut feed.counters.removed, &mut self.tally.accepted),
            Fate::Omitted => (&mut feed.counters.omitted, &mut self.tally.omitted),
            Fate::Rejected => (&mut feed.counters.rejected, &mut self.tally.rejected),
        };
        *counter += 1;
        *tally += 1;
        self.feeds
            .count_add(place.feed, place.partition, place.offset, fate == Fate::Added);
    }

    /// Looks whose changes fill the batch, and leaves them out while there are others to read for.
    pub(crate) fn make_room(&mut self) {
        let batch = &self.batch;
        if batch.is_half_full() || batch.has_too_many_edges_of_any() || self.feeds.any_full() {
            self.feeds.fill(|feed, until_now| {
                batch.is_crowded_by(feed.lane, until_now) || batch.has_too_many_edges(&feed.attribute, &feed.slug)
            });
        }
    }

    /// Whether a reader may read on. After a take-over each record may add to what is in doubt: half of the room is left to
    /// the requests in flight.
    pub(crate) fn may_read(&self, which: Which) -> bool {
        self.feeds.readable(which)
            && !self.batch.is_full()
            && self.keeping < self.config.in_flight_max
            && (self.takeover.is_none() || !self.order.is_full(NOT_BEFORE_MAX / 2))
    }

    /// A reader has come to the end of a partition, which is before `offset`, if that is known.
    pub(crate) fn ended(&mut self, which: Which, partition: i32, offset: Option<i64>) {
        if let Some(offset) = offset {
            self.feeds.passed(which, partition, offset);
        }
        self.feeds.ended(which, partition);
        self.feeds.join();
    }

    /// The next progress transaction. `last`: the workspace is being left, and released if nothing is in flight, no predecessor
    /// left anything in doubt, and what must wait fits into the record.
    pub(crate) fn progress(&mut self, last: bool, now: Time) -> Vec<kafka::RecordOut> {
        self.redrive_is_written();
        let topic = self.topics.export_progress();
        let records = ProgressRecords {
            topic: &topic,
            partition: self.progress_partition,
            workspace: &self.key,
        };
        let unsettled = if last {
            self.order.unexpired(now).collect()
        } else {
            self.order.doubts(now)
        };
        let released =
            last && self.in_flight.is_empty() && self.takeover.is_none() && unsettled.len() <= NOT_BEFORE_MAX;
        let unsettled = if last && !released {
            self.order.doubts(now)
        } else {
            unsettled
        };
        // A successor does not find these among what is unsettled: their feeds may have ended.
        let until = now + self.config.attempt_max() + self.config.doubt;
        let abandoned = self
            .batch
            .abandoned()
            .flat_map(|(keys, add)| keys.map(|key| (key, add)));
        let abandoned = abandoned.map(|(key, add)| Unsettled { key, add, until });
        let progress = WorkspaceProgress {
            topic: self.layout.topic.clone(),
            partitions: u32::try_from(self.layout.partitions).unwrap_or(u32::MAX),
            cluster_id: self.layout.cluster_id.clone(),
            not_before: unsettled
                .into_iter()
                .chain(abandoned)
                .map(|unsettled| settle::to_wire(&unsettled))
                .collect(),
            released,
            write_time: Some(settle::timestamp(now)),
            lease: prost_types::Duration::try_from(self.config.lease).ok(),
            longest_wait: prost_types::Duration::try_from(self.config.longest_wait()).ok(),
            key_version: KEY_VERSION,
        };
        let mut written = vec![records.workspace(&progress)];
        // First: an audience that has left its job may have come back.
        self.tombstoned = std::mem::take(&mut self.feeds.tombstones).into_iter().collect();
        written.extend(self.tombstoned.iter().map(|key| records.tombstone(key)));
        for (key, mut progress) in self.feeds.written(&self.key, last, &self.ends) {
            progress.requests_per_second = self.budget.rate();
            written.push(records.feed(&key, &progress));
        }
        written
    }

    /// The last transaction was aborted: what it held is written with the next one.
    pub(crate) fn progress_aborted(&mut self) {
        self.feeds.tombstones.extend(self.tombstoned.drain(..));
        self.feeds.all_dirty();
        self.redrive_was_written(false);
    }

    /// The ends of the partitions as they were at `asked` or later.
    pub(crate) fn measured(&mut self, ends: Vec<i64>, asked: Time) {
        if let Some(takeover) = &mut self.takeover
            && takeover.ends.is_none()
            && asked >= takeover.send_from
        {
            takeover.ends = Some(ends.clone());
        }
        (self.ends, self.ends_asked) = (ends, asked);
        self.feeds.remove_until(&self.ends, asked);
        self.feeds.observe_pace(asked);
        self.touched = true;
    }

    /// Marks statuses as changed.
    pub(crate) fn touch(&mut self) {
        self.touched = true;
    }
}

/// What a predecessor wrote down must wait, on our clock: its own may differ from ours, so what counts is how long each wait
/// had still to go when it was written, which was before `fenced_at`. None waits longer than `longest`.
fn waits(progress: &WorkspaceProgress, longest: Duration, fenced_at: Time) -> impl Iterator<Item = Unsettled> {
    let written = progress.write_time.map(settle::from_timestamp);
    progress.not_before.iter().map(settle::from_wire).map(move |unsettled| {
        let left = written.map_or(longest, |written| unsettled.until.since(written).min(longest));
        Unsettled {
            until: fenced_at + left,
            ..unsettled
        }
    })
}

#[cfg(test)]
mod tests;
