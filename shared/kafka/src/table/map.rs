//! The map, and what the follower tells its readers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;

type Map = BTreeMap<String, Entry>;

/// A value of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// One more than the offset of the record that wrote it; never 0, grows with every write of the table.
    pub revision: u64,
}

/// The table at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    map: Arc<Map>,
}

impl View {
    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.map.get(key).cloned()
    }

    /// All entries whose key begins with `prefix`, by key.
    pub fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        let from = self
            .map
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }
}

/// One record of the topic.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) key: String,
    /// `None` is a tombstone.
    pub(super) value: Option<Bytes>,
    pub(super) revision: u64,
}

impl Applied {
    pub(super) fn to(self, map: &mut Map) {
        match self.value {
            Some(value) => map.insert(
                self.key,
                Entry {
                    value,
                    revision: self.revision,
                },
            ),
            None => map.remove(&self.key),
        };
    }
}

/// What the follower and the handles share.
pub(super) struct Shared {
    view: RwLock<View>,
    applied: watch::Sender<u64>,
    complete_at: Mutex<Option<Instant>>,
    /// Mutation ids somebody waits for, and the revisions seen of them.
    awaited: Mutex<HashMap<String, Vec<u64>>>,
    last_error: Mutex<Option<Error>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            view: RwLock::default(),
            applied: watch::Sender::new(0),
            complete_at: Mutex::default(),
            awaited: Mutex::default(),
            last_error: Mutex::default(),
        }
    }
}

impl Shared {
    pub(super) fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies records in one step, so that readers see those of a transaction together as far as they arrive together.
    pub(super) fn apply(&self, records: &mut Vec<Applied>) {
        let Some(last) = records.last().map(|record| record.revision) else {
            return;
        };
        {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            // Copies the map only while somebody holds a view of it.
            let map = Arc::make_mut(&mut view.map);
            records.drain(..).for_each(|record| record.to(map));
        }
        self.applied.send_replace(last);
    }

    /// Replaces the map by one loaded anew, of which `last` is the highest revision.
    pub(super) fn replace(&self, map: Map, last: u64) {
        self.view.write().unwrap_or_else(PoisonError::into_inner).map = Arc::new(map);
        self.applied.send_replace(last);
    }

    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    pub(super) fn complete_at(&self) -> Option<Instant> {
        *lock(&self.complete_at)
    }

    pub(super) fn set_complete_at(&self, at: Instant) {
        *lock(&self.complete_at) = Some(at);
        *lock(&self.last_error) = None;
    }

    pub(super) fn last_error(&self) -> Option<Error> {
        lock(&self.last_error).clone()
    }

    pub(super) fn set_last_error(&self, error: Error) {
        *lock(&self.last_error) = Some(error);
    }

    /// From now on the revisions of this mutation's records are kept, until [`Shared::forget`].
    pub(super) fn await_mutation(&self, id: &str) {
        lock(&self.awaited).insert(id.to_owned(), Vec::new());
    }

    pub(super) fn forget(&self, id: &str) {
        lock(&self.awaited).remove(id);
    }

    pub(super) fn revisions_of(&self, id: &str) -> Vec<u64> {
        lock(&self.awaited).get(id).cloned().unwrap_or_default()
    }

    /// A record with this mutation id was read.
    pub(super) fn saw_mutation(&self, id: &[u8], revision: u64) {
        let mut awaited = lock(&self.awaited);
        if let Some(revisions) = std::str::from_utf8(id).ok().and_then(|id| awaited.get_mut(id)) {
            revisions.push(revision);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panicked elsewhere, every write above is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &'static str, revision: u64) -> Applied {
        Applied {
            key: key.to_owned(),
            value: Some(Bytes::from(value)),
            revision,
        }
    }

    #[test]
    fn the_last_record_of_a_key_decides_and_a_tombstone_removes_it() {
        let shared = Shared::default();
        let tombstone = Applied {
            key: "b".to_owned(),
            value: None,
            revision: 4,
        };
        shared.apply(&mut vec![
            put("a", "1", 1),
            put("b", "1", 2),
            put("a", "2", 3),
            tombstone,
        ]);
        assert_eq!(
            shared.view().get("a"),
            Some(Entry {
                value: "2".into(),
                revision: 3
            })
        );
        assert_eq!(shared.view().get("b"), None);
        assert_eq!(*shared.applied().borrow(), 4);
    }

    #[test]
    fn a_scan_gives_the_keys_with_the_prefix_in_order() {
        let shared = Shared::default();
        shared.apply(&mut vec![
            put("job/2", "", 1),
            put("jobs", "", 2),
            put("job/1", "", 3),
            put("auth/1", "", 4),
        ]);
        let keys: Vec<_> = shared.view().scan("job/").into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["job/1", "job/2"]);
    }

    #[test]
    fn a_view_stays_as_it_was() {
        let shared = Shared::default();
        shared.apply(&mut vec![put("a", "1", 1)]);
        let before = shared.view();
        shared.apply(&mut vec![put("a", "2", 2)]);
        assert_eq!(before.get("a").map(|entry| entry.revision), Some(1));
    }

    #[test]
    fn only_awaited_mutations_are_remembered() {
        let shared = Shared::default();
        shared.saw_mutation(b"x", 1);
        shared.await_mutation("x");
        shared.saw_mutation(b"x", 2);
        shared.saw_mutation(b"y", 3);
        assert_eq!(shared.revisions_of("x"), [2]);
        shared.forget("x");
        assert_eq!(shared.revisions_of("x"), [0_u64; 0]);
    }
}
