//! Guards of jobs: before too many members of an audience are removed, they are counted, and the job is paused.

use std::time::Duration;

use super::{Origin, Workspace};
use crate::catalog::{Catalog, Standing};
use crate::clock::Time;
use crate::deliver::Deliverer;
use crate::feed::FeedId;
use crate::measure;
use crate::pipeline::Event;

/// Audiences that are counted at once.
const AUDIENCES_MAX: usize = 1_000;
/// How long counting may take.
const COUNT_MAX: Duration = Duration::from_secs(600);
/// Least time from one counting to the next one. Of the time at most a tenth is spent on it.
const APART_MIN: Duration = Duration::from_millis(100);

/// Whether members are being counted.
#[derive(Debug)]
pub(crate) struct Counting {
    /// Since when.
    since: Option<Time>,
    /// Not again before then.
    next: Time,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            since: None,
            next: Time::MIN,
        }
    }
}

/// What counting has brought: of each feed, if it could be told, how many members its audience had where it stood.
#[derive(Debug)]
pub(crate) struct Counted {
    feeds: Vec<FeedId>,
    result: Result<Option<Vec<u64>>, String>,
}

impl Workspace {
    /// Whether an exit may be handed on; if not, its feed stays before it.
    pub(crate) fn admit_exit(&mut self, origin: &Origin, written: Option<Time>, now: Time) -> bool {
        let admitted = self
            .feeds
            .admit_exit(origin.feed, origin.partition, origin.offset, written, now);
        if !admitted {
            self.abandon(&[origin.feed], now);
        }
        admitted
    }

    /// Counts the members of whichever audiences wait for that, if nobody is at it already.
    pub(crate) fn start_counting(&mut self, catalog: &Catalog, deliverer: &Deliverer, now: Time) {
        if self.counting.since.is_some() || now < self.counting.next {
            return;
        }
        let to_count = self.feeds.to_count();
        if to_count.is_empty() {
            return;
        }
        self.counting.since = Some(now);
        let standing = to_count.into_iter().take(AUDIENCES_MAX);
        let (feeds, standing): (Vec<_>, Vec<_>) =
            standing.map(|(id, slug, next)| (id, Standing { slug, next })).unzip();
        let (catalog, account, events) = (catalog.clone(), self.account, deliverer.events.clone());
        let gone = events.clone();
        let count = async move {
            let counting = catalog.members_at(account, standing, COUNT_MAX, move || !gone.is_closed());
            let result = tokio::select! {
                // The workspace is not served any more.
                () = events.closed() => return,
                result = counting => result.map_err(|error| runtime::error::chain(&error)),
            };
            drop(events.send(Event::Counted(Counted { feeds, result })).await);
        };
        deliverer.tasks.spawn_on(count, &deliverer.runtime);
    }

    /// Members have been counted, or not.
    pub(crate) fn counted(&mut self, counted: Counted, now: Time) {
        let took = self
            .counting
            .since
            .take()
            .map(|since| now.since(since))
            .unwrap_or_default();
        self.counting.next = now + (9 * took).max(APART_MIN);
        let result = if counted.result.is_ok() { "counted" } else { "failed" };
        metrics::counter!(measure::GUARD_COUNTS_TOTAL, "workspace" => self.key.clone(), "result" => result)
            .increment(1);
        let members = match counted.result {
            Ok(Some(members)) => members.into_iter().map(Ok).collect(),
            Ok(None) => {
                let problem = format!(
                    "the topic could not be read within {} minutes",
                    COUNT_MAX.as_secs() / 60
                );
                vec![Err(problem); counted.feeds.len()]
            }
            Err(problem) => {
                tracing::warn!("the members of audiences are counted again: {problem}");
                return;
            }
        };
        for (id, members) in counted.feeds.into_iter().zip(members) {
            let members = members.as_ref().map(|members| *members).map_err(String::as_str);
            let Some((feeds, reason)) = self.feeds.counted(id, members, now) else {
                continue;
            };
            let job = feeds.first().and_then(|id| self.feeds.get(*id));
            let job = job.map(|feed| feed.job_name.as_str()).unwrap_or_default();
            tracing::error!("{job}: {reason}");
            metrics::counter!(measure::GUARD_PAUSES_TOTAL, "workspace" => self.key.clone()).increment(1);
            self.abandon(&feeds, now);
        }
        self.touch();
    }
}
