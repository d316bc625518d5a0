//! Reads what a topic has under a key, which is some records among many: the newest first to be found, then in order.

use std::ops::Range;
use std::time::{Duration, Instant};

use kafka::{Disposition, Polled, Position, Reader, ReaderOptions, RecordView, partition_of};

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
    #[error("older ones could not be looked for in {0:?}; ask for fewer, or from the oldest on")]
    Patience(Duration),
    #[error("nobody listens any more")]
    Gone,
}

/// Reads what `pick` makes something of, of the records of `key`, and hands that to `take`. Blocks: for a thread of its own. Ends
/// when the end of the key's partition is reached that it had at first, or with `follow` when `take` or `listening` says that nobody
/// is there any more.
///
/// # Errors
/// [`Error::Kafka`] if the topic cannot be read, [`Error::Patience`] behind those that were found in time, and [`Error::Gone`].
pub(crate) fn tail<T>(
    config: &kafka::Config,
    (topic, key): (&str, &str),
    wanted: &Wanted,
    pick: impl Fn(&RecordView<'_>) -> Option<T>,
    listening: impl Fn() -> bool,
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let pick = |record: &RecordView<'_>| pick(record).filter(|_| record.key() == Some(key.as_bytes()));
    let mut reader = Reader::open(config, ReaderOptions::default())?;
    let partitions = reader.partitions(topic)?.len();
    let Some(partition) = partition_of(key.as_bytes(), partitions) else {
        return Ok(());
    };
    let (mut from, end) = reader.watermarks(topic, partition)?;
    let mut out_of_patience = false;
    if let Some(newest) = wanted.newest {
        let until = Instant::now() + wanted.patience;
        let go_on = || Instant::now() < until && listening();
        let look = |stretch| find(&mut reader, (topic, partition), stretch, go_on, pick);
        let (first, complete) = newest_from(from..end, newest, look)?;
        (from, out_of_patience) = (first, !complete);
    }
    let mut is_open = from < end;
    reader.assign(topic, &[(partition, Position::At(from))])?;
    while is_open || (wanted.follow && !out_of_patience) {
        if !listening() {
            return Err(Error::Gone);
        }
        match reader.poll(POLL) {
            Some(Ok(Polled::Record(record))) => {
                let offset = record.offset();
                if let Some(picked) = pick(&record).filter(|_| wanted.follow || offset < end) {
                    take(picked)?;
                }
                is_open &= offset + 1 < end;
            }
            Some(Ok(Polled::Eof { .. })) => is_open = false,
            Some(Err(error)) if error.disposition() == Disposition::Retry => {}
            // It has become too old for the topic meanwhile: on from the first that is there.
            Some(Err(kafka::Error::OffsetGone { .. })) => reader.seek(partition, Position::Beginning)?,
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    match out_of_patience {
        true => Err(Error::Patience(wanted.patience)),
        false => Ok(()),
    }
}

/// The offset of the first of the `newest` records of a partition that are wanted, its end if none is, and whether they are all there
/// are. `look` finds the offsets of those in a stretch, ascending, or none if there is no time.
fn newest_from(
    bounds: Range<i64>,
    newest: usize,
    mut look: impl FnMut(Range<i64>) -> Result<Option<Vec<i64>>, Error>,
) -> Result<(i64, bool), Error> {
    let (mut from, mut left) = (bounds.end, newest);
    for stretch in stretches(bounds) {
        if left == 0 {
            break;
        }
        let Some(found) = look(stretch)? else {
            return Ok((from, false));
        };
        if let Some(first) = found.get(found.len().saturating_sub(left)) {
            from = *first;
        }
        left = left.saturating_sub(found.len());
    }
    Ok((from, true))
}

/// The offsets of those that are wanted in a stretch; none if `go_on` says no before its end.
fn find<T>(
    reader: &mut Reader,
    (topic, partition): (&str, i32),
    stretch: Range<i64>,
    go_on: impl Fn() -> bool,
    pick: impl Fn(&RecordView<'_>) -> Option<T>,
) -> Result<Option<Vec<i64>>, Error> {
    let mut found = Vec::new();
    let see = |record: &RecordView<'_>| {
        if pick(record).is_some() {
            found.push(record.offset());
        }
    };
    let whole = stretch::read(reader, topic, partition, stretch, go_on, see)?;
    Ok(whole.then_some(found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_stretch(wanted: &[bool], stretch: Range<i64>) -> Vec<i64> {
        let offsets = (0..).zip(wanted).filter(|(_, wanted)| **wanted);
        offsets
            .map(|(offset, _)| offset)
            .filter(|offset| stretch.contains(offset))
            .collect()
    }

    proptest! {
        #[test]
        fn the_newest_are_read_and_no_more(wanted in prop::collection::vec(any::<bool>(), 0..20_000), newest in 0usize..9_000) {
            let end = i64::try_from(wanted.len()).unwrap();
            let look = |stretch| Ok(Some(of_stretch(&wanted, stretch)));
            let (from, complete) = newest_from(0..end, newest, look).unwrap();
            let all = of_stretch(&wanted, 0..end);
            prop_assert!(complete);
            prop_assert_eq!(of_stretch(&wanted, from..end).len(), newest.min(all.len()));
        }
    }

    #[test]
    fn what_was_found_in_time_is_read_when_patience_ends() {
        let mut looks = 0;
        let look = |stretch: Range<i64>| {
            looks += 1;
            Ok((looks == 1).then(|| vec![stretch.end - 1]))
        };
        let found = newest_from(0..100_000, 10, look).unwrap();
        assert_eq!(found, (99_999, false));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_become_too_old_meanwhile_is_left_out_and_the_rest_is_read() {
        let name = "tail::what_has_become_too_old_meanwhile_is_left_out_and_the_rest_is_read";
        let Some(config) = kafka::testing::real_only(name) else {
            return;
        };
        kafka::topics::ensure(&config, &[]).await.unwrap();
        let topic = kafka::Topics::new(&config).export_log();
        let publisher = kafka::Publisher::new(&config, kafka::PublisherOptions::default()).unwrap();
        for value in ["0", "1", "2"] {
            let record = kafka::RecordOut::new(&topic).key("job").payload(value);
            publisher.publish(record).await.unwrap();
        }
        let runtime = tokio::runtime::Handle::current();
        let read = move || {
            let wanted = Wanted {
                newest: Some(10),
                follow: false,
                patience: Duration::from_secs(30),
            };
            let is_cut = std::cell::Cell::new(false);
            // While the newest are looked for, all but the last one go.
            let pick = |record: &RecordView<'_>| {
                if !is_cut.replace(true) {
                    let cut = kafka::testing::cut_off(&config, &topic, record.partition(), record.offset() + 2);
                    runtime.block_on(cut).unwrap();
                }
                record.payload().map(<[u8]>::to_vec)
            };
            let mut read = Vec::new();
            let take = |value| {
                read.push(value);
                Ok(())
            };
            tail(&config, (&topic, "job"), &wanted, pick, || true, take).map(|()| read)
        };
        let read = tokio::task::spawn_blocking(read).await.unwrap();
        assert_eq!(read.unwrap(), [b"2".to_vec()]);
    }
}
