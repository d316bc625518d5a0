//! What a file is called in the progress table, and which slot a job or a file has.

use std::fmt;
use std::str::FromStr;

use twox_hash::XxHash3_128;

/// A file of a job: the hash of its key, etag and size. Another content at the same key is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(u128);

impl FileId {
    /// Of a file as its storage lists it.
    pub(crate) fn of(key: &str, etag: &str, size: u64) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + etag.len() + 24);
        for text in [key, etag] {
            // The length keeps one from running into the next.
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&size.to_be_bytes());
        Self(XxHash3_128::oneshot(&bytes))
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A key that is no file's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFile;

impl FromStr for FileId {
    type Err = NoFile;

    fn from_str(digits: &str) -> Result<Self, NoFile> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match u128::from_str_radix(digits, 16) {
            Ok(hash) if digits.len() == 32 && digits.bytes().all(is_digit) => Ok(Self(hash)),
            _ => Err(NoFile),
        }
    }
}

/// The slot, of so many, of a job's name, or of `<job>/<file>`: the same at every replica.
pub(crate) fn slot(name: &str, slots: i32) -> i32 {
    let hash = XxHash3_128::oneshot(name.as_bytes());
    let slots = u128::try_from(slots.max(1)).unwrap_or(1);
    i32::try_from(hash % slots).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_file_is_another_with_another_key_etag_or_size() {
        let files = [
            FileId::of("a", "b", 1),
            FileId::of("ab", "", 1),
            FileId::of("", "ab", 1),
            FileId::of("a", "b", 2),
        ];
        assert_eq!(BTreeSet::from(files).len(), files.len());
    }

    /// What an earlier version has read must not be read again by a later one.
    #[test]
    fn the_name_and_the_slot_of_a_file_never_change() {
        let id = FileId::of("users/2026-07-01.csv", "5d41402abc4b2a76", 1_024);
        assert_eq!(id.to_string(), "92fba1e2e99a2d3963ba40b5d2f6d807");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(slot("accounts/1234/importJobs/x", 64), 12);
    }

    #[test]
    fn what_is_no_hash_names_no_file() {
        for key in [
            "",
            "callback",
            "+4c94eb4f5c3f3cb1d4dbad43d2ee3e5",
            "74c94eb4f5c3f3cb1d4dbad43d2ee3e",
            "x",
        ] {
            assert_eq!(key.parse::<FileId>(), Err(NoFile), "{key}");
        }
    }

    #[test]
    fn many_names_spread_over_all_slots() {
        let slots: BTreeSet<_> = (0..2_000).map(|name| slot(&name.to_string(), 64)).collect();
        assert_eq!(slots, (0..64).collect());
    }
}
