//! One reading of a membership topic from its beginning, up to an offset in each partition.

use std::collections::BTreeMap;

use kafka::{Disposition, Polled, Position, Reader, RecordView};

use super::POLL;

/// Hands every record before these ends, by partition, to `take`, for as long as `go_on`. Gives back how many records were left
/// then, at most.
///
/// # Errors
/// Whatever Kafka says that does not mend itself.
pub(super) fn scan(
    reader: &mut Reader,
    topic: &str,
    ends: &[(i32, i64)],
    go_on: impl Fn() -> bool,
    mut take: impl FnMut(&RecordView<'_>),
) -> Result<u64, kafka::Error> {
    let mut open: BTreeMap<i32, (i64, i64)> = ends
        .iter()
        .filter(|(_, end)| *end > 0)
        .map(|&(partition, end)| (partition, (0, end)))
        .collect();
    let from: Vec<_> = open.keys().map(|partition| (*partition, Position::Beginning)).collect();
    if !from.is_empty() {
        reader.assign(topic, &from)?;
    }
    while !open.is_empty() && go_on() {
        match reader.poll(POLL) {
            None => {}
            Some(Ok(Polled::Eof { partition })) => {
                open.remove(&partition);
            }
            Some(Ok(Polled::Record(record))) => {
                let partition = record.partition();
                let Some((next, end)) = open.get_mut(&partition) else {
                    continue;
                };
                *next = record.offset() + 1;
                if *next <= *end {
                    take(&record);
                }
                if *next >= *end {
                    open.remove(&partition);
                }
            }
            Some(Err(error)) if error.disposition() == Disposition::Retry => {}
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(open
        .values()
        .map(|(next, end)| u64::try_from(end - next).unwrap_or(0))
        .sum())
}
