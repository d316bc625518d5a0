//! In which partition a key is.

/// The partition of a key among so many, as Java's client and `partitioner=murmur2_random` choose it. `None` if there is no
/// partition.
pub fn partition_of(key: &[u8], partitions: usize) -> Option<i32> {
    let positive = usize::try_from(murmur2(key) & 0x7fff_ffff).ok()?;
    i32::try_from(positive.checked_rem(partitions)?).ok()
}

/// `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const FACTOR: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ mixed.wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let bytes = rest.iter().rev().fold(0, |bytes, byte| bytes << 8 | u32::from(*byte));
        hash = (hash ^ bytes).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of the tests of Java's client.
    #[test]
    fn a_key_is_where_javas_client_puts_it() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(partition_of(b"foobar", 7), Some((-790_332_482 & 0x7fff_ffff) % 7));
        assert_eq!(partition_of(b"foobar", 0), None);
    }
}
