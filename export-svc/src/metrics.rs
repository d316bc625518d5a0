//! Names of the API's metrics, and what they mean; the engine's are with the engine. Labels are bounded: never an account, a
//! slug or anything a sender chose.

use ::metrics::{Unit, counter, describe_counter, describe_histogram};

/// Membership changes that callers published over gRPC, by `outcome`: `published`, `rejected`, `unacknowledged`.
pub(crate) const PUBLISHED: &str = "export_membership_published_total";
/// Seconds from handing a window of changes to the producer to its last acknowledgement.
pub(crate) const PUBLISH_SECONDS: &str = "export_membership_publish_seconds";

/// Registers the descriptions with the installed recorder.
pub(crate) fn describe() {
    kafka::metrics::describe();
    crate::measure::describe();
    describe_counter!(PUBLISHED, "Membership changes published over gRPC, by outcome");
    describe_histogram!(
        PUBLISH_SECONDS,
        Unit::Seconds,
        "Time from handing a window of changes to the producer to its last acknowledgement"
    );
}

/// Counts one change.
pub(crate) fn published(outcome: &'static str) {
    counter!(PUBLISHED, "outcome" => outcome).increment(1);
}
