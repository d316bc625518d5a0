//! What the simulator saw: every call, in order of arrival.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One call of the REST API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// 1 for the first call since the start, 2 for the next, …
    pub arrival: u64,
    /// When its head arrived.
    pub arrived_at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// A mark of the key that was sent: a short hash and its last four characters, never the key.
    pub key: Option<String>,
    /// The workspace of the key, if the key is known.
    pub workspace: Option<String>,
    /// The `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// Whether the `User-Agent` has the form that partners must use (reference §1).
    pub user_agent_ok: bool,
    /// The body, cut at the journal's limit.
    pub body: String,
    /// How long the body was.
    pub body_bytes: usize,
    /// The identifiers of the objects, such as `external_id:cust-1`, each once.
    pub users: Vec<String>,
    /// How many objects were accepted.
    pub accepted: usize,
    /// How many objects were refused.
    pub refused: usize,
    /// The fault that struck the call.
    pub fault: Option<String>,
    /// The status of the answer; none while in flight and if the client never got one.
    pub status: Option<u16>,
    /// When the call ended: answered, dropped, or left by the client.
    pub ended_at: Option<Timestamp>,
    /// Whether the client left before the answer.
    pub client_left: bool,
    /// When the accepted objects were applied.
    pub applied_at: Option<Timestamp>,
    /// 1 for the first call that was applied, 2 for the next, …
    pub applied_order: Option<u64>,
    /// Earlier calls that named one of the same users and were still in flight when this one came.
    pub overlaps: Vec<u64>,
    /// Later calls that named one of the same users and were applied before this one.
    pub overtaken_by: Vec<u64>,
}
