//! How the jobs fare, for whoever asks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proto::export::v1::ExportJobState;

use super::Workspace;
use crate::clock::Time;
use crate::engine::{JobStatus, Statuses, severity, sum};

impl Workspace {
    /// Shows the jobs' statuses to whoever asks, if they have changed.
    pub(crate) fn show(&mut self, statuses: &Statuses, now: Time) {
        if !std::mem::take(&mut self.touched) {
            return;
        }
        self.feeds.observe_caught_up(&self.ends);
        let mut jobs: BTreeMap<&str, JobStatus> = BTreeMap::new();
        for feed in self.feeds.iter() {
            if let Some(removing) = self.removal_status(feed) {
                let status = jobs.entry(&feed.job_name).or_insert_with(JobStatus::of_removals);
                *status = std::mem::take(status).removing(removing);
                continue;
            }
            let (state, reason) = match &self.unread {
                Some(reason) => (ExportJobState::Fault, Some(reason.as_str())),
                None => self.feeds.condition(feed),
            };
            let status = jobs.entry(&feed.job_name).or_insert_with(|| JobStatus {
                state,
                reason: reason.unwrap_or_default().to_owned(),
                reset: feed.reset,
                redrive: feed.redriven.number(),
                bounces: feed.trouble.bounces(),
                confirms: feed.guard.confirms(),
                ..JobStatus::default()
            });
            // Its audiences are read together.
            status.lag = status.lag.max(self.feeds.lag(feed, &self.ends));
            status.oldest = status.oldest.into_iter().chain(feed.oldest()).min();
            status.unread_before_start = status.unread_before_start.max(self.feeds.left_of_pass(feed));
            status.estimate = status.estimate.max(feed.pace.estimate());
            status.reset = status.reset.min(feed.reset);
            status.redrive = status.redrive.min(feed.redriven.number());
            status.bounces = status.bounces.min(feed.trouble.bounces());
            status.guarded |= feed.guard.held().is_some();
            status.confirms = status.confirms.min(feed.guard.confirms());
            let resumes = self.feeds.resumes(feed);
            let resumes = resumes.and_then(|time| Timestamp::from_millisecond(time.as_millis()).ok());
            status.resumes = status.resumes.max(resumes);
            if severity(state) > severity(status.state) {
                (status.state, status.reason) = (state, reason.unwrap_or_default().to_owned());
            }
            status.counters = sum(status.counters, feed.counters);
            status.synced = status.synced.into_iter().chain([feed.is_synced()]).min();
            status.pending += u64::try_from(feed.positions.open_len()).unwrap_or(u64::MAX);
        }
        for status in jobs.values_mut() {
            status.requests_per_second = self.budget.rate();
            if let Some(not_kept) = self.not_kept.as_ref().filter(|_| status.reason.is_empty()) {
                status.reason.clone_from(not_kept);
            }
        }
        if let Some(run) = &self.redrive
            && let Some(status) = jobs.get_mut(run.job.as_str())
        {
            status.pending += u64::try_from(run.found.len()).unwrap_or(u64::MAX);
        }
        let shown = jobs.keys().map(|job| (*job).to_owned()).collect();
        for (job, status) in jobs {
            statuses.set(job, status, now);
        }
        for gone in std::mem::replace(&mut self.shown, shown).difference(&self.shown) {
            statuses.remove(gone);
        }
    }
}
