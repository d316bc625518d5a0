//! The answers, in the envelope of the Collect API: `status`, `message`, `data`.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// How many refusals one answer lists; the count is complete.
pub(crate) const REJECTED_LISTED_MAX: usize = 1_000;

/// How long a sender should wait before it tries again after a 503. Braze retries up to five times within 30 minutes.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long a sender should wait after a 429: within a second any token has room again for one request.
pub(crate) const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A record that was not published, and why; it is on the rejected topic.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Position among the records of the body, from 0; the header of a CSV does not count.
    pub(crate) index: usize,
    /// Written for the sender.
    pub(crate) reason: String,
}

/// `data` of a 200.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Records that were taken: published, or not wanted.
    pub(crate) message_count: usize,
    pub(crate) rejected_count: usize,
    #[serde(rename = "content-type")]
    pub(crate) content_type: &'static str,
    pub(crate) droperrors: bool,
    pub(crate) dryrun: bool,
    pub(crate) timestamp_field: String,
    pub(crate) filename: String,
    /// Our addition: how many of the records that were taken the mapping does not want.
    pub(crate) not_wanted_count: usize,
    /// Our addition: at most [`REJECTED_LISTED_MAX`] of the refusals.
    pub(crate) rejected: Vec<Rejected>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    status: u16,
    message: &'a str,
    data: Option<Summary>,
}

/// 200 with the counts.
pub(crate) fn success(summary: Summary) -> Response {
    envelope(StatusCode::OK, "success", Some(summary))
}

/// Any other status; `data` is null. 429 and 503 carry `Retry-After`, 401 `WWW-Authenticate`.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response {
    let mut response = envelope(status, message, None);
    let (name, value) = match status {
        StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, RETRY_AFTER.as_secs().into()),
        StatusCode::TOO_MANY_REQUESTS => (header::RETRY_AFTER, THROTTLED_RETRY_AFTER.as_secs().into()),
        StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        _ => return response,
    };
    response.headers_mut().insert(name, value);
    response
}

fn envelope(status: StatusCode, message: &str, data: Option<Summary>) -> Response {
    let status_number = status.as_u16();
    let body = Envelope {
        status: status_number,
        message,
        data,
    };
    // What was sent by GET must arrive here every time.
    let never_cached = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, never_cached, Json(body)).into_response()
}
