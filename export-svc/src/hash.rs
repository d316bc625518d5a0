//! Hashes: two that are the same in every process and version, because they are written to Kafka, and that of our maps.

use std::collections::HashMap;

/// For what is looked at with every change: seeded, since keys come from outside, and at a fraction of the standard one's cost.
pub(crate) type Hasher = foldhash::fast::RandomState;

/// A map that is looked at for every change.
pub(crate) type Map<K, V> = HashMap<K, V, Hasher>;

/// For what is hashed with every change: eight bytes at a time. A text is closed by its length, so that moving a byte from one
/// to the next, hashed on, is another pair.
#[inline]
pub(crate) fn quick_hash(seed: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(seed, |hash, word| quick_mix(hash, u64::from_le_bytes(*word)));
    // What is left by two looks that may overlap, instead of byte by byte.
    let last = match (rest, rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (_, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        ([first, .., last], ..) => u64::from_le_bytes([*first, rest[1], *last, 0, 0, 0, 0, 0]),
        ([only], ..) => u64::from(*only),
        ([], ..) => 0,
    };
    quick_mix(quick_mix(hash, last), text.len() as u64)
}

/// Two hashes, in this order, are one.
#[inline]
pub(crate) fn quick_mix(hash: u64, other: u64) -> u64 {
    let hash = (hash ^ other).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 32)
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
        assert_eq!(quick_hash(7, b"external_id"), 0x8653_bdba_fe69_8909);
        assert_eq!(quick_mix(7, 8), 0xf5c9_4da6_1dca_0da5);
    }

    #[test]
    fn hashes_of_many_people_differ_in_all_their_bits() {
        let hashes: Vec<_> = (0..100_000)
            .map(|id: u32| quick_hash(7, id.to_string().as_bytes()))
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
        let quick = |one: &[u8], other: &[u8]| quick_hash(quick_hash(7, one), other);
        assert_ne!(quick(b"ab", b"c"), quick(b"a", b"bc"));
        assert_ne!(quick(b"a", b""), quick(b"", b"a"));
        assert_ne!(quick_hash(7, b"12345678"), quick_hash(7, b"12345678\0"));
        assert_ne!(quick_hash(7, b"1234567"), quick_hash(7, b"1234567\0"));
    }

    #[test]
    fn every_byte_of_a_text_of_any_length_counts() {
        for length in 1..40 {
            let text: Vec<_> = (0..length).collect();
            for index in 0..text.len() {
                let mut other = text.clone();
                other[index] ^= 0x80;
                assert_ne!(quick_hash(7, &text), quick_hash(7, &other), "byte {index} of {length}");
            }
        }
    }
}
