//! Texts as JSON has them.

#[inline(always)]
pub(crate) fn push_text(buffer: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        buffer.reserve(text.len() + 2);
        buffer.push(b'"');
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(b'"');
        return;
    }
    serde_json::to_writer(buffer, text).expect("a string always has a JSON form, and a Vec takes every byte");
}

/// Whether a text stands in JSON as it is, between quotes: nearly every one, and a body has some 150 of them. serde_json looks at
/// byte after byte; here it is eight at a time.
pub fn is_plain(text: &str) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    /// A top bit for each byte that is zero, and perhaps for bytes above one.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & TOPS
    }
    let special = |word: u64| {
        let quotes = zeros(word ^ (0x22 * ONES)) | zeros(word ^ (0x5c * ONES));
        // Below 0x20: the three upper bits are zero.
        quotes | zeros(word & (0xe0 * ONES))
    };
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<8>() else {
        let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
        return !bytes.iter().any(is_special);
    };
    // The last look may overlap the one before.
    let words = bytes.as_chunks::<8>().0.iter().chain([last]);
    words.fold(0, |found, word| found | special(u64::from_le_bytes(*word))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_if_json_leaves_it_as_it_is() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        for (at, special) in all.char_indices() {
            for before in ["", "1", "1234567", "12345678", "12345678ä"] {
                for text in [format!("{before}{special}"), format!("{before}{special}{before}23456")] {
                    let plain = serde_json::to_string(&text).unwrap() == format!("\"{text}\"");
                    assert_eq!(is_plain(&text), plain, "{text:?}, character at {at}");
                }
            }
        }
        assert!(is_plain(""));
    }
}
