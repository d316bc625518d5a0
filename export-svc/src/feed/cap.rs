//! How many enters a job may send in a while.
//!
//! Before an enter is handed to a feed whose job has a cap, it is counted: those that Braze has accepted in this period, and those on
//! their way. If there are as many as there may be, all feeds of the job rest before the record until the period is over, or until
//! nothing is on its way any more and Braze has not accepted as many: what they were handed goes on. An enter that is read again is not counted again. What was accepted is part of progress, of each feed by
//! itself; what is on its way is read again after a crash.

use std::collections::BTreeSet;

use control::UserCap;
use proto::export::v1::FeedProgress;

use super::{Feed, FeedId, Feeds};
use crate::batch::LaneId;
use crate::clock::Time;
use crate::hash::Map;
use crate::settle;

/// Enters that Braze has accepted from a feed in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Adds {
    period: Time,
    sent: u64,
}

impl Adds {
    /// As they were written down.
    pub(super) fn restore(progress: &FeedProgress) -> Self {
        Self {
            period: progress.period_start.map(settle::from_timestamp).unwrap_or_default(),
            sent: progress.period_adds,
        }
    }

    /// Writes them down.
    pub(super) fn write(self, progress: &mut FeedProgress) {
        progress.period_start = (self.sent > 0).then(|| settle::timestamp(self.period));
        progress.period_adds = self.sent;
    }
}

/// The period of a job that is under way.
#[derive(Debug)]
struct Cap {
    rule: UserCap,
    begin: Time,
    end: Time,
    /// Enters of all feeds that Braze has accepted in it.
    sent: u64,
    /// Enters that were handed to a feed and are not settled. Bounded by the cap, and by what may be pending.
    pending: BTreeSet<(FeedId, i32, i64)>,
    /// Why no more are handed.
    full: Option<String>,
}

/// Of the jobs that have a cap.
#[derive(Debug, Default)]
pub(super) struct Caps(Map<LaneId, Cap>);

impl Caps {
    /// What a feed was handed is not settled any more, or for nobody.
    pub(super) fn forget(&mut self, id: FeedId) {
        for cap in self.0.values_mut() {
            cap.pending.retain(|(feed, ..)| *feed != id);
        }
    }
}

impl Feeds {
    /// Periods that are over, and caps that are others now, count anew. Gives back when the next one is over.
    pub(super) fn look_at_caps(&mut self) -> Option<Time> {
        let mut before = std::mem::take(&mut self.caps.0);
        let caps = &mut self.caps.0;
        for feed in self.feeds.values() {
            let Some(rule) = feed.job.options.user_cap else {
                continue;
            };
            let cap = caps.entry(feed.lane).or_insert_with(|| {
                let (begin, end) = feed.job.period(rule, self.now.as_millis());
                let (begin, end) = (Time::from_millis(begin), Time::from_millis(end));
                let before = before.remove(&feed.lane);
                let same = |cap: &Cap| cap.rule == rule && cap.begin == begin;
                let full = before.as_ref().filter(|cap| same(cap)).and_then(|cap| cap.full.clone());
                let mut pending = before.map(|cap| cap.pending).unwrap_or_default();
                pending.retain(|(id, partition, offset)| {
                    let awaited = self.feeds.get(*id).filter(|feed| feed.fault.is_none());
                    awaited.is_some_and(|feed| feed.positions.is_open(*partition, *offset))
                });
                Cap {
                    rule,
                    begin,
                    end,
                    sent: 0,
                    pending,
                    full,
                }
            });
            if feed.adds.period == cap.begin {
                cap.sent += feed.adds.sent;
            }
        }
        self.show_caps();
        self.caps.0.values().map(|cap| cap.end).min()
    }

    /// What these feeds had on their way is read again, and was counted: their jobs are looked at anew.
    pub(super) fn reopen_caps(&mut self, ids: &[FeedId]) {
        for id in ids {
            let lane = self.feeds.get(*id).map(|feed| feed.lane);
            if let Some(cap) = lane.and_then(|lane| self.caps.0.get_mut(&lane)) {
                cap.full = None;
            }
        }
        self.show_caps();
    }

    fn show_caps(&mut self) {
        for (id, feed) in self.feeds.iter_mut() {
            let full = self.caps.0.get(&feed.lane).is_some_and(|cap| cap.full.is_some());
            // Whoever removes sends no enters.
            let capped = full && feed.removing.is_none();
            if capped != feed.capped {
                feed.capped = capped;
                self.dirty.insert(id);
            }
        }
    }

    /// Whether a feed may be handed this enter. If not, the feeds of its job rest until the period is over.
    pub(crate) fn may_add(&mut self, id: FeedId, partition: i32, offset: i64, now: Time) -> bool {
        let Some(lane) = self.feeds.get(id).map(|feed| feed.lane) else {
            return true;
        };
        if self.caps.0.get(&lane).is_some_and(|cap| cap.end <= now) {
            self.now = now;
            self.look_at_clock();
        }
        let Some(cap) = self.caps.0.get_mut(&lane) else {
            return true;
        };
        let pending = u64::try_from(cap.pending.len()).unwrap_or(u64::MAX);
        let place = (id, partition, offset);
        if cap.pending.contains(&place) || cap.sent.saturating_add(pending) < cap.rule.adds_max {
            cap.pending.insert(place);
            return true;
        }
        cap.full = Some(format!(
            "its user cap holds its changes until {}: {} enters are sent or on their way since {}",
            said(cap.end),
            cap.rule.adds_max,
            said(cap.begin)
        ));
        let of_job = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.lane == lane && feed.is_served() && feed.removing.is_none());
        let of_job: Vec<_> = of_job.map(|(id, _)| id).collect();
        self.show_caps();
        self.rest(&of_job);
        self.serve();
        false
    }

    /// A change of a feed is settled. `added`: Braze has accepted it, and it was an enter.
    pub(crate) fn count_add(&mut self, id: FeedId, partition: i32, offset: i64, added: bool) {
        let Some(feed) = self.feeds.get_mut(id) else { return };
        let Some(cap) = self.caps.0.get_mut(&feed.lane) else {
            return;
        };
        cap.pending.remove(&(id, partition, offset));
        if added {
            if feed.adds.period != cap.begin {
                feed.adds = Adds {
                    period: cap.begin,
                    sent: 0,
                };
            }
            feed.adds.sent += 1;
            cap.sent += 1;
        }
        // Not each of those on their way has become an enter at Braze: there is room for others.
        if cap.full.is_some() && cap.pending.is_empty() && cap.sent < cap.rule.adds_max {
            cap.full = None;
            self.show_caps();
            self.serve();
        }
    }

    /// Why no more enters of a feed's job may be sent for now.
    pub(super) fn capped(&self, feed: &Feed) -> Option<&str> {
        self.caps.0.get(&feed.lane).filter(|_| feed.capped)?.full.as_deref()
    }

    /// Until when that is so.
    pub(super) fn capped_until(&self, feed: &Feed) -> Option<Time> {
        let cap = self.caps.0.get(&feed.lane)?;
        feed.capped.then_some(cap.end)
    }
}

/// As people read it.
fn said(time: Time) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis());
    time.map_or_else(|_| "ever".to_owned(), |time| time.to_string())
}
