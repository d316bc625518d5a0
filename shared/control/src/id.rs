//! Random texts: ids and secrets.

use jiff::Timestamp;

/// Crockford's digits: in order as ASCII, no letter that reads like a digit.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An id of 14 characters: 9 of time, so that ids sort by creation, and 5 random ones.
pub fn new_id(now: Timestamp) -> String {
    let time = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let mut id = String::with_capacity(14);
    push_base32(&mut id, time, 9);
    push_base32(&mut id, u64::from(rand::random::<u32>()), 5);
    id
}

/// A secret of 32 random bytes from the thread's cryptographic generator, in 52 characters.
pub(crate) fn new_secret() -> zeroize::Zeroizing<String> {
    let mut secret = zeroize::Zeroizing::new(String::with_capacity(56));
    for part in rand::random::<[u64; 4]>() {
        push_base32(&mut secret, part, 13);
    }
    secret
}

/// The lowest `digits * 5` bits of `bits`, highest first.
fn push_base32(text: &mut String, bits: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let [.., low] = (bits >> (digit * 5)).to_be_bytes();
        text.push(char::from(DIGITS[usize::from(low & 31)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids_and_sort_by_creation() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.001Z");
        let (early, late) = (new_id(early.parse().unwrap()), new_id(late.parse().unwrap()));
        assert!(model::name::is_id(&early), "{early}");
        assert_eq!(early.len(), 14);
        assert!(early[..9] < late[..9], "{early} {late}");
    }

    #[test]
    fn a_secret_holds_32_bytes_and_never_repeats() {
        let (one, other) = (new_secret(), new_secret());
        assert_eq!(one.len(), 52);
        assert!(model::name::is_id(&one), "lower-case letters and digits only");
        assert_ne!(*one, *other);
    }
}
