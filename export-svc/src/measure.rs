//! What the engine counts. Names are constants, labels are bounded.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Membership changes by what became of them: accepted, omitted, rejected. Label `outcome`.
pub const CHANGES_TOTAL: &str = "export_changes_total";
/// Changes that found another profile's of the same Braze user and slug waiting or in flight, counted when they are settled.
pub const IDENTITY_CONFLICTS_TOTAL: &str = "export_identity_conflicts_total";
/// Records read by what they were: wanted, unwanted, tombstone, unreadable. Label `kind`.
pub const RECORDS_TOTAL: &str = "export_records_total";
/// Attempts by how they ended: accepted, refused, unknown. Label `end`.
pub const ATTEMPTS_TOTAL: &str = "export_attempts_total";
/// How long an attempt took.
pub const ATTEMPT_SECONDS: &str = "export_attempt_seconds";
/// Updates (objects) in a request.
pub const REQUEST_UPDATES: &str = "export_request_updates";
/// Changes read and not settled. Label `workspace`.
pub const PENDING: &str = "export_pending_changes";
/// Requests in flight. Label `workspace`.
pub const IN_FLIGHT: &str = "export_requests_in_flight";
/// Changes whose opposite must wait. Label `workspace`.
pub const NOT_BEFORE: &str = "export_not_before_entries";
/// Records not read yet, an upper bound. Label `workspace`.
pub const LAG: &str = "export_lag_records";
/// Age of the oldest change that is not confirmed: read and not settled, or not read yet. Without those of paused jobs. Label
/// `workspace`.
pub const OLDEST_SECONDS: &str = "export_oldest_unconfirmed_seconds";
/// Records that a reader has brought. Labels `workspace`, `reader`: live, catch_up.
pub const READER_RECORDS_TOTAL: &str = "export_reader_records_total";
/// Bytes of their keys and values. Labels as above.
pub const READER_BYTES_TOTAL: &str = "export_reader_bytes_total";
/// How often a reader went elsewhere, and threw away what it had prefetched. Labels as above.
pub const READER_SEEKS_TOTAL: &str = "export_reader_seeks_total";
/// Records before the end of the topic that a reader with feeds has not read, at most. Labels as above.
pub const READER_LAG: &str = "export_reader_lag_records";
/// Feeds that a reader serves. Labels as above.
pub const READER_FEEDS: &str = "export_reader_feeds";
/// Feeds that no reader serves. Labels `workspace`, `reason`: fault, paused, failed, held (by the clock or a user
/// cap), sleeping, full, guarded.
pub const FEEDS_LEFT_OUT: &str = "export_feeds_left_out";
/// How often a guard has paused a job. Label `workspace`.
pub const GUARD_PAUSES_TOTAL: &str = "export_guard_pauses_total";
/// How often members were counted for a guard, by how that ended: counted, failed. Labels `workspace`, `result`.
pub const GUARD_COUNTS_TOTAL: &str = "export_guard_counts_total";
/// Jobs that sleep because something went wrong. Label `workspace`.
pub const SLEEPING_JOBS: &str = "export_sleeping_jobs";
/// Authorizations that Braze refuses, of those that this replica looks after.
pub const UNHEALTHY_AUTHORIZATIONS: &str = "export_unhealthy_authorizations";
/// Entries of the job log by result: written, lost. Label `result`.
pub const LOG_ENTRIES_TOTAL: &str = "export_log_entries_total";
/// Progress transactions by result: committed, aborted, failed. Label `result`.
pub const PROGRESS_TOTAL: &str = "export_progress_commits_total";
/// How often a Braze workspace had to be served anew. Label `reason`: fenced, failed.
pub const RESTARTS_TOTAL: &str = "export_workspace_restarts_total";
/// Slots that this replica owns.
pub const SLOTS: &str = "export_slots_owned";
/// Braze workspaces that this replica serves.
pub const WORKSPACES: &str = "export_workspaces_served";

/// Tells the recorder what each metric means.
pub fn describe() {
    describe_counter!(
        CHANGES_TOTAL,
        "Membership changes settled, by outcome (accepted, omitted, rejected)"
    );
    describe_counter!(
        IDENTITY_CONFLICTS_TOTAL,
        "Changes that met another profile's of the same Braze user and slug: two profiles with one identifier"
    );
    describe_counter!(
        RECORDS_TOTAL,
        "Membership records read, by kind (wanted, unwanted, tombstone, unreadable)"
    );
    describe_counter!(ATTEMPTS_TOTAL, "Calls to Braze, by end (accepted, refused, unknown)");
    describe_histogram!(ATTEMPT_SECONDS, Unit::Seconds, "Duration of a call to Braze");
    describe_histogram!(REQUEST_UPDATES, "Updates in a request");
    describe_gauge!(PENDING, "Changes read and not settled");
    describe_gauge!(IN_FLIGHT, "Requests in flight");
    describe_gauge!(NOT_BEFORE, "Changes whose opposite must wait");
    describe_gauge!(LAG, "Membership records not read yet, at most");
    describe_gauge!(
        OLDEST_SECONDS,
        Unit::Seconds,
        "Age of the oldest membership change that is not confirmed, read or not, of jobs that are not paused"
    );
    describe_counter!(
        READER_RECORDS_TOTAL,
        "Membership records read, by reader (live, catch_up)"
    );
    describe_counter!(READER_BYTES_TOTAL, Unit::Bytes, "Keys and values of those records");
    describe_counter!(
        READER_SEEKS_TOTAL,
        "Times a reader went elsewhere, throwing away what it had prefetched"
    );
    describe_gauge!(
        READER_LAG,
        "Membership records that a reader has still to read, at most"
    );
    describe_gauge!(READER_FEEDS, "Feeds (audiences of jobs) that a reader serves");
    describe_gauge!(
        FEEDS_LEFT_OUT,
        "Feeds that no reader serves, by reason (fault, paused, failed, sleeping, full, guarded)"
    );
    describe_counter!(
        GUARD_PAUSES_TOTAL,
        "Jobs paused by their guard: too many members of an audience would have been removed"
    );
    describe_counter!(
        GUARD_COUNTS_TOTAL,
        "Times the members of audiences were counted for guards, by result (counted, failed)"
    );
    describe_gauge!(
        SLEEPING_JOBS,
        "Jobs that sleep because Braze refuses their authorization, or is away"
    );
    describe_gauge!(
        UNHEALTHY_AUTHORIZATIONS,
        "Authorizations that Braze refuses, of the workspaces in the slots of this replica"
    );
    describe_counter!(LOG_ENTRIES_TOTAL, "Entries of the job log, by result (written, lost)");
    describe_counter!(
        PROGRESS_TOTAL,
        "Progress transactions, by result (committed, aborted, failed)"
    );
    describe_counter!(
        RESTARTS_TOTAL,
        "Times a Braze workspace was served anew, by reason (fenced, failed)"
    );
    describe_gauge!(SLOTS, "Slots that this replica owns");
    describe_gauge!(WORKSPACES, "Braze workspaces that this replica serves");
}
