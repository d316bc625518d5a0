//! Which feeds have still to send again what they have omitted.

use std::sync::Arc;

use control::{ExportJob, Redrive};
use proto::export::v1::FeedProgress;

use super::{Feed, FeedId, Feeds};

/// How far a feed is with the redrives of its job.
#[derive(Debug, Default)]
pub(crate) struct Redriven {
    /// Number of the newest that it has gone through.
    number: u64,
    /// It is going through one, and was not detached since that began.
    is_going: bool,
}

impl Redriven {
    /// As it was written down. A new feed has nothing to send again.
    pub(super) fn restore(known: Option<&FeedProgress>, job: &ExportJob) -> Self {
        let newest = job.redrive.as_ref().map_or(0, |redrive| redrive.number);
        Self {
            number: known.map_or(newest, |known| known.redrive),
            is_going: false,
        }
    }

    /// See [`Redriven::number`].
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn detach(&mut self) {
        self.is_going = false;
    }
}

impl Feed {
    fn redrive(&self) -> Option<&Redrive> {
        let redrive = self.job.redrive.as_ref().filter(|_| self.removing.is_none());
        redrive.filter(|redrive| redrive.number > self.redriven.number)
    }
}

impl Feeds {
    /// A job that has something to send again, and its audiences that are served and have not done so.
    pub(crate) fn due_for_redrive(&self) -> Option<(Arc<ExportJob>, Redrive, Vec<FeedId>)> {
        let due = |feed: &Feed| feed.redrive().is_some() && !self.is_held(feed);
        let (_, first) = self.feeds.iter().find(|(_, feed)| due(feed))?;
        let of_job = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.job_name == first.job_name && due(feed));
        let ids = of_job.map(|(id, _)| id).collect();
        Some((Arc::clone(&first.job), first.redrive()?.clone(), ids))
    }

    pub(crate) fn begin_redrive(&mut self, ids: &[FeedId]) {
        for id in ids {
            if let Some(feed) = self.feeds.get_mut(*id) {
                feed.redriven.is_going = true;
            }
        }
    }

    /// Whether none of these feeds has ended or was detached since its redrive began.
    pub(crate) fn all_redrive(&self, ids: &[FeedId]) -> bool {
        let is_going = |id: &FeedId| self.feeds.get(*id).is_some_and(|feed| feed.redriven.is_going);
        ids.iter().all(is_going)
    }

    /// Everything is open or settled: it is done with the next progress.
    pub(crate) fn end_redrive(&mut self, ids: &[FeedId], number: u64) {
        for id in ids {
            if let Some(feed) = self.get_mut(*id) {
                feed.redriven = Redriven {
                    number,
                    is_going: false,
                };
            }
        }
    }
}
