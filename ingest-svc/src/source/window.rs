//! How much is published together.

/// Bytes of the records that are published together; a larger record is published alone.
pub(crate) const WINDOW_BYTES: usize = 4 << 20;

/// The room for records that are published before the next are looked at: what one sender takes of the producer's queue at
/// a time.
#[derive(Debug)]
pub(crate) struct Window {
    records: usize,
    records_max: usize,
    bytes: usize,
}

impl Window {
    /// Room for `records_max` records of [`WINDOW_BYTES`] in all.
    pub(crate) fn new(records_max: usize) -> Self {
        Self {
            records: 0,
            records_max,
            bytes: 0,
        }
    }

    /// Takes a record of `bytes` in, if it fits; the first always does.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.records == 0 || (self.records < self.records_max && self.bytes + bytes <= WINDOW_BYTES);
        if fits {
            self.records += 1;
            self.bytes += bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
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
}
