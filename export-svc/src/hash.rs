//! A hash that is the same in every process and every version: it is written to Kafka.

/// FNV-1a over the parts, each closed by a byte that UTF-8 does not have, then mixed so that every bit counts.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = parts.iter().fold(OFFSET, |hash, part| {
        step(part.iter().fold(hash, |hash, byte| step(hash, *byte)), 0xff)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Progress that an earlier version wrote must be found by a later one.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(&[b"1234.main"]), 0x68ab_4882_a4b6_f39a);
    }

    #[test]
    fn moving_a_byte_between_parts_is_another_text() {
        assert_ne!(stable_hash(&[b"ab", b"c"]), stable_hash(&[b"a", b"bc"]));
        assert_ne!(stable_hash(&[b"a"]), stable_hash(&[b"a", b""]));
    }
}
