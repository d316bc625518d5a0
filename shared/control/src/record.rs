//! Resources as records of the control table, keyed `<kind>/<resource name>`.

use bytes::Bytes;
use kafka::{Change, Entry};
use prost::Message;
use proto::control::v1::ControlRecord;

use crate::Error;

/// A map that resources are read from: the table, a mutation's view of it, or a test's own.
pub(crate) trait State {
    fn get(&self, key: &str) -> Option<Entry>;
    /// Entries whose key begins with `prefix`, ascending.
    fn scan(&self, prefix: &str) -> Vec<(String, Entry)>;
}

impl State for kafka::Table {
    fn get(&self, key: &str) -> Option<Entry> {
        Self::get(self, key)
    }
    fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        Self::scan(self, prefix)
    }
}

impl State for kafka::View {
    fn get(&self, key: &str) -> Option<Entry> {
        Self::get(self, key)
    }
    fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        Self::scan(self, prefix)
    }
}

/// Something that the control table keeps.
pub(crate) trait Resource: Sized {
    /// First part of the key, with its `/`.
    const KIND: &'static str;

    fn name(&self) -> String;
    fn to_record(&self) -> ControlRecord;
    /// `None` when the record holds something else, or not enough.
    fn from_record(record: ControlRecord, revision: u64) -> Option<Self>;

    fn put(&self) -> Change {
        Change::Put {
            key: key::<Self>(&self.name()),
            value: Bytes::from(self.to_record().encode_to_vec()),
        }
    }
}

pub(crate) fn key<R: Resource>(name: &str) -> String {
    format!("{}{name}", R::KIND)
}

pub(crate) fn delete<R: Resource>(name: &str) -> Change {
    Change::Delete { key: key::<R>(name) }
}

fn decode<R: Resource>(key: &str, entry: Entry) -> Result<R, Error> {
    ControlRecord::decode(entry.value)
        .ok()
        .and_then(|record| R::from_record(record, entry.revision))
        .ok_or_else(|| Error::Corrupt { key: key.to_owned() })
}

pub(crate) fn find<R: Resource>(state: &impl State, name: &str) -> Result<Option<R>, Error> {
    let key = key::<R>(name);
    state.get(&key).map(|entry| decode(&key, entry)).transpose()
}

/// As [`find`], where it must be there.
pub(crate) fn fetch<R: Resource>(state: &impl State, name: &str) -> Result<R, Error> {
    find(state, name)?.ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// That `name`, which is at revision `present` if it exists, is where an edit was based on: at revision `wanted`, where 0 is
/// that it does not exist; anywhere, if the edit does not say.
pub(crate) fn check_revision(name: &str, present: Option<u64>, wanted: Option<u64>) -> Result<(), Error> {
    match (present, wanted) {
        (_, None) | (None, Some(0)) => Ok(()),
        (Some(present), Some(wanted)) if present == wanted => Ok(()),
        (Some(present), Some(0)) => Err(Error::Stale(format!("{name} exists already, at revision {present}"))),
        (Some(present), Some(wanted)) => Err(Error::Stale(format!("{name} is at revision {present}, not {wanted}"))),
        (None, Some(wanted)) => Err(Error::Stale(format!(
            "{name} is not at revision {wanted}: it does not exist"
        ))),
    }
}

/// All resources whose name begins with `prefix`, ascending by name. One that cannot be read is logged and left out, so that
/// it does not hide the others.
pub(crate) fn all<R: Resource>(state: &impl State, prefix: &str) -> impl Iterator<Item = (String, R)> {
    scan(state, prefix).filter_map(|(name, resource)| Some((name, resource?)))
}

/// As [`all`], with `None` where one cannot be read (it is logged): it exists all the same.
pub(crate) fn scan<R: Resource>(state: &impl State, prefix: &str) -> impl Iterator<Item = (String, Option<R>)> {
    state.scan(&key::<R>(prefix)).into_iter().map(|(key, entry)| {
        let resource = decode(&key, entry).inspect_err(|error| tracing::error!(key, "{error}"));
        (key[R::KIND.len()..].to_owned(), resource.ok())
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::BTreeMap;

    use super::*;

    /// A table without Kafka; applies changes as the table would.
    #[derive(Clone, Default)]
    pub(crate) struct Map(BTreeMap<String, Entry>, u64);

    impl Map {
        pub(crate) fn apply<T>(&mut self, decided: Result<(Vec<Change>, T), Error>) -> Result<T, Error> {
            let (changes, value) = decided?;
            for change in changes {
                self.1 += 1;
                match change {
                    Change::Put { key, value } => self.0.insert(
                        key,
                        Entry {
                            value,
                            revision: self.1,
                        },
                    ),
                    Change::Delete { key } => self.0.remove(&key),
                };
            }
            Ok(value)
        }

        pub(crate) fn keys(&self) -> Vec<&str> {
            self.0.keys().map(String::as_str).collect()
        }

        pub(crate) fn insert(&mut self, key: &str, value: &[u8]) {
            self.1 += 1;
            self.0.insert(
                key.to_owned(),
                Entry {
                    value: Bytes::copy_from_slice(value),
                    revision: self.1,
                },
            );
        }
    }

    impl State for Map {
        fn get(&self, key: &str) -> Option<Entry> {
            self.0.get(key).cloned()
        }
        fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
            self.0
                .range(prefix.to_owned()..)
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, entry)| (key.clone(), entry.clone()))
                .collect()
        }
    }
}
