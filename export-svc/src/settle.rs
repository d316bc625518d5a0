//! What is written down: outcomes into positions and counters, and those into progress.
//!
//! Progress is one transaction per workspace, about once a second while something changes: the workspace's record (what
//! opposite values must wait for, whether it is released) and a record per changed feed. Every key is complete in itself. The
//! same transactions are the lease: a request may start only if one that *began* less than `lease` ago has committed, and a
//! new owner's `init_transactions` makes every further one of ours fail.

mod writer;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka::{Config, Polled, Position, Reader, ReaderOptions, RecordOut, Topics, TransactionalWriter};
use opentelemetry::Context;
use prost::Message;
use proto::export::v1::{FeedProgress, NotBefore, WorkspaceProgress};

use crate::clock::Time;
use crate::hash::stable_hash;
use crate::order::Unsettled;
use crate::placement::Stop;
pub(crate) use writer::ProgressWriter;

/// Entries that a progress record carries: some 800 KB, below Kafka's usual limit of a megabyte.
pub(crate) const NOT_BEFORE_MAX: usize = 30_000;

/// Key of a feed's progress.
pub(crate) fn feed_key(workspace: &str, job_id: &str, slug: &str) -> String {
    format!("{workspace}/{job_id}/{slug}")
}

/// The id of the job that a [`feed_key`] names.
pub(crate) fn job_of<'a>(workspace: &str, feed_key: &'a str) -> Option<&'a str> {
    feed_key.strip_prefix(workspace)?.strip_prefix('/')?.split('/').next()
}

/// The partition of `export-progress` that a workspace writes to. Never changes for a given partition count.
pub(crate) fn progress_partition(workspace: &str, partitions: usize) -> i32 {
    let partitions = u64::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(stable_hash(&[workspace.as_bytes()]) % partitions).unwrap_or(0)
}

/// What a predecessor wrote.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// `None`: nobody has ever served this workspace.
    pub(crate) workspace: Option<WorkspaceProgress>,
    /// By progress key.
    pub(crate) feeds: HashMap<String, FeedProgress>,
    /// Where this workspace's progress is written.
    pub(crate) partition: i32,
}

/// Reads a workspace's progress to its end. Call it after `init_transactions`: nobody can add to it then.
///
/// # Errors
/// When Kafka cannot be read within its `open_timeout` or before the time of `stop` is over, or a record is not progress.
pub(crate) fn restore(
    config: &Config,
    writer: &TransactionalWriter,
    workspace: &str,
    stop: &Stop,
) -> Result<Restored, crate::engine::Error> {
    let topic = Topics::new(config).export_progress();
    let mut reader = Reader::open(config, ReaderOptions::default())?;
    let partitions = reader.partitions(&topic)?;
    let mut restored = Restored {
        partition: progress_partition(workspace, partitions.len()),
        ..Restored::default()
    };
    reader.assign(&topic, &[(restored.partition, Position::Beginning)])?;
    // A read-committed reader is told of an end before the first open transaction, perhaps of another workspace; what we
    // committed may lie behind it. So the end counts only once everything up to `end` may be seen.
    let end = writer.end_offset(&topic, restored.partition)?;
    let mut visible = reader.watermarks(&topic, restored.partition)?.1 >= end;
    let deadline = Instant::now() + config.open_timeout;
    let feeds_prefix = format!("{workspace}/");
    while Instant::now() < deadline {
        if stop.is_overdue() {
            return Err(crate::engine::Error::Undrained);
        }
        let mut ended = false;
        match reader.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(error)) if error.disposition() == kafka::Disposition::Retry => {}
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(Polled::Eof { .. })) if visible => return Ok(restored),
            Some(Ok(Polled::Eof { .. })) => ended = true,
            Some(Ok(Polled::Record(record))) => {
                let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) else {
                    continue;
                };
                if key == workspace {
                    restored.workspace = record.payload().map(WorkspaceProgress::decode).transpose()?;
                } else if key.starts_with(&feeds_prefix) {
                    match record.payload().map(FeedProgress::decode).transpose()? {
                        Some(progress) => restored.feeds.insert(key.to_owned(), progress),
                        None => restored.feeds.remove(key),
                    };
                }
            }
        }
        if ended {
            visible = reader.watermarks(&topic, restored.partition)?.1 >= end;
            let position = reader.position(restored.partition).unwrap_or(Position::Beginning);
            reader.seek(restored.partition, position)?;
        }
    }
    Err(crate::engine::Error::ProgressTimeout {
        topic,
        waited: config.open_timeout,
    })
}

/// The records of one progress transaction.
pub(crate) struct ProgressRecords<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) workspace: &'a str,
}

