//! Metric names of this crate.

use metrics::{Unit, describe_counter, describe_gauge};

/// Records handed to a publisher whose request has not been answered yet.
pub const QUEUE_RECORDS: &str = "kafka_publish_queue_records";
/// Bytes (keys and values) of those records.
pub const QUEUE_BYTES: &str = "kafka_publish_queue_bytes";

/// Offsets committed for lag tools, by result: committed, failed. Label `result`.
pub const OFFSET_COMMITS_TOTAL: &str = "kafka_offset_commits_total";

/// Describes the metrics to the installed recorder.
pub fn describe() {
    describe_gauge!(
        QUEUE_RECORDS,
        Unit::Count,
        "records waiting for Kafka's acknowledgement"
    );
    describe_gauge!(
        QUEUE_BYTES,
        Unit::Bytes,
        "bytes of the records waiting for Kafka's acknowledgement"
    );
    describe_counter!(
        OFFSET_COMMITS_TOTAL,
        "offsets committed to consumer groups for lag tools, by result (committed, failed)"
    );
}
