//! Hashes: two that are the same in every process and version, because they are written to Kafka, and that of our maps.

use std::collections::HashMap;

/// A map that is looked at for every change: its hash is seeded, since keys come from outside, and costs a fraction of the
/// standard one.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// For what is hashed with every change: eight bytes at a time. Each part is closed by its length, so that moving a byte
/// between parts is another text.
pub(crate) fn quick_hash(parts: &[&[u8]]) -> u64 {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
    const PRIME: u64 = 0xff51_afd7_ed55_8ccd;
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(PRIME);
        hash ^ (hash >> 32)
    };
    parts.iter().fold(SEED, |hash, part| {
        let (words, rest) = part.as_chunks::<8>();
        let hash = words
            .iter()
            .fold(hash, |hash, word| step(hash, u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        step(step(hash, u64::from_le_bytes(last)), part.len() as u64)
    })
}

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
    use std::collections::HashSet;

    use super::*;

    /// Progress that an earlier version wrote must be found by a later one.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(&[b"1234.main"]), 0x68ab_4882_a4b6_f39a);
        assert_eq!(quick_hash(&[b"external_id", b"cust-1", b"vip"]), 0x8031_2178_c4bd_13db);
    }

    #[test]
    fn hashes_of_many_people_differ_in_all_their_bits() {
        let hashes: Vec<_> = (0..100_000)
            .map(|id: u32| quick_hash(&[b"profile", id.to_string().as_bytes()]))
            .collect();
        let differing = |bits: fn(u64) -> u64| hashes.iter().copied().map(bits).collect::<HashSet<_>>().len();
        assert_eq!(differing(|hash| hash), hashes.len());
        // A random function leaves out a fifth of 2^16 values.
        assert!(differing(|hash| hash & 0xffff) > 50_000);
        assert!(differing(|hash| hash >> 48) > 50_000);
    }

    #[test]
    fn moving_a_byte_between_parts_is_another_text() {
        assert_ne!(stable_hash(&[b"ab", b"c"]), stable_hash(&[b"a", b"bc"]));
        assert_ne!(stable_hash(&[b"a"]), stable_hash(&[b"a", b""]));
        assert_ne!(quick_hash(&[b"ab", b"c"]), quick_hash(&[b"a", b"bc"]));
        assert_ne!(quick_hash(&[b"a"]), quick_hash(&[b"a", b""]));
        assert_ne!(quick_hash(&[b"12345678"]), quick_hash(&[b"12345678\0"]));
        assert_ne!(quick_hash(&[b"1234567"]), quick_hash(&[b"1234567\0"]));
    }
}
