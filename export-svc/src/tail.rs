//! Reads what a topic has of somebody, which is some records among many: the newest first to be found, then in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use kafka::{Disposition, Polled, Position, Reader, ReaderOptions, RecordView};

use crate::stretch::{self, stretches};

/// How long a poll waits for records.
const POLL: Duration = Duration::from_millis(200);

/// Which records are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Only so many of the newest.
    pub(crate) newest: Option<usize>,
    /// And all that come.
    pub(crate) follow: bool,
    /// How long the newest may be looked for.
    pub(crate) patience: Duration,
}

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("the newest could not be found in {0:?}; ask for fewer, or from the oldest on")]
    Patience(Duration),
    #[error("nobody listens any more")]
    Gone,
}

/// Reads what `pick` makes something of and hands that to `take`. Blocks: for a thread of its own. Ends when the ends of the
/// partitions are reached that they had at first, or with `follow` when `take` or `listening` says that nobody is there any more.
///
/// # Errors
/// [`Error::Kafka`] if the topic cannot be read, [`Error::Patience`], and [`Error::Gone`].
pub(crate) fn tail<T>(
    config: &kafka::Config,
    topic: &str,
    wanted: &Wanted,
    pick: impl Fn(&RecordView<'_>) -> Option<T>,
    listening: impl Fn() -> bool,
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = Reader::open(config, ReaderOptions::default())?;
    let mut bounds = BTreeMap::new();
    for partition in reader.partitions(topic)? {
        let (low, end) = reader.watermarks(topic, partition)?;
        bounds.insert(partition, low..end);
    }
    if let Some(newest) = wanted.newest {
        let until = Instant::now() + wanted.patience;
        let mut look = |partition, stretch: Range<i64>| {
            if Instant::now() >= until {
                return Err(Error::Patience(wanted.patience));
            }
            if !listening() {
                return Err(Error::Gone);
            }
            find(&mut reader, topic, partition, stretch, (until, wanted.patience), &pick)
        };
        for (partition, from) in newest_from(&bounds, newest, &mut look)? {
            bounds.entry(partition).and_modify(|bounds| bounds.start = from);
        }
    }
    let from: Vec<_> = bounds
        .iter()
        .map(|(&partition, bounds)| (partition, Position::At(bounds.start)))
        .collect();
    reader.assign(topic, &from)?;
    let mut open: BTreeSet<i32> = bounds
        .iter()
        .filter(|(_, bounds)| !bounds.is_empty())
        .map(|(&partition, _)| partition)
        .collect();
    while wanted.follow || !open.is_empty() {
        if !listening() {
            return Err(Error::Gone);
        }
        match reader.poll(POLL) {
            Some(Ok(Polled::Record(record))) => {
                let (partition, offset) = (record.partition(), record.offset());
                let end = bounds.get(&partition).map_or(0, |bounds| bounds.end);
                if let Some(picked) = pick(&record).filter(|_| wanted.follow || offset < end) {
                    take(picked)?;
                }
                if offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            Some(Ok(Polled::Eof { partition })) => {
                open.remove(&partition);
            }
            Some(Err(error)) if error.disposition() == Disposition::Retry => {}
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok(())
}

/// When a record was written, and its offset.
type Found = (i64, i64);

/// By partition the offset of the first of the `newest` over all of them; a partition that has none of these is read from its
/// end on. `look` finds those of a stretch of a partition.
fn newest_from(
    bounds: &BTreeMap<i32, Range<i64>>,
    newest: usize,
    look: &mut impl FnMut(i32, Range<i64>) -> Result<Vec<Found>, Error>,
) -> Result<BTreeMap<i32, i64>, Error> {
    let mut found = Vec::new();
    for (&partition, bounds) in bounds {
        let mut of_partition = Vec::new();
        for stretch in stretches(bounds.clone()) {
            of_partition.extend(look(partition, stretch)?);
            if of_partition.len() >= newest {
                break;
            }
        }
        found.extend(of_partition.into_iter().map(|(time, offset)| (time, offset, partition)));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(newest);
    let mut from: BTreeMap<_, _> = bounds
        .iter()
        .map(|(&partition, bounds)| (partition, bounds.end))
        .collect();
    for (_, offset, partition) in found {
        from.entry(partition).and_modify(|from| *from = offset.min(*from));
    }
    Ok(from)
}

/// Those that are wanted in a stretch.
fn find<T>(
    reader: &mut Reader,
    topic: &str,
    partition: i32,
    stretch: Range<i64>,
    (until, patience): (Instant, Duration),
    pick: impl Fn(&RecordView<'_>) -> Option<T>,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let see = |record: &RecordView<'_>| {
        if pick(record).is_some() {
            found.push((record.timestamp_ms().unwrap_or_default(), record.offset()));
        }
    };
    let in_time = || Instant::now() < until;
    match stretch::read(reader, topic, partition, stretch, in_time, see)? {
        true => Ok(found),
        false => Err(Error::Patience(patience)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_newest_of_all_partitions_are_read_and_no_more_is_looked_at_than_needed(
            partitions in prop::collection::vec(prop::collection::vec((any::<bool>(), 0i64..50), 0..40), 1..4),
            newest in 1usize..20,
        ) {
            // Kafka's times rise with the offset.
            let timed: Vec<Vec<(i64, i64)>> = partitions
                .iter()
                .map(|records| {
                    let mut time = 0;
                    let timed = (0..).zip(records).map(|(at, (wanted, step))| {
                        time += step;
                        (*wanted, time, at)
                    });
                    timed.collect::<Vec<_>>()
                })
                .map(|timed| timed.into_iter().filter(|(wanted, ..)| *wanted).map(|(_, time, at)| (time, at)).collect())
                .collect();
            let bounds: BTreeMap<i32, _> = (0..)
                .zip(&partitions)
                .map(|(partition, records)| (partition, 0..i64::try_from(records.len()).unwrap()))
                .collect();
            let found = |partition: i32, stretch: Range<i64>| -> Vec<Found> {
                let timed = &timed[usize::try_from(partition).unwrap()];
                timed.iter().copied().filter(|(_, at)| stretch.contains(at)).collect()
            };
            let from = newest_from(&bounds, newest, &mut |partition, stretch| Ok(found(partition, stretch))).unwrap();
            let all: Vec<_> = bounds.iter().flat_map(|(&partition, bounds)| {
                found(partition, bounds.clone()).into_iter().map(move |(time, at)| (time, at, partition))
            }).collect();
            let read = |(_, at, partition): &&(i64, i64, i32)| *at >= from[partition];
            prop_assert_eq!(all.iter().filter(read).count(), newest.min(all.len()));
            let oldest_read = all.iter().filter(read).map(|found| found.0).min().unwrap_or(i64::MAX);
            let newest_unread = all.iter().filter(|found| !read(found)).map(|found| found.0).max().unwrap_or(i64::MIN);
            prop_assert!(newest_unread <= oldest_read);
        }
    }
}
