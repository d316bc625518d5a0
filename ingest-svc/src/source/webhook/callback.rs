//! Braze's call that an export of a segment is ready. The path has a secret: nothing of it is in a log, a span or an answer.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;

use super::chunks::{Chunks, Coding};
use super::refused::{Refused, busy};
use super::{Webhook, receive};
use crate::imports::callback::Path;

/// Braze sends `{"success": true}`.
const BODY_BYTES_MAX: usize = 4 << 10;

/// The answer to a call of this path: 200 with nothing when it is written down.
pub(super) async fn answer(
    webhook: &Webhook,
    path: Path<'_>,
    request: &http::request::Parts,
    mut body: Body,
) -> Response {
    match taken(webhook, path, request, &mut body).await {
        Ok(()) => webhook.counted(StatusCode::OK.into_response()),
        Err(refused) => {
            let not_post = refused.status == StatusCode::METHOD_NOT_ALLOWED;
            let mut response = webhook.refuse(("", ""), &refused, &request.headers, body);
            if not_post {
                let allow = HeaderValue::from_static("POST");
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
    }
}

async fn taken(
    webhook: &Webhook,
    path: Path<'_>,
    request: &http::request::Parts,
    body: &mut Body,
) -> Result<(), Refused> {
    let deadline = Instant::now() + webhook.limits.timeout;
    if request.method != Method::POST {
        return Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            reason: "method",
            message: "Braze calls here by POST".to_owned(),
        });
    }
    let mut admitted = webhook.admission.enter().ok_or_else(|| busy("requests"))?;
    if webhook.parts.get().is_none() {
        return Err(Refused::unavailable("starting", "starting"));
    }
    let callbacks = webhook.callbacks.get().ok_or_else(unknown)?;
    callbacks.check(&path).map_err(|error| match error {
        control::Error::NotFound(_) => unknown(),
        error => Refused::unavailable("table_old", &error.to_string()),
    })?;
    let mut chunks = Chunks::new(body, Coding::of(&request.headers)?);
    let bytes = receive::body(&mut chunks, &mut admitted, BODY_BYTES_MAX, webhook.limits.body_timeout).await?;
    let said: Value = serde_json::from_slice(&bytes).map_err(|_| Refused {
        status: StatusCode::BAD_REQUEST,
        reason: "callback_body",
        message: "the body is no JSON, such as {\"success\": true}".to_owned(),
    })?;
    let success = said.get("success") != Some(&Value::Bool(false));
    let noted = tokio::time::timeout_at(deadline, callbacks.note(&path, success)).await;
    if let Ok(Ok(())) = noted {
        return Ok(());
    }
    Err(Refused::unavailable(
        "progress",
        "the call cannot be written down now; send it again later",
    ))
}

/// 404, of a job that is gone and of a token that is wrong alike.
fn unknown() -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        reason: "callback",
        message: "no export of ours has this address".to_owned(),
    }
}
