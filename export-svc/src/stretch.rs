//! Reading a partition from its end to its beginning, for whoever looks for something that is probably new.

use std::ops::Range;
use std::time::Duration;

use kafka::{Disposition, Polled, Position, Reader, RecordView};

/// First and largest stretch of a partition that is looked at on the way back from its end, in records.
const STRETCH: (i64, i64) = (4_096, 262_144);
/// How long a poll waits for records.
const POLL: Duration = Duration::from_millis(200);

/// A partition from its end to its beginning, in stretches of growing length.
pub(crate) fn stretches(bounds: Range<i64>) -> impl Iterator<Item = Range<i64>> {
    let (mut end, mut length) = (bounds.end, STRETCH.0);
    std::iter::from_fn(move || {
        let stretch = bounds.start.max(end - length)..end;
        (end, length) = (stretch.start, (length * 2).min(STRETCH.1));
        (!stretch.is_empty()).then_some(stretch)
    })
}

/// Shows the records of a stretch of a partition, in order. Blocks. Whether it has come to the end of the stretch, before `go_on`
/// said no.
///
/// # Errors
/// Whatever Kafka says that does not mend itself.
pub(crate) fn read(
    reader: &mut Reader,
    topic: &str,
    partition: i32,
    stretch: Range<i64>,
    go_on: impl Fn() -> bool,
    mut see: impl FnMut(&RecordView<'_>),
) -> Result<bool, kafka::Error> {
    if stretch.is_empty() {
        return Ok(true);
    }
    reader.assign(topic, &[(partition, Position::At(stretch.start))])?;
    while go_on() {
        match reader.poll(POLL) {
            Some(Ok(Polled::Record(record))) => {
                let offset = record.offset();
                if offset < stretch.end {
                    see(&record);
                }
                if offset + 1 >= stretch.end {
                    return Ok(true);
                }
            }
            Some(Ok(Polled::Eof { .. })) => return Ok(true),
            Some(Err(error)) if error.disposition() == Disposition::Retry => {}
            // It has become too old for the topic meanwhile, and so has all before it.
            Some(Err(kafka::Error::OffsetGone { .. })) => return Ok(true),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_are_the_partition_from_its_end_to_its_beginning(low in 0i64..1_000_000, length in 0i64..2_000_000) {
            let mut end = low + length;
            for stretch in stretches(low..end) {
                prop_assert_eq!(stretch.end, end);
                prop_assert!(stretch.start < stretch.end && stretch.end - stretch.start <= STRETCH.1);
                end = stretch.start;
            }
            prop_assert_eq!(end, low);
        }
    }
}
