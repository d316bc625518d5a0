//! What the topics hold of a profile, read when somebody asks. Keys say which partition it is in, and it is searched from its end.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use kafka::{Config, Reader, ReaderOptions, RecordView, Topics, partition_of};
use prost::Message;
use proto::export::v1::{FeedProgress, RejectedChange};
use tokio_util::sync::CancellationToken;

use crate::settle;
use crate::stretch::{self, stretches};

/// Clocks differ: what was kept of a change is looked for so long before the change itself.
const CLOCKS: Duration = Duration::from_secs(600);

/// A record of the membership topic.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) time_ms: Option<i64>,
    /// `None` is a tombstone.
    pub(super) payload: Option<Vec<u8>>,
}

/// One search, of several questions, by one client of Kafka.
pub(super) struct Search {
    reader: Reader,
    topics: Topics,
    until: Instant,
    drain: CancellationToken,
    /// Time was over before everything was looked through.
    pub(super) incomplete: bool,
}

impl Search {
    pub(super) fn new(kafka: &Config, until: Instant, drain: CancellationToken) -> Result<Self, kafka::Error> {
        Ok(Self {
            reader: Reader::open(kafka, ReaderOptions::default())?,
            topics: Topics::new(kafka),
            until,
            drain,
            incomplete: false,
        })
    }

    /// The last record of each of these keys that has one.
    pub(super) fn last_records(
        &mut self,
        topic: &str,
        keys: Vec<String>,
    ) -> Result<HashMap<String, Record>, kafka::Error> {
        let partitions = self.reader.partitions(topic)?.len();
        let mut wanted: BTreeMap<i32, HashSet<String>> = BTreeMap::new();
        for key in keys {
            if let Some(partition) = partition_of(key.as_bytes(), partitions) {
                wanted.entry(partition).or_default().insert(key);
            }
        }
        let mut found = HashMap::new();
        for (partition, keys) in wanted {
            let pick = |record: &RecordView<'_>| {
                let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
                let key = keys.get(key?)?.clone();
                let record = Record {
                    partition,
                    offset: record.offset(),
                    time_ms: record.timestamp_ms(),
                    payload: record.payload().map(<[u8]>::to_vec),
                };
                Some((key, record))
            };
            let mut left = keys.len();
            self.back(topic, partition, pick, |picked| {
                for (key, record) in picked.into_iter().rev() {
                    if let Entry::Vacant(entry) = found.entry(key) {
                        entry.insert(record);
                        left -= 1;
                    }
                }
                left == 0
            })?;
        }
        Ok(found)
    }

    /// What a workspace has written down of its feeds, by progress key.
    pub(super) fn progress(&mut self, workspace: &str) -> Result<HashMap<String, FeedProgress>, kafka::Error> {
        let topic = self.topics.export_progress();
        let partition = settle::progress_partition(workspace, self.reader.partitions(&topic)?.len());
        let (low, end) = self.reader.watermarks(&topic, partition)?;
        let prefix = format!("{workspace}/");
        let mut feeds = HashMap::new();
        let (until, drain) = (self.until, self.drain.clone());
        let go_on = || Instant::now() < until && !drain.is_cancelled();
        let whole = stretch::read(&mut self.reader, &topic, partition, low..end, go_on, |record| {
            let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
            let Some(key) = key.filter(|key| key.starts_with(&prefix)) else {
                return;
            };
            match record.payload().map(FeedProgress::decode) {
                Some(Ok(progress)) => drop(feeds.insert(key.to_owned(), progress)),
                Some(Err(_)) => {}
                None => drop(feeds.remove(key)),
            }
        })?;
        self.incomplete |= !whole;
        Ok(feeds)
    }

    /// What a job has kept of a record, and when (milliseconds since 1970).
    pub(super) fn rejected(
        &mut self,
        job: &str,
        membership_topic: &str,
        record: &Record,
    ) -> Result<Option<(RejectedChange, Option<i64>)>, kafka::Error> {
        let topic = self.topics.export_rejected();
        // They are keyed by their job.
        let Some(partition) = partition_of(job.as_bytes(), self.reader.partitions(&topic)?.len()) else {
            return Ok(None);
        };
        let clocks = i64::try_from(CLOCKS.as_millis()).unwrap_or(i64::MAX);
        let from = record.time_ms.map(|time| time - clocks);
        let before = Cell::new(false);
        let pick = |kept: &RecordView<'_>| {
            before.set(before.get() || kept.timestamp_ms().zip(from).is_some_and(|(time, from)| time < from));
            let payload = kept.payload().filter(|_| kept.key() == Some(job.as_bytes()))?;
            let change = RejectedChange::decode(payload).ok()?;
            let place = (change.topic.as_str(), change.partition, change.offset);
            (place == (membership_topic, record.partition, record.offset)).then(|| (change, kept.timestamp_ms()))
        };
        let mut found = None;
        self.back(&topic, partition, pick, |mut picked| {
            found = picked.pop();
            found.is_some() || before.get()
        })?;
        Ok(found)
    }

    /// Looks through a partition from its end on, a stretch at a time. `pick` takes of each record what is wanted; `is_enough` is
    /// given what a stretch has brought, in the order of the log.
    fn back<T>(
        &mut self,
        topic: &str,
        partition: i32,
        pick: impl Fn(&RecordView<'_>) -> Option<T>,
        mut is_enough: impl FnMut(Vec<T>) -> bool,
    ) -> Result<(), kafka::Error> {
        let (low, end) = self.reader.watermarks(topic, partition)?;
        let (until, drain) = (self.until, self.drain.clone());
        let go_on = || Instant::now() < until && !drain.is_cancelled();
        for stretch in stretches(low..end) {
            let mut picked = Vec::new();
            let see = |record: &RecordView<'_>| picked.extend(pick(record));
            if !stretch::read(&mut self.reader, topic, partition, stretch, go_on, see)? {
                self.incomplete = true;
                break;
            }
            if is_enough(picked) {
                break;
            }
        }
        Ok(())
    }
}
