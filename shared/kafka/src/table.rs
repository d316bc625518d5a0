//! Control state: a compacted topic of one partition as a map in memory.

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Config, Error};

/// A value of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// One more than the offset of the record that wrote it; never 0, grows with every write of the table.
    pub revision: u64,
}

/// One write of a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set a key.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: Bytes,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
}

/// The table as a mutation sees it.
pub struct View;

impl View {
    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        let _ = key;
        unimplemented!()
    }

    /// All entries whose key begins with `prefix`, by key.
    pub fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        let _ = prefix;
        unimplemented!()
    }
}

/// Why a mutation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MutateError<E> {
    /// The deciding function refused.
    #[error("refused")]
    Decided(E),
    /// Other writers were faster every time.
    #[error("other writers were faster; try again")]
    Aborted,
    /// Kafka is not available.
    #[error("the control table cannot be written")]
    Unavailable(#[source] Error),
}

/// A compacted topic as a map. Cheap to clone.
#[derive(Clone)]
pub struct Table;

impl Table {
    /// Loads the table to its end; tries until `config.open_timeout` has passed.
    pub async fn open(config: &Config, topic: &str, transactional_id: &str) -> Result<Self, Error> {
        let _ = (config, topic, transactional_id);
        unimplemented!()
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        let _ = key;
        unimplemented!()
    }

    /// All entries whose key begins with `prefix`, by key.
    pub fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        let _ = prefix;
        unimplemented!()
    }

    /// Whether the table was known to be complete within the last 30 s before `now`.
    pub fn is_fresh(&self, now: Instant) -> bool {
        let _ = now;
        unimplemented!()
    }

    /// Bumps with every applied record.
    pub fn changed(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// Changes the table: `decide` sees it as it is, and what it returns is written if nobody wrote in between.
    /// Returns what it decided and one revision per change.
    pub async fn mutate<T, E>(
        &self,
        decide: impl Fn(&View) -> Result<(Vec<Change>, T), E> + Send + Sync + 'static,
    ) -> Result<(T, Vec<u64>), MutateError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let _ = decide;
        unimplemented!()
    }
}
