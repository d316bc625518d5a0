//! The key table and the check of the `Authorization` header (reference §1).

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::options::Key;

/// All keys, with those that were taken back.
#[derive(Debug)]
pub(crate) struct Keys {
    table: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    rejected: bool,
}

/// Why a call may not go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such key (any more): 401, and the text echoes what was sent, as Braze's does.
    Unknown {
        /// What was sent.
        sent: String,
    },
    /// The key is good, but not for this endpoint.
    Permission,
    /// The key is good, but not from this address.
    Source,
}

impl Keys {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        Self {
            table: keys.into_iter().map(|key| Entry { key, rejected: false }).collect(),
        }
    }

    pub(crate) fn put(&mut self, key: Key) {
        self.table.retain(|entry| entry.key.key != key.key);
        self.table.push(Entry { key, rejected: false });
    }

    pub(crate) fn reject(&mut self, key: &str) {
        for entry in self.table.iter_mut().filter(|entry| entry.key.key == key) {
            entry.rejected = true;
        }
    }

    pub(crate) fn accept_all(&mut self) {
        for entry in &mut self.table {
            entry.rejected = false;
        }
    }

    /// Every key and whether it is rejected.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&Key, bool)> {
        self.table.iter().map(|entry| (&entry.key, entry.rejected))
    }

    /// The workspace of a key that is not rejected.
    pub(crate) fn workspace(&self, key: &str) -> Option<&str> {
        self.usable(key).map(|key| key.workspace.as_str())
    }

    /// Decides whether a call with this `Authorization` header may use an endpoint with this permission.
    pub(crate) fn authorize(
        &self,
        header: Option<&str>,
        source: Option<IpAddr>,
        permission: &str,
    ) -> Result<&str, Refusal> {
        let header = header.unwrap_or_default();
        let Some(key) = bearer(header).and_then(|key| self.usable(key)) else {
            return Err(Refusal::Unknown {
                sent: bearer(header).unwrap_or(header).to_owned(),
            });
        };
        if !key.sources.is_empty() && !source.is_some_and(|source| key.sources.contains(&source)) {
            return Err(Refusal::Source);
        }
        if !key.permissions.iter().any(|held| held == permission) {
            return Err(Refusal::Permission);
        }
        Ok(&key.workspace)
    }

    fn usable(&self, key: &str) -> Option<&Key> {
        self.table
            .iter()
            .find(|entry| entry.key.key == key && !entry.rejected)
            .map(|entry| &entry.key)
    }
}

/// The key in `Bearer <key>`; none in a header of any other form.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    header.strip_prefix("Bearer ")
}

/// A mark to tell keys apart without showing them: eight hexadecimal digits of the hash and the last four characters.
pub(crate) fn mark(key: &str) -> String {
    let hash: String = Sha256::digest(key.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let skip = key.chars().count().saturating_sub(4);
    let last: String = key.chars().skip(skip).collect();
    format!("{hash}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_one_space_and_the_key_is_good() {
        let keys = Keys::new(vec![Key::new("k-1")]);
        assert_eq!(keys.authorize(Some("Bearer k-1"), None, "users.track"), Ok("default"));
        for header in [
            "k-1",
            "bearer k-1",
            "Bearer  k-1",
            "Bearer k-1 ",
            "Bearer \"k-1\"",
            "Basic k-1",
            "",
        ] {
            assert!(keys.authorize(Some(header), None, "users.track").is_err(), "{header:?}");
        }
        assert_eq!(
            keys.authorize(None, None, "users.track"),
            Err(Refusal::Unknown { sent: String::new() })
        );
    }

    #[test]
    fn a_mark_shows_four_characters_and_differs_for_keys_that_share_them() {
        assert!(mark("0f3c-1234").ends_with("…1234"));
        assert!(!mark("0f3c-1234").contains("0f3c-"));
        assert_ne!(mark("a-1234"), mark("b-1234"));
    }
}
