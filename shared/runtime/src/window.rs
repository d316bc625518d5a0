//! How much of a stream is worked on together.

use std::pin::Pin;

use futures::stream::Peekable;
use futures::{FutureExt, Stream, StreamExt};

/// Bytes of the records that are published together; a larger record is published alone.
pub const WINDOW_BYTES: usize = 4 << 20;

/// The room for records that are published before the next are looked at: what one sender takes of the producer's queue at
/// a time.
#[derive(Debug)]
pub struct Window {
    records: usize,
    records_max: usize,
    bytes: usize,
}

impl Window {
    /// Room for `records_max` records of [`WINDOW_BYTES`] in all.
    pub fn new(records_max: usize) -> Self {
        Self {
            records: 0,
            records_max,
            bytes: 0,
        }
    }

    /// Takes a record of `bytes` in, if it fits; the first always does.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.records == 0 || (self.records < self.records_max && self.bytes + bytes <= WINDOW_BYTES);
        if fits {
            self.records += 1;
            self.bytes += bytes;
        }
        fits
    }
}

/// The next item of a stream, and those behind it that have arrived and fit a window of `records_max`, by the size that
/// `bytes` tells; and the rest of the stream.
pub async fn next_window<S: Stream>(
    mut from: Pin<Box<Peekable<S>>>,
    records_max: usize,
    bytes: impl Fn(&S::Item) -> usize,
) -> Option<(Vec<S::Item>, Pin<Box<Peekable<S>>>)> {
    let first = from.next().await?;
    let mut window = Window::new(records_max);
    // A window always takes its first.
    let _fits = window.takes(bytes(&first));
    let mut taken = vec![first];
    while let Some(Some(next)) = from.as_mut().next_if(|next| window.takes(bytes(next))).now_or_never() {
        taken.push(next);
    }
    Some((taken, from))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn taken(records_max: usize, sizes: &[usize]) -> usize {
        let mut window = Window::new(records_max);
        sizes.iter().take_while(|bytes| window.takes(**bytes)).count()
    }

    #[test]
    fn a_window_is_bounded_in_records_and_in_bytes_but_always_takes_the_first() {
        assert_eq!(taken(3, &[1, 1, 1, 1]), 3);
        assert_eq!(taken(9, &[WINDOW_BYTES / 2, WINDOW_BYTES / 2, 1]), 2);
        assert_eq!(taken(9, &[WINDOW_BYTES + 1, 1]), 1);
    }

    /// The sizes of the windows that are made of items of these sizes, which have all arrived.
    async fn windows(sizes: &[usize]) -> Vec<usize> {
        let arrived = Box::pin(stream::iter(sizes.to_vec()).peekable());
        let windows = stream::unfold(arrived, |from| next_window(from, 256, |bytes| *bytes));
        let windows: Vec<_> = windows.collect().await;
        assert!(windows.iter().flatten().eq(sizes), "every item once and in order");
        windows.iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn what_has_arrived_is_cut_in_records_and_in_bytes() {
        assert_eq!(windows(&[1; 258]).await, [256, 2]);
        let half = WINDOW_BYTES / 2;
        assert_eq!(windows(&[half, half, half, 2 * WINDOW_BYTES, 1, 1]).await, [2, 1, 1, 2]);
    }

    #[tokio::test]
    async fn an_item_does_not_wait_for_one_that_has_not_arrived() {
        let stalled = stream::iter([1]).chain(stream::pending());
        let (taken, _) = next_window(Box::pin(stalled.peekable()), 256, |bytes| *bytes)
            .await
            .unwrap();
        assert_eq!(taken, [1]);
    }
}
