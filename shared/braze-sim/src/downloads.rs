//! The `url` of an export that is in no storage of the customer's: good from when the export is done, for some hours
//! (reference §5.2).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};

use crate::shared::Shared;

pub(crate) const ROUTE: &str = "/segment-exports/{file}";

/// The path of an export's file.
pub(crate) fn path(prefix: &str) -> String {
    format!("/segment-exports/{prefix}.zip")
}

pub(crate) async fn fetch(State(shared): State<Arc<Shared>>, Path(file): Path<String>) -> Response {
    let state = shared.state();
    let prefix = file.strip_suffix(".zip").unwrap_or(&file);
    let Some(download) = state.exports.download(prefix) else {
        return denied("AccessDenied");
    };
    let lifetime = SignedDuration::try_from(state.settings.segment_export.url_lifetime).unwrap_or(SignedDuration::MAX);
    if Timestamp::now().duration_since(download.since) >= lifetime {
        return denied("ExpiredToken");
    }
    ([(CONTENT_TYPE, "application/zip")], download.bytes.clone()).into_response()
}

fn denied(code: &str) -> Response {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>");
    (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/xml")], body).into_response()
}
