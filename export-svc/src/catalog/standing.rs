//! How many members audiences had where their feeds stand: what guards go by.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::{Reader, ReaderOptions, RecordView};
use model::{AccountNumber, parse_membership_key};

use super::members::Members;
use super::scan::scan;
use super::{Catalog, Error};

/// An audience, and the next offset of whoever asks, by partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) slug: String,
    pub(crate) next: Vec<i64>,
}

impl Catalog {
    /// The members of each of these audiences, by the records before its offsets: reads the topic from its beginning, one reading
    /// at a time. `None` if that is not done `within` from when it begins, or nobody wants to know any more.
    /// And how long it has read.
    ///
    /// # Errors
    /// Whatever Kafka says.
    pub(crate) async fn members_at(
        &self,
        account: AccountNumber,
        standing: Vec<Standing>,
        within: Duration,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<(Option<Vec<u64>>, Duration), Error> {
        // However long others read: it is not this audience's fault.
        let permit = Arc::clone(&self.0.countings).acquire_owned().await;
        let permit = permit.map_err(|_| Error::Busy)?;
        let begun = Instant::now();
        let until = begun + within;
        let (kafka, topic) = (self.0.kafka.clone(), self.0.topics.audience_membership(account.get()));
        let counting = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut reader = Reader::open(&kafka, ReaderOptions::default())?;
            let mut count = Count::new(standing);
            let left = scan(
                &mut reader,
                &topic,
                &count.ends(),
                || wanted() && Instant::now() < until,
                |record| count.see(record),
            )?;
            Ok(((left == 0).then(|| count.members()), begun.elapsed()))
        });
        counting.await.map_err(|_| Error::Panicked)?
    }
}

/// What has been counted.
struct Count {
    standing: Vec<Standing>,
    by_slug: HashMap<Vec<u8>, usize>,
    members: Members,
}

impl Count {
    fn new(standing: Vec<Standing>) -> Self {
        let by_slug = (0..).zip(&standing);
        Self {
            by_slug: by_slug
                .map(|(index, at)| (at.slug.as_bytes().to_vec(), index))
                .collect(),
            members: Members::default(),
            standing,
        }
    }

    /// Where the furthest stands, by partition.
    fn ends(&self) -> Vec<(i32, i64)> {
        let mut ends: Vec<(i32, i64)> = Vec::new();
        for at in &self.standing {
            for (index, next) in at.next.iter().enumerate() {
                match ends.get_mut(index) {
                    Some((_, end)) => *end = (*end).max(*next),
                    None => ends.push((i32::try_from(index).unwrap_or(i32::MAX), *next)),
                }
            }
        }
        ends
    }

    fn see(&mut self, record: &RecordView<'_>) {
        let slug = record.key().and_then(parse_membership_key).map(|(slug, _)| slug);
        let Some(at) = slug.and_then(|slug| self.by_slug.get(slug)) else {
            return;
        };
        let next = usize::try_from(record.partition()).ok();
        let next = next.and_then(|partition| self.standing[*at].next.get(partition));
        if next.is_some_and(|next| record.offset() < *next) {
            self.members.see(record.key(), record.payload(), record.timestamp_ms());
        }
    }

    fn members(&self) -> Vec<u64> {
        let counted: HashMap<_, _> = self
            .members
            .audiences()
            .into_iter()
            .map(|audience| (audience.slug, audience.members))
            .collect();
        let of = |at: &Standing| counted.get(&at.slug).copied().unwrap_or(0);
        self.standing.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::topic;

    #[test]
    fn a_reading_goes_as_far_as_the_furthest_stands() {
        let standing = |slug: &str, next: &[i64]| Standing {
            slug: slug.to_owned(),
            next: next.to_vec(),
        };
        let count = Count::new(vec![standing("vip", &[3, 0]), standing("news", &[1, 7])]);
        assert_eq!(count.ends(), [(0, 3), (1, 7)]);
        assert_eq!(count.members(), [0, 0]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn members_are_those_of_the_records_before_where_somebody_stands() {
        let (_brokers, catalog, account) = topic(&[
            ("vip", "1", true),
            ("vip", "2", true),
            ("vip", "3", true),
            ("news", "1", true),
            ("vip", "1", false),
            ("vip", "2", false),
        ])
        .await;
        let members = async |vip: i64, news: i64| {
            let standing = [("vip", vip), ("news", news)].map(|(slug, next)| Standing {
                slug: slug.to_owned(),
                next: vec![next],
            });
            let counted = catalog.members_at(account, standing.into(), Duration::from_secs(30), || true);
            counted.await.unwrap().0.unwrap()
        };
        assert_eq!(members(6, 6).await, [1, 1]);
        assert_eq!(members(5, 3).await, [2, 0]);
        assert_eq!(members(3, 6).await, [3, 1]);
        let nobody = catalog.members_at(account, Vec::new(), Duration::from_secs(30), || true);
        assert_eq!(nobody.await.unwrap().0, Some(Vec::new()));
        let standing = vec![Standing {
            slug: "vip".to_owned(),
            next: vec![6],
        }];
        let unwanted = catalog.members_at(account, standing, Duration::from_secs(30), || false);
        assert_eq!(unwanted.await.unwrap().0, None);
    }

    fn at(slug: &str, next: i64) -> Vec<Standing> {
        let (slug, next) = (slug.to_owned(), vec![next]);
        vec![Standing { slug, next }]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_count_keeps_its_place_until_it_really_ends_also_if_nobody_waits_for_it() {
        let (_brokers, catalog, account) = topic(&[("vip", "1", true)]).await;
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, held) = std::sync::mpsc::sync_channel::<()>(0);
        let mut begun = Some(begun);
        let wanted = move || {
            begun.take().map(|begun| begun.send(()));
            held.recv().ok();
            false
        };
        let wanted = std::sync::Mutex::new(wanted);
        let wanted = move || (wanted.lock().unwrap())();
        tokio::select! {
            _ = catalog.members_at(account, at("vip", 1), Duration::from_secs(30), wanted) => panic!("it is held"),
            begun = has_begun => begun.unwrap(),
        }
        assert_eq!(catalog.0.countings.available_permits(), 0, "it still reads");
        drop(go_on);
        runtime::testing::until("it has ended", async || catalog.0.countings.available_permits() == 1).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_time_of_a_count_begins_with_its_reading_however_long_others_read() {
        let (_brokers, catalog, account) = topic(&[("vip", "1", true)]).await;
        let others = Arc::clone(&catalog.0.countings).acquire_owned().await.unwrap();
        let mut counting = std::pin::pin!(catalog.members_at(account, at("vip", 1), Duration::from_secs(30), || true));
        let waited = tokio::time::timeout(Duration::from_secs(1), &mut counting).await;
        assert!(waited.is_err(), "others read");
        let its_turn = Instant::now();
        drop(others);
        let (members, took) = counting.await.unwrap();
        assert!(took <= its_turn.elapsed());
        assert_eq!(members, Some(vec![1]));
    }
}
