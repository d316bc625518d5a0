//! A transactional producer: all records of a commit become visible together, and one writer at a time.

use std::time::Duration;

use crate::{Ack, Config, Error, RecordOut};

/// Writes transactions under one transactional id; blocking.
pub struct TransactionalWriter;

impl TransactionalWriter {
    /// A writer that has fenced every earlier one of the same id (the topic prefix is put before it).
    pub fn init(config: &Config, id: &str, timeout: Duration) -> Result<Self, Error> {
        let _ = (config, id, timeout);
        unimplemented!()
    }

    /// Begin, produce, commit. After [`Error::Aborted`] the writer goes on; after any other error drop it.
    pub fn commit(&mut self, records: Vec<RecordOut>) -> Result<Vec<Ack>, Error> {
        let _ = records;
        unimplemented!()
    }
}
