//! Guards of jobs: before too many members of an audience are removed, they are counted, and the job is paused.

use std::collections::HashSet;
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
/// How long counting that failed is taken to have lasted.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Least time from one counting to the next one. Of the time at most a tenth is spent on it.
const APART_MIN: Duration = Duration::from_millis(100);

/// Whether members are being counted.
#[derive(Debug)]
pub(crate) struct Counting {
    now: bool,
    /// Not again before then.
    next: Time,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            now: false,
            next: Time::MIN,
        }
    }
}

/// What counting has brought: of each feed, if it could be told, how many members its audience had where it stood.
#[derive(Debug)]
pub(crate) struct Counted {
    feeds: Vec<(FeedId, u32)>,
    /// And how long that has taken.
    result: Result<(Option<Vec<u64>>, Duration), String>,
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
        if self.counting.now || now < self.counting.next {
            return;
        }
        let to_count = self.feeds.to_count();
        if to_count.is_empty() {
            return;
        }
        self.counting.now = true;
        let (feeds, standing) = at_once(to_count);
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
        self.counting.now = false;
        let took = counted.result.as_ref().map(|(_, took)| *took);
        self.counting.next = now + (9 * took.unwrap_or(AGAIN_AFTER)).max(APART_MIN);
        let result = if counted.result.is_ok() { "counted" } else { "failed" };
        metrics::counter!(measure::GUARD_COUNTS_TOTAL, "workspace" => self.key.clone(), "result" => result)
            .increment(1);
        let members = match counted.result {
            Ok((Some(members), _)) => members.into_iter().map(Ok).collect(),
            Ok((None, _)) => {
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

/// Who is counted now. Of an audience that two jobs export to two attributes one after the other is: each stands elsewhere.
fn at_once(to_count: Vec<((FeedId, u32), String, Vec<i64>)>) -> (Vec<(FeedId, u32)>, Vec<Standing>) {
    let mut slugs = HashSet::new();
    let to_count = to_count.into_iter().filter(|(_, slug, _)| slugs.insert(slug.clone()));
    let standing = to_count.take(AUDIENCES_MAX);
    standing.map(|(id, slug, next)| (id, Standing { slug, next })).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_audience_of_two_jobs_is_counted_one_after_the_other() {
        let waits = |feed, slug: &str| ((feed, 0), slug.to_owned(), vec![i64::try_from(feed).unwrap()]);
        let (feeds, standing) = at_once(vec![waits(1, "vip"), waits(2, "news"), waits(3, "vip")]);
        assert_eq!(feeds, [(1, 0), (2, 0)]);
        let at: Vec<_> = standing.iter().map(|at| (&*at.slug, at.next[0])).collect();
        assert_eq!(at, [("vip", 1), ("news", 2)]);
        let (next, _) = at_once(vec![waits(3, "vip")]);
        assert_eq!(next, [(3, 0)]);
    }
}