impl ProgressRecords<'_> {
    pub(crate) fn workspace(&self, progress: &WorkspaceProgress) -> RecordOut {
        self.record(self.workspace, "lytics.export.v1.WorkspaceProgress")
            .payload(progress.encode_to_vec())
    }

    pub(crate) fn feed(&self, key: &str, progress: &FeedProgress) -> RecordOut {
        self.record(key, "lytics.export.v1.FeedProgress")
            .payload(progress.encode_to_vec())
    }

    pub(crate) fn tombstone(&self, key: &str) -> RecordOut {
        self.record(key, "lytics.export.v1.FeedProgress")
    }

    fn record(&self, key: &str, message_type: &'static str) -> RecordOut {
        let record = RecordOut::new(self.topic)
            .partition(self.partition)
            .key(Bytes::copy_from_slice(key.as_bytes()));
        RecordOut {
            headers: kafka::headers::standard(message_type, &Context::new()),
            ..record
        }
    }
}

pub(crate) fn to_wire(unsettled: &Unsettled) -> NotBefore {
    NotBefore {
        key: unsettled.key,
        add: unsettled.add,
        time: Some(timestamp(unsettled.until)),
    }
}

pub(crate) fn from_wire(not_before: &NotBefore) -> Unsettled {
    Unsettled {
        key: not_before.key,
        add: not_before.add,
        until: from_timestamp(not_before.time.unwrap_or_default()),
    }
}

pub(crate) fn from_timestamp(time: prost_types::Timestamp) -> Time {
    let millis = time.seconds.saturating_mul(1_000);
    Time::from_millis(millis.saturating_add(i64::from(time.nanos) / 1_000_000))
}

pub(crate) fn timestamp(time: Time) -> prost_types::Timestamp {
    let millis = time.as_millis();
    let nanos = i32::try_from(millis.rem_euclid(1_000)).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp {
        seconds: millis.div_euclid(1_000),
        nanos,
    }
}

#[cfg(test)]
mod tests {
    use kafka::testing::OpenTransaction;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn what_must_wait_survives_the_round_trip_to_the_millisecond() {
        let unsettled = Unsettled {
            key: u64::MAX,
            add: true,
            until: Time::from_millis(1_795_000_000_123),
        };
        assert_eq!(from_wire(&to_wire(&unsettled)), unsettled);
    }

    #[test]
    fn as_many_doubts_as_may_be_remembered_fit_one_record() {
        let doubt = Unsettled {
            key: u64::MAX,
            add: true,
            until: Time::from_millis(1_795_000_000_123),
        };
        let progress = WorkspaceProgress {
            not_before: vec![to_wire(&doubt); NOT_BEFORE_MAX],
            ..WorkspaceProgress::default()
        };
        assert!(progress.encoded_len() < 900_000, "{}", progress.encoded_len());
    }

    #[test]
    fn a_workspace_keeps_its_partition_and_workspaces_spread() {
        assert_eq!(progress_partition("1234.main", 16), progress_partition("1234.main", 16));
        let used: std::collections::HashSet<_> = (0..100).map(|n| progress_partition(&format!("1.{n}"), 16)).collect();
        assert_eq!(used.len(), 16);
        assert!(used.iter().all(|partition| (0..16).contains(partition)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_committed_behind_an_open_transaction_of_another_workspace_is_waited_for() {
        let name = "settle::what_was_committed_behind_an_open_transaction_of_another_workspace_is_waited_for";
        let Some(config) = kafka::testing::real_only(name) else {
            return;
        };
        kafka::topics::ensure(&config, &[]).await.unwrap();
        let config = Config {
            open_timeout: Duration::from_secs(3),
            ..config
        };
        let test = move || {
            let topic = Topics::new(&config).export_progress();
            let partitions = Reader::open(&config, ReaderOptions::default()).unwrap();
            let partition = progress_partition("1234.main", partitions.partitions(&topic).unwrap().len());
            let another = OpenTransaction::begin(&config, "another", &topic, &[partition]).unwrap();
            let mut writer = TransactionalWriter::init(&config, "export-1234.main", Duration::from_secs(10)).unwrap();
            let records = ProgressRecords {
                topic: &topic,
                partition,
                workspace: "1234.main",
            };
            writer
                .commit(vec![records.workspace(&WorkspaceProgress::default())])
                .unwrap();
            let stop = Stop::child_of(&CancellationToken::new());
            let hidden = restore(&config, &writer, "1234.main", &stop);
            assert!(
                matches!(hidden, Err(crate::engine::Error::ProgressTimeout { .. })),
                "{hidden:?}"
            );
            another.abort().unwrap();
            let restored = restore(&config, &writer, "1234.main", &stop).unwrap();
            assert_eq!(restored.workspace, Some(WorkspaceProgress::default()));
        };
        tokio::task::spawn_blocking(test).await.unwrap();
    }
}
