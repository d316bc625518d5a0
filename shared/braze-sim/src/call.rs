//! One call of the REST API from its head to its answer: journal, key, rate limit, content type, body.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::journal::Head;
use crate::keys::{self, Refusal};
use crate::limits;
use crate::server::DropConnection;
use crate::shared::Shared;

/// How much of a body that is too long is read and thrown away, so that the client gets to read the 413.
const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A call in flight. Dropped without [`Call::answer`] or [`Call::drop_connection`], it is booked as left by its client.
#[derive(Debug)]
pub(crate) struct Call {
    shared: Arc<Shared>,
    pub(crate) arrival: u64,
    arrived_at: Timestamp,
    rate: Vec<(HeaderName, HeaderValue)>,
    ended: bool,
}

/// An answer that ends a call: a status and a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn message(status: u16, text: &str) -> Self {
        Self {
            status,
            body: json!({ "message": text }),
        }
    }
}

impl Call {
    /// Enters the call in the journal.
    pub(crate) fn begin(shared: &Arc<Shared>, parts: &Parts) -> Self {
        let arrived_at = Timestamp::now();
        let header = text(&parts.headers, &AUTHORIZATION);
        let key = header.and_then(keys::bearer);
        let arrival = {
            let mut state = shared.state();
            let head = Head {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                key: key.or(header).map(keys::mark),
                workspace: key.and_then(|key| state.keys.workspace(key)).map(str::to_owned),
                user_agent: text(&parts.headers, &USER_AGENT).map(str::to_owned),
            };
            state.journal.arrive(head, arrived_at)
        };
        shared.arrivals.send_modify(|arrivals| *arrivals += 1);
        Self {
            shared: Arc::clone(shared),
            arrival,
            arrived_at,
            rate: Vec::new(),
            ended: false,
        }
    }

    /// Key, permission and rate limit. Returns the workspace.
    pub(crate) fn admit(&mut self, parts: &Parts, endpoint: &Endpoint) -> Result<String, Answer> {
        let source = parts.extensions.get::<IpAddr>().copied();
        let state = &mut *self.shared.state();
        let header = text(&parts.headers, &AUTHORIZATION);
        let workspace = match state.keys.authorize(header, source, endpoint.permission) {
            Ok(workspace) => workspace.to_owned(),
            // Braze echoes the key; a client has to redact it.
            Err(Refusal::Unknown { sent }) => return Err(Answer::message(401, &format!("Invalid API key: {sent}"))),
            Err(Refusal::Permission) => {
                return Err(Answer::message(
                    state.settings.missing_permission_status,
                    "Insufficient permissions",
                ));
            }
            Err(Refusal::Source) => return Err(Answer::message(403, "Access denied for this address")),
        };
        let limiter = (endpoint.limiter)(state.workspaces.entry(workspace.clone()).or_default());
        let decision = limiter.arrive((endpoint.limits)(&state.settings), self.arrived_at);
        self.rate = limits::headers(state.settings.rate_headers, &decision, self.arrived_at);
        if decision.allowed {
            Ok(workspace)
        } else {
            Err(Answer::message(429, "Rate limit exceeded"))
        }
    }

    /// The body, if it says that it is JSON and is not too long.
    pub(crate) async fn body(&self, parts: &Parts, body: Body) -> Result<Bytes, Answer> {
        if !is_json(&parts.headers) {
            return Err(Answer::message(415, "Unsupported Media Type"));
        }
        let settings = Arc::clone(&self.shared.state().settings);
        let body = match read(body, settings.body_bytes_max).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(Answer::message(413, "Request Entity Too Large")),
            Err(_) => return Err(Answer::message(400, "The body could not be read.")),
        };
        self.shared.state().journal.read(self.arrival, &body, &settings);
        Ok(body)
    }

    /// The rate-limit headers of a 429 that a fault gives.
    pub(crate) fn set_rate(&mut self, rate: Vec<(HeaderName, HeaderValue)>) {
        self.rate = rate;
    }

    /// Ends the call with an answer.
    pub(crate) fn answer(mut self, answer: Answer) -> Response {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(answer.body)).into_response();
        response.headers_mut().extend(std::mem::take(&mut self.rate));
        self.end(Some(status.as_u16()));
        response
    }

    /// Ends the call by closing its connection.
    pub(crate) fn drop_connection(mut self) -> Response {
        self.end(None);
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(DropConnection);
        response
    }

    fn end(&mut self, status: Option<u16>) {
        self.ended = true;
        self.shared
            .state()
            .journal
            .ended(self.arrival, status, false, Timestamp::now());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.shared
                .state()
                .journal
                .ended(self.arrival, None, true, Timestamp::now());
        }
    }
}

/// The key that was sent.
pub(crate) fn key(parts: &Parts) -> Option<&str> {
    text(&parts.headers, &AUTHORIZATION).and_then(keys::bearer)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, &CONTENT_TYPE).and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole body, or none if it is longer than `bytes_max`.
async fn read(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut kept = BytesMut::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        if length <= bytes_max {
            kept.extend_from_slice(&data);
        } else if length > bytes_max + DISCARD_BYTES_MAX {
            break;
        }
    }
    Ok((length <= bytes_max).then(|| kept.freeze()))
}
