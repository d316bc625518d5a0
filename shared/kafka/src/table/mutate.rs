//! Compare-and-set by transaction.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry::Context;
use rand::Rng;
use uuid::Uuid;

use super::follow::PARTITION;
use super::look::Look;
use super::{Table, View};
use crate::headers::{self, MUTATION_ID};
use crate::{Error, RecordOut, TransactionalWriter};

/// How long each step that waits for Kafka may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts after the first.
const RETRIES: u32 = 5;
/// Upper bound of the random pause before a retry, times the number of the attempt.
const JITTER: Duration = Duration::from_millis(100);

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

/// Why a mutation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MutateError<E> {
    /// The deciding function refused.
    #[error("the change was refused")]
    Decided(E),
    /// Other writers were faster every time; nothing was written.
    #[error("other writers were faster; try again")]
    Aborted,
    /// Kafka is not available (after [`Error::Unknown`] the change may have been written), or does not take these records
    /// (see [`Error::disposition`]).
    #[error("the table cannot be written")]
    Unavailable(#[source] Error),
}

impl Table {
    /// Changes the table: `decide` sees it as it is, and what it returns is written if nobody else wrote in between; if
    /// somebody did, `decide` is asked again, up to six times in all. It must be pure and quick, and check whatever the
    /// change depends on: the revision that the caller's edit was based on, uniqueness, free slots.
    ///
    /// Returns what was decided, and the revision that each change made. The changes are visible in this table when it
    /// returns (unless Kafka goes away right after the commit), and in every other table well within a second.
    ///
    /// # Errors
    /// See [`MutateError`].
    pub async fn mutate<T, E>(
        &self,
        decide: impl Fn(&View) -> Result<(Vec<Change>, T), E> + Send + Sync + 'static,
    ) -> Result<(T, Vec<u64>), MutateError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let _turn = self.inner.turn.lock().await;
        let awaited = Awaited::new(self);
        // What was decided before a commit that failed, and how it failed.
        let mut doubtful: Option<(T, Error)> = None;
        for attempt in 0..=RETRIES + 1 {
            if attempt > 0 {
                let pause = rand::rng().random_range(Duration::ZERO..JITTER * attempt);
                tokio::time::sleep(pause).await;
            }
            let writer = match self.take_over().await {
                Ok(writer) => writer,
                // Somebody took over while we did.
                Err(Error::Fenced { .. }) => continue,
                Err(error) => return Err(MutateError::Unavailable(error)),
            };
            // Nobody else can write now, and the view is complete: what an earlier attempt wrote is in it, or never will be.
            if let Some((value, _)) = doubtful.take() {
                let revisions = awaited.revisions();
                if !revisions.is_empty() {
                    retire(writer);
                    return Ok((value, revisions));
                }
            }
            if attempt > RETRIES {
                retire(writer);
                break;
            }
            let (changes, value) = match decide(&self.view()) {
                Ok((changes, value)) if changes.is_empty() => {
                    retire(writer);
                    return Ok((value, Vec::new()));
                }
                Ok(decided) => decided,
                Err(refusal) => {
                    retire(writer);
                    return Err(MutateError::Decided(refusal));
                }
            };
            match self.commit(writer, changes, &awaited.id).await {
                Ok(revisions) => {
                    self.wait_applied(&revisions).await;
                    return Ok((value, revisions));
                }
                Err(error @ (Error::TooLarge { .. } | Error::Refused { .. } | Error::Topic { .. })) => {
                    return Err(MutateError::Unavailable(error));
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a mutation is tried again");
                    doubtful = Some((value, error));
                }
            }
        }
        match doubtful {
            Some((_, error @ Error::Unknown { .. })) => Err(MutateError::Unavailable(error)),
            _ => Err(MutateError::Aborted),
        }
    }

    /// Fences every other writer and reads to the end.
    async fn take_over(&self) -> Result<TransactionalWriter, Error> {
        let inner = self.inner.clone();
        let (writer, look, newest) = blocking(move || {
            let mut look = Look::open(&inner.config, &inner.topic)?;
            let writer = TransactionalWriter::init(&inner.config, &inner.transactional_id, STEP_TIMEOUT)?;
            let end = writer.end_offset(&inner.topic, PARTITION)?;
            let known = *inner.shared.applied().borrow();
            let newest = look.newest(known, end, STEP_TIMEOUT)?;
            Ok((writer, look, newest))
        })
        .await?;
        retire(look);
        self.inner.follower.sync(newest, STEP_TIMEOUT).await?;
        Ok(writer)
    }

    async fn commit(
        &self,
        mut writer: TransactionalWriter,
        changes: Vec<Change>,
        mutation_id: &str,
    ) -> Result<Vec<u64>, Error> {
        let records = changes
            .into_iter()
            .map(|change| self.record(change, mutation_id))
            .collect();
        let acks = blocking(move || writer.commit(records)).await?;
        Ok(acks
            .into_iter()
            .filter_map(|ack| u64::try_from(ack.offset + 1).ok())
            .collect())
    }

    fn record(&self, change: Change, mutation_id: &str) -> RecordOut {
        let record = RecordOut::new(&self.inner.topic).partition(PARTITION);
        let record = match change {
            Change::Put { key, value } => record
                .key(key)
                .payload(value)
                .headers(headers::standard(self.inner.value_type, &Context::new())),
            Change::Delete { key } => record.key(key),
        };
        record.header(MUTATION_ID, mutation_id.to_owned())
    }

    async fn wait_applied(&self, revisions: &[u64]) {
        let last = revisions.iter().copied().max().unwrap_or_default();
        let mut applied = self.inner.shared.applied();
        let waited = tokio::time::timeout(STEP_TIMEOUT, applied.wait_for(|applied| *applied >= last)).await;
        if !matches!(waited, Ok(Ok(_))) {
            tracing::warn!(
                kafka.topic = self.inner.topic,
                "a committed mutation could not be read back yet"
            );
        }
    }
}

/// A mutation id whose records the follower looks out for.
struct Awaited<'a> {
    table: &'a Table,
    id: String,
}

impl<'a> Awaited<'a> {
    fn new(table: &'a Table) -> Self {
        let id = Uuid::new_v4().to_string();
        table.inner.shared.await_mutation(&id);
        Self { table, id }
    }

    fn revisions(&self) -> Vec<u64> {
        self.table.inner.shared.revisions_of(&self.id)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.table.inner.shared.forget(&self.id);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
}

/// Closes a client's connections, which may take a moment.
fn retire(client: impl Send + 'static) {
    drop(tokio::task::spawn_blocking(move || drop(client)));
}
