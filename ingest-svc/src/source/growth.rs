//! What is compressed more than people's data ever is.

/// How much something may grow by being decompressed before anybody asks by what factor: 10 MB.
pub(crate) const GROWTH_BYTES_FREE: u64 = 10_000_000;

/// The most by which records shrink when they are compressed. Those of real people shrink by a factor of 5 to 50; what is made to
/// exhaust us, by 1,000.
pub(crate) const GROWTH_MAX: u64 = 250;

/// Whether so many bytes cannot honestly have become so many.
pub(crate) fn is_bomb(received: u64, grown: u64) -> bool {
    grown > GROWTH_BYTES_FREE && grown / GROWTH_MAX > received
}
