//! Names of the metrics, and what they mean. Labels are bounded: never an account, a stream or anything a sender chose.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Answers of the HTTP port, by `status`.
pub const REQUESTS: &str = "ingest_requests_total";
/// Answers other than 200, by `reason`: why, in a word.
pub const REFUSED: &str = "ingest_refused_total";
/// Seconds from the head of a request to its answer.
pub const REQUEST_SECONDS: &str = "ingest_request_seconds";
/// Requests refused because a bound was reached, by `bound`: `requests`, `bulk`, `uploads`, `held_bytes`, `body_bytes`, `records`,
/// `body_time`, `growth`, and of one token `token_rate`, `token_requests`.
pub const BOUNDS_REACHED: &str = "ingest_bounds_reached_total";
/// Requests in progress; bound `http.requests_max`.
pub const REQUESTS_IN_PROGRESS: &str = "ingest_requests_in_progress";
/// Uploads through `/collect/bulk` in progress; bound `http.bulk_max`.
pub const BULK_IN_PROGRESS: &str = "ingest_bulk_in_progress";
/// Pieces of files being uploaded; bound `imports.uploads_max`.
pub const UPLOADS_IN_PROGRESS: &str = "ingest_uploads_in_progress";
/// Bytes of bodies, and of records of gRPC streams, held; bound `http.held_bytes_max`.
pub const HELD_BYTES: &str = "ingest_held_bytes";
/// Tokens that data was sent with in the last seconds; no more than there are tokens.
pub const TOKENS_IN_USE: &str = "ingest_tokens_in_use";
/// Raw records taken in, by `source` and `outcome`: `published`, `not_wanted`, `rejected`, `unacknowledged`.
pub const RECORDS: &str = "ingest_records_total";
/// Records on the rejected topic, by `reason`.
pub const REJECTED: &str = "ingest_rejected_total";
/// Identity values left out because they are longer than 256 bytes.
pub const IDENTITIES_DROPPED: &str = "ingest_identities_dropped_total";
/// Seconds from handing records to the producer to the last acknowledgement.
pub const PUBLISH_SECONDS: &str = "ingest_publish_seconds";
/// Tails being served; bound [`TAILS_MAX`](crate::config::TAILS_MAX).
pub const TAILS: &str = "ingest_tails";
/// Mappings of accounts that this version of the service cannot compile.
pub const MAPPINGS_BROKEN: &str = "ingest_mappings_broken";
/// Records for mappings that run beside the live ones, by `outcome`: `same`, `different`, `passed_over`.
pub const SHADOW_RECORDS: &str = "ingest_shadow_records_total";
/// Requests whose records wait to be compared; bound 64, and 4 MiB of records.
pub const SHADOW_WAITING: &str = "ingest_shadow_waiting";
/// Files of import jobs that are being read here; bound `imports.files_max`.
pub const IMPORT_FILES_READING: &str = "ingest_import_files_reading";
/// Files of import jobs that wait for their turn here.
pub const IMPORT_FILES_WAITING: &str = "ingest_import_files_waiting";
/// Files of import jobs that came to an end here, by `outcome`: `done`, `bad`, `skipped`.
pub const IMPORT_FILES: &str = "ingest_import_files_total";
/// Rows of files of import jobs whose records Kafka has, or that were passed over.
pub const IMPORT_ROWS: &str = "ingest_import_rows_total";
/// Bytes of those files, as they are stored.
pub const IMPORT_BYTES: &str = "ingest_import_bytes_total";
/// Seconds for which the longest overdue job of ours has waited for a look for files.
pub const IMPORT_LOOK_LATE_SECONDS: &str = "ingest_import_look_late_seconds";
/// Writes to the progress table of import jobs, by `outcome`: `written`, `failed`.
pub const IMPORT_PROGRESS_WRITES: &str = "ingest_import_progress_writes_total";

/// Registers the descriptions with the installed recorder.
pub fn describe() {
    kafka::metrics::describe();
    describe_counter!(REQUESTS, "Answers to webhooks, by status");
    describe_counter!(REFUSED, "Answers to webhooks other than 200, by reason");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the head of a request to its answer"
    );
    describe_counter!(BOUNDS_REACHED, "Requests refused because a bound was reached, by bound");
    describe_gauge!(REQUESTS_IN_PROGRESS, "Requests in progress; bound http.requests_max");
    describe_gauge!(BULK_IN_PROGRESS, "Bulk uploads in progress; bound http.bulk_max");
    describe_gauge!(
        UPLOADS_IN_PROGRESS,
        "Pieces of files being uploaded; bound imports.uploads_max"
    );
    describe_gauge!(
        HELD_BYTES,
        Unit::Bytes,
        "Bytes of bodies and records held; bound http.held_bytes_max"
    );
    describe_gauge!(TOKENS_IN_USE, "Tokens that data was sent with in the last seconds");
    describe_counter!(RECORDS, "Raw records taken in, by source and outcome");
    describe_counter!(REJECTED, "Records kept on the rejected topic, by reason");
    describe_counter!(IDENTITIES_DROPPED, "Identity values left out because they are too long");
    describe_histogram!(
        PUBLISH_SECONDS,
        Unit::Seconds,
        "Time from handing records to the producer to the last ack"
    );
    describe_gauge!(TAILS, "Event tails being served");
    describe_gauge!(MAPPINGS_BROKEN, "Mappings of accounts that do not compile here");
    describe_counter!(
        SHADOW_RECORDS,
        "Records for mappings that run beside the live ones, by outcome"
    );
    describe_gauge!(SHADOW_WAITING, "Requests whose records wait to be compared; bound 64");
    describe_gauge!(
        IMPORT_FILES_READING,
        "Files of import jobs being read; bound imports.files_max"
    );
    describe_gauge!(IMPORT_FILES_WAITING, "Files of import jobs that wait for their turn");
    describe_counter!(IMPORT_FILES, "Files of import jobs that came to an end, by outcome");
    describe_counter!(IMPORT_ROWS, "Rows of files of import jobs that were read");
    describe_counter!(
        IMPORT_BYTES,
        Unit::Bytes,
        "Bytes of files of import jobs that were read"
    );
    describe_gauge!(
        IMPORT_LOOK_LATE_SECONDS,
        Unit::Seconds,
        "How long the longest overdue import job has waited for a look"
    );
    describe_counter!(
        IMPORT_PROGRESS_WRITES,
        "Writes to the progress table of import jobs, by outcome"
    );
}
