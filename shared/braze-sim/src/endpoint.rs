//! What all endpoints of the REST API have in common: admission, faults, and the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http::header::HOST;
use jiff::Timestamp;

use crate::call::{self, Answer, Call};
use crate::faults::FaultKind;
use crate::limits::{self, Decision, Limiter, Window};
use crate::settings::{RateLimits, Settings};
use crate::shared::{Shared, Workspace};

/// What a 429 by fault tells the client to wait unless the fault says so.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An endpoint: what it demands of a call, and what it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) path: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) limits: fn(&Settings) -> &RateLimits,
    pub(crate) limiter: fn(&mut Workspace) -> &mut Limiter,
    pub(crate) carry_out: fn(&Arc<Shared>, Asked) -> Answer,
}

/// A call that is admitted and read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) arrival: u64,
    pub(crate) workspace: String,
    /// The name by which the client knows the simulator.
    pub(crate) host: Option<String>,
    query: String,
    pub(crate) body: Bytes,
    /// What goes wrong with it.
    pub(crate) fault: Option<FaultKind>,
}

impl Asked {
    /// The value of a key of the query that needs no decoding.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// How long after it was read the call takes effect; none = the usual delay.
    pub(crate) fn apply_after(&self) -> Option<Duration> {
        match &self.fault {
            Some(
                FaultKind::Status { apply_after, .. }
                | FaultKind::Delay { apply_after, .. }
                | FaultKind::DropAfter { apply_after },
            ) => *apply_after,
            _ => None,
        }
    }
}

/// Takes a call from its head to its answer.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request, endpoint: &'static Endpoint) -> Response {
    let (parts, body) = request.into_parts();
    let mut call = Call::begin(&shared, &parts);
    let workspace = match call.admit(&parts, endpoint) {
        Ok(workspace) => workspace,
        Err(answer) => return call.answer(answer),
    };
    let fault = strike(&shared, call.arrival, endpoint, call::key(&parts));
    if fault == Some(FaultKind::DropBefore {}) {
        return call.drop_connection();
    }
    let body = match call.body(&parts, body).await {
        _ if parts.method == Method::GET => Bytes::new(),
        Ok(body) => body,
        Err(answer) => return call.answer(answer),
    };
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let asked = Asked {
        arrival: call.arrival,
        workspace,
        host: host.map(str::to_owned),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        fault: fault.clone(),
    };
    match fault {
        Some(FaultKind::Status {
            status, retry_after, ..
        }) => {
            if asked.apply_after().is_some() {
                (endpoint.carry_out)(&shared, asked);
            }
            if status == 429 {
                let wait = retry_after.unwrap_or(RETRY_AFTER);
                call.set_rate(refused_for(wait, endpoint, &shared.state().settings, Timestamp::now()));
            }
            call.answer(Answer::message(status, "This answer is a fault of the simulator."))
        }
        Some(FaultKind::Hold {}) => held(shared, call, asked, endpoint).await,
        Some(FaultKind::DropAfter { .. }) => {
            (endpoint.carry_out)(&shared, asked);
            call.drop_connection()
        }
        Some(FaultKind::Delay { by, .. }) => {
            let answer = (endpoint.carry_out)(&shared, asked);
            tokio::time::sleep(by).await;
            call.answer(answer)
        }
        _ => call.answer((endpoint.carry_out)(&shared, asked)),
    }
}

fn strike(shared: &Shared, arrival: u64, endpoint: &Endpoint, key: Option<&str>) -> Option<FaultKind> {
    let state = &mut *shared.state();
    let fault = state.faults.strike(endpoint.path, key, &mut state.random)?;
    state.journal.struck(arrival, &fault);
    Some(fault)
}

/// Holds the call until released. What was read is carried out even if the client does not wait for it.
async fn held(shared: Arc<Shared>, call: Call, asked: Asked, endpoint: &'static Endpoint) -> Response {
    let mut releases = shared.releases.subscribe();
    shared.held.send_modify(|held| *held += 1);
    let holding = Arc::clone(&shared);
    let carried_out = shared.tasks.spawn(async move {
        tokio::select! {
            // The sender lives in `holding`, so the wait cannot fail.
            released = releases.changed() => drop(released),
            () = holding.stop.cancelled() => {}
        }
        holding.held.send_modify(|held| *held -= 1);
        (endpoint.carry_out)(&holding, asked)
    });
    match carried_out.await {
        Ok(answer) => call.answer(answer),
        Err(_) => call.drop_connection(),
    }
}

/// The headers of a 429 that asks to wait this long.
fn refused_for(
    wait: Duration,
    endpoint: &Endpoint,
    settings: &Settings,
    now: Timestamp,
) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let limits = (endpoint.limits)(settings);
    let limit = limits
        .per_hour
        .or(limits.burst.map(|burst| burst.requests))
        .unwrap_or_default();
    let window = Window {
        limit,
        remaining: 0,
        resets_at: now.saturating_add(wait).unwrap_or(now),
    };
    limits::headers(
        settings.rate_headers,
        &Decision {
            allowed: false,
            window: Some(window),
        },
        now,
    )
}
