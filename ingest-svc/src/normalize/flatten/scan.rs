//! How far a JSON text goes.

/// Where the first quote, backslash or control character stands from `at` on. Eight bytes are looked at together: subtraction turns
/// on the high bit of the first that is one of those, and at most of some behind it besides.
pub(super) fn end_of_plain(text: &[u8], mut at: usize) -> usize {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let backslash = (word ^ (EACH * 0x5c)).wrapping_sub(EACH);
        // The quote is 0x22, and this makes it 0x20, the only number beside those of control characters below 0x21.
        let quote_or_control = (word ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
        let found = (backslash | quote_or_control) & !word & (EACH * 0x80);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_a_text_ends_it_ends_there() {
        for length in 0..40 {
            for end in ["\"", "\\", "\n", "\u{1f}", ""] {
                let text = "é!ÿ~ \u{7f}".chars().cycle().take(length).collect::<String>();
                let json = format!("{text}{end}\"\\ and so on");
                assert_eq!(end_of_plain(json.as_bytes(), 0), text.len(), "{json:?}");
                assert_eq!(end_of_plain(text.as_bytes(), 0), text.len(), "{text:?}");
            }
        }
    }
}
