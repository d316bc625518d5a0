//! What an export job would do with what is in its account's topic.

use std::time::{Duration, Instant};

use control::ExportJob;
use kafka::RecordView;
use model::parse_membership_key;

use super::scan::scan;
use super::{Catalog, Error};
use crate::consume;
use crate::plan::{Plan, Planner};

/// A plan, and how much of the topic it is about.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// Records that were read, of any audience.
    pub(crate) records: u64,
    /// Records that were not, at most.
    pub(crate) unread: u64,
}

impl Catalog {
    /// What a job would do that is created now: reads for at most about `within`.
    ///
    /// # Errors
    /// As [`Catalog::audiences`].
    pub(crate) async fn plan(&self, job: ExportJob, within: Duration) -> Result<Planned, Error> {
        let account = job.account;
        self.read(account, within, move |reader, topic, deadline| {
            let (mut planner, mut records) = (Planner::new(job), 0);
            let ends = planner.ends().to_vec();
            let look = |record: &RecordView<'_>| {
                records += 1;
                let key = record.key().and_then(parse_membership_key);
                // A tombstone names nobody at Braze.
                let Some(payload) = record
                    .payload()
                    .filter(|_| key.is_none_or(|(slug, _)| planner.wants(slug)))
                else {
                    return;
                };
                match consume::read(account, payload, None, key) {
                    Ok(membership) => planner.see(&membership),
                    Err(_) => planner.unusable(),
                }
            };
            let unread = scan(reader, topic, &ends, || Instant::now() < deadline, look)?;
            Ok(Planned {
                plan: planner.plan(),
                records,
                unread,
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::topic;
    use crate::plan::tests::job;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_goes_as_far_as_the_job_begins_and_says_what_it_had_no_time_to_read() {
        let (_brokers, catalog, account) = topic(&[("0", "1", true), ("0", "2", true), ("1", "1", false)]).await;
        let job = ExportJob {
            account,
            start: vec![(0, 2)],
            ..job(false)
        };
        let planned = catalog.plan(job.clone(), Duration::from_secs(30)).await.unwrap();
        assert_eq!((planned.plan.adds, planned.plan.removes), (2, 0), "{planned:?}");
        assert_eq!((planned.records, planned.unread), (2, 0));
        let hurried = catalog.plan(job, Duration::ZERO).await.unwrap();
        assert_eq!((hurried.plan.adds, hurried.records, hurried.unread), (0, 0, 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reading_keeps_its_place_until_it_really_ends_also_if_nobody_waits_for_it() {
        let (_brokers, catalog, account) = topic(&[("0", "1", true)]).await;
        let places = catalog.0.readings.available_permits();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, held) = std::sync::mpsc::sync_channel::<()>(0);
        let reading = catalog.read(account, Duration::from_secs(30), move |_, _, _| {
            begun.send(()).ok();
            held.recv().ok();
            Ok(())
        });
        tokio::select! {
            _ = reading => panic!("it is held"),
            begun = has_begun => begun.unwrap(),
        }
        assert_eq!(catalog.0.readings.available_permits(), places - 1, "it still reads");
        drop(go_on);
        runtime::testing::until("it has ended", async || {
            catalog.0.readings.available_permits() == places
        })
        .await;
    }
}
