//! Segments and their exports.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;

use super::{InWorkspace, handle};
use crate::exports::Export;
use crate::segments::Segment;
use crate::shared::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/segments", get(segments).post(put_segment))
        .route("/exports", get(exports))
}

async fn segments(State(shared): State<Arc<Shared>>, Query(query): Query<InWorkspace>) -> Json<Vec<Segment>> {
    Json(handle(shared).segments(&query.workspace))
}

async fn put_segment(State(shared): State<Arc<Shared>>, Json(segment): Json<Segment>) -> StatusCode {
    handle(shared).put_segment(segment);
    StatusCode::NO_CONTENT
}

/// The newest exports, oldest first.
async fn exports(State(shared): State<Arc<Shared>>) -> Json<Vec<Export>> {
    Json(handle(shared).exports())
}
