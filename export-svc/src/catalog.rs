//! What an account's membership topic holds: audiences with their members, and the profile fields that its records carry.
//!
//! Read when somebody asks, by a reader of its own, for a bounded time. What was read of an account is kept for a while, so that
//! the next who asks reads on from there; memory is bounded by [`members::Members`], times [`ACCOUNTS_MAX`].

mod fields;
mod members;
mod plan;
mod scan;
mod standing;
#[cfg(test)]
mod testing;
mod warnings;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use kafka::{Config, Polled, Position, Reader, ReaderOptions, Topics};
use model::AccountNumber;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

pub(crate) use self::fields::Sample;
pub(crate) use self::members::Audience;
use self::members::Members;
pub(crate) use self::plan::Planned;
pub(crate) use self::standing::Standing;

/// Accounts of which is remembered what was read: those that were asked about last.
const ACCOUNTS_MAX: usize = 4;
/// Readings at once, over all accounts: each costs a client of Kafka and a thread.
const READINGS_MAX: usize = 2;
/// How long to wait for records at a time.
const POLL: Duration = Duration::from_millis(100);

/// Answers what is in the membership topics; cheap to clone.
#[derive(Clone)]
pub(crate) struct Catalog(Arc<Inner>);

struct Inner {
    kafka: Config,
    topics: Topics,
    readings: Arc<Semaphore>,
    /// One at a time, and beside the others: it may take minutes.
    countings: Arc<Semaphore>,
    known: std::sync::Mutex<HashMap<AccountNumber, Known>>,
}

struct Known {
    asked: Instant,
    index: Arc<Mutex<Index>>,
}

/// What has been read of an account's topic.
#[derive(Default)]
struct Index {
    members: Members,
    /// Next offset, by partition.
    positions: BTreeMap<i32, i64>,
    unread: u64,
}

/// The audiences of an account, by slug.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listing {
    pub(crate) audiences: Vec<Audience>,
    /// Records that have not been read, at most; 0: this is all there is.
    pub(crate) unread: u64,
    /// There are more audiences than are counted.
    pub(crate) cut: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("others are reading; try again")]
    Busy,
    #[error("the reading broke off")]
    Panicked,
}

impl Catalog {
    pub(crate) fn new(kafka: Config) -> Self {
        Self(Arc::new(Inner {
            topics: Topics::new(&kafka),
            kafka,
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            countings: Arc::new(Semaphore::new(1)),
            known: std::sync::Mutex::default(),
        }))
    }

    /// The audiences of an account: reads on for at most about `within`.
    ///
    /// # Errors
    /// [`Error::Busy`] when nobody could read in that time; whatever Kafka says.
    pub(crate) async fn audiences(&self, account: AccountNumber, within: Duration) -> Result<Listing, Error> {
        let mut index = tokio::time::timeout(within, self.index(account).lock_owned())
            .await
            .map_err(|_| Error::Busy)?;
        self.read(account, within, move |reader, topic, deadline| {
            index.read_on(reader, topic, deadline)?;
            Ok(index.listing())
        })
        .await
    }

    /// The audiences as they were read last, without reading on.
    pub(crate) async fn audiences_read(&self, account: AccountNumber, within: Duration) -> Result<Listing, Error> {
        let index: OwnedMutexGuard<Index> = tokio::time::timeout(within, self.index(account).lock_owned())
            .await
            .map_err(|_| Error::Busy)?;
        if index.positions.is_empty() {
            drop(index);
            return self.audiences(account, within).await;
        }
        Ok(index.listing())
    }

    /// The profile fields in the newest records of an account: reads for at most about `within`.
    ///
    /// # Errors
    /// As [`Catalog::audiences`].
    pub(crate) async fn fields(&self, account: AccountNumber, within: Duration) -> Result<Sample, Error> {
        self.read(account, within, fields::sample).await
    }

    async fn read<T: Send + 'static>(
        &self,
        account: AccountNumber,
        within: Duration,
        read: impl FnOnce(&mut Reader, &str, Instant) -> Result<T, kafka::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let until = Instant::now() + within;
        let permit = tokio::time::timeout(within, Arc::clone(&self.0.readings).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Error::Busy);
        };
        let (kafka, topic) = (self.0.kafka.clone(), self.0.topics.audience_membership(account.get()));
        let reading = tokio::task::spawn_blocking(move || {
            // It goes on reading if its caller goes, and counts as long.
            let _permit = permit;
            let mut reader = Reader::open(&kafka, ReaderOptions::default())?;
            read(&mut reader, &topic, until)
        });
        Ok(reading.await.map_err(|_| Error::Panicked)??)
    }

    fn index(&self, account: AccountNumber) -> Arc<Mutex<Index>> {
        // Nothing panics while it is locked.
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Instant::now();
        if !known.contains_key(&account) && known.len() >= ACCOUNTS_MAX {
            let oldest = known.iter().min_by_key(|(_, known)| known.asked);
            if let Some(oldest) = oldest.map(|(account, _)| *account) {
                known.remove(&oldest);
            }
        }
        let entry = known.entry(account).or_insert_with(|| Known {
            asked,
            index: Arc::default(),
        });
        entry.asked = asked;
        Arc::clone(&entry.index)
    }
}

impl Index {
    fn read_on(&mut self, reader: &mut Reader, topic: &str, deadline: Instant) -> Result<(), kafka::Error> {
        let partitions = reader.partitions(topic)?;
        let mut ends = BTreeMap::new();
        for &partition in &partitions {
            ends.insert(partition, reader.watermarks(topic, partition)?.1);
        }
        let of_this_topic =
            |(partition, position): (&i32, &i64)| ends.get(partition).is_some_and(|end| position <= end);
        if !self.positions.iter().all(of_this_topic) {
            *self = Self::default();
        }
        let from: Vec<_> = partitions
            .iter()
            .map(|partition| {
                let position = self.positions.get(partition);
                (
                    *partition,
                    position.map_or(Position::Beginning, |offset| Position::At(*offset)),
                )
            })
            .collect();
        reader.assign(topic, &from)?;
        let mut open: HashSet<i32> = partitions.into_iter().collect();
        while !open.is_empty() && Instant::now() < deadline {
            match reader.poll(POLL) {
                None => {}
                Some(Ok(Polled::Eof { partition })) => {
                    open.remove(&partition);
                    let end = ends.get(&partition).copied().unwrap_or_default();
                    let position = self.positions.entry(partition).or_default();
                    *position = end.max(*position);
                }
                Some(Ok(Polled::Record(record))) => {
                    self.positions.insert(record.partition(), record.offset() + 1);
                    self.members.see(record.key(), record.payload(), record.timestamp_ms());
                }
                // Cut off before our position, or made anew: everything is read again.
                Some(Err(error @ kafka::Error::OffsetGone { .. })) => {
                    *self = Self::default();
                    return Err(error);
                }
                Some(Err(error)) if error.disposition() == kafka::Disposition::Retry => {}
                Some(Err(error)) => return Err(error),
            }
        }
        self.unread = open
            .iter()
            .map(|partition| {
                let end = ends.get(partition).copied().unwrap_or_default();
                let position = self.positions.get(partition).copied().unwrap_or_default();
                u64::try_from(end - position).unwrap_or(0)
            })
            .sum();
        Ok(())
    }

    fn listing(&self) -> Listing {
        Listing {
            audiences: self.members.audiences(),
            unread: self.unread,
            cut: self.members.is_cut(),
        }
    }
}
