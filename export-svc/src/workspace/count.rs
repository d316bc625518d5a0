//! What is counted, and told as metrics once in a while.

use std::collections::{BTreeMap, HashSet};

use metrics::Gauge;
use proto::export::v1::ExportJobState;

use super::Workspace;
use crate::clock::Time;
use crate::feed::{Feed, Which};
use crate::measure;

/// What is folded into metrics once in a while.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) omitted: u64,
    pub(crate) rejected: u64,
    pub(crate) contested: u64,
    pub(crate) wanted: u64,
    pub(crate) unwanted: u64,
    pub(crate) tombstones: u64,
    pub(crate) unreadable: u64,
    readers: [ReaderTally; 2],
}

/// What one reader has done.
#[derive(Debug, Default)]
struct ReaderTally {
    records: u64,
    bytes: u64,
    seeks: u64,
}

impl Tally {
    /// A reader has brought a record of so many bytes.
    pub(crate) fn read(&mut self, which: Which, bytes: usize) {
        let reader = &mut self.readers[which as usize];
        reader.records += 1;
        reader.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// A reader goes elsewhere.
    pub(crate) fn sought(&mut self, which: Which) {
        self.readers[which as usize].seeks += 1;
    }
}

/// The gauges that show a workspace. They are 0 from when it is given up: whoever serves it now shows it.
#[derive(Default)]
pub(super) struct Gauges(Vec<Gauge>);

impl Drop for Gauges {
    fn drop(&mut self) {
        for gauge in &self.0 {
            gauge.set(0.0);
        }
    }
}

impl Workspace {
    /// Folds what was counted into metrics.
    pub(crate) fn count(&mut self, now: Time) {
        self.feeds.end_first_passes();
        self.observe_oldest(now);
        let tally = std::mem::take(&mut self.tally);
        for (outcome, count) in [
            ("accepted", tally.accepted),
            ("omitted", tally.omitted),
            ("rejected", tally.rejected),
        ] {
            metrics::counter!(measure::CHANGES_TOTAL, "outcome" => outcome).increment(count);
        }
        metrics::counter!(measure::IDENTITY_CONFLICTS_TOTAL).increment(tally.contested);
        for (kind, count) in [
            ("wanted", tally.wanted),
            ("unwanted", tally.unwanted),
            ("tombstone", tally.tombstones),
            ("unreadable", tally.unreadable),
        ] {
            metrics::counter!(measure::RECORDS_TOTAL, "kind" => kind).increment(count);
        }
        for (which, tally) in Which::BOTH.into_iter().zip(tally.readers) {
            for (name, count) in [
                (measure::READER_RECORDS_TOTAL, tally.records),
                (measure::READER_BYTES_TOTAL, tally.bytes),
                (measure::READER_SEEKS_TOTAL, tally.seeks),
            ] {
                metrics::counter!(name, "workspace" => self.key.clone(), "reader" => which.name()).increment(count);
            }
        }
        let gauges = self.gauges(now).into_iter().map(|(gauge, value)| {
            gauge.set(value);
            gauge
        });
        self.gauges.0 = gauges.collect();
    }

    /// Looks since when the oldest change of each feed has waited.
    fn observe_oldest(&mut self, now: Time) {
        let mut pending = BTreeMap::new();
        for origin in self.batch.pending_origins() {
            if let Some(written) = origin.written {
                let oldest = pending.entry(origin.feed).or_insert(written);
                *oldest = written.min(*oldest);
            }
        }
        let changed = self.feeds.observe_oldest(&pending, &self.ends, self.ends_asked, now);
        if changed {
            self.touch();
        }
    }

    /// What the workspace is like now, as gauges are to show it.
    fn gauges(&self, now: Time) -> Vec<(Gauge, f64)> {
        let unread = |(partition, end): (usize, &i64)| {
            let read_to = i32::try_from(partition)
                .ok()
                .map(|partition| self.feeds.read_to(partition));
            u64::try_from(end - read_to.unwrap_or(0)).unwrap_or(0)
        };
        let lag: u64 = self.ends.iter().enumerate().map(unread).sum();
        let sleeping: HashSet<_> = self
            .feeds
            .iter()
            .filter(|feed| self.feeds.condition(feed).0 == ExportJobState::Sleeping && !self.feeds.is_held_back(feed))
            .map(|feed| &feed.job_name)
            .collect();
        // Whoever paused a job, or lets the clock or a guard hold it, knows that its changes wait.
        let is_meant_to_wait = |feed: &Feed| {
            let state = self.feeds.condition(feed).0;
            matches!(state, ExportJobState::Paused | ExportJobState::Completed) || self.feeds.is_held_back(feed)
        };
        let oldest = self.feeds.iter().filter(|feed| !is_meant_to_wait(feed));
        let oldest = oldest.filter_map(|feed| Some(now.since(feed.oldest()?))).max();
        let key = || self.key.clone();
        let mut gauges = Vec::new();
        for (name, value) in [
            (measure::PENDING, self.batch.pending() as f64),
            (measure::IN_FLIGHT, self.batch.in_flight() as f64),
            (measure::NOT_BEFORE, self.order.len() as f64),
            (measure::LAG, lag as f64),
            (measure::SLEEPING_JOBS, sleeping.len() as f64),
            (measure::OLDEST_SECONDS, oldest.unwrap_or_default().as_secs_f64()),
        ] {
            gauges.push((metrics::gauge!(name, "workspace" => key()), value));
        }
        for which in Which::BOTH {
            for (name, value) in [
                (measure::READER_LAG, self.feeds.reader_lag(which, &self.ends) as f64),
                (measure::READER_FEEDS, self.feeds.served_by(which) as f64),
            ] {
                let gauge = metrics::gauge!(name, "workspace" => key(), "reader" => which.name());
                gauges.push((gauge, value));
            }
        }
        let reasons = ["fault", "paused", "failed", "held", "sleeping", "full", "guarded"];
        let mut left_out = reasons.map(|reason| (reason, 0));
        for feed in self
            .feeds
            .iter()
            .filter(|feed| !feed.is_served() && !feed.has_removed())
        {
            let reason = match self.feeds.condition(feed).0 {
                ExportJobState::Fault => 0,
                ExportJobState::Paused if feed.guard.held().is_some() => 6,
                ExportJobState::Paused => 1,
                ExportJobState::Failed => 2,
                _ if self.feeds.is_held_back(feed) => 3,
                ExportJobState::Sleeping => 4,
                _ => 5,
            };
            left_out[reason].1 += 1;
        }
        for (reason, feeds) in left_out {
            let gauge = metrics::gauge!(measure::FEEDS_LEFT_OUT, "workspace" => key(), "reason" => reason);
            gauges.push((gauge, f64::from(feeds)));
        }
        gauges
    }
}
