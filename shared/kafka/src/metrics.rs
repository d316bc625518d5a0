//! Metric names of this crate.

use metrics::{Unit, describe_gauge};

/// Records handed to a publisher whose request has not been answered yet.
pub const QUEUE_RECORDS: &str = "kafka_publish_queue_records";
/// Bytes (keys and values) of those records.
pub const QUEUE_BYTES: &str = "kafka_publish_queue_bytes";

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
}
