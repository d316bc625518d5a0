//! The routes of the REST API. Anything else, a trailing slash included, is 404.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::apply::{self, Accept};
use crate::call::{self, Answer, Call, Endpoint};
use crate::faults::FaultKind;
use crate::limits::{self, Decision, Window};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::track::judge;
use crate::{admin, export_ids};

/// What a 429 by fault tells the client to wait unless the fault says so.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const TRACK: Endpoint = Endpoint {
    permission: "users.track",
    limits: |settings| &settings.track_limits,
    limiter: |workspace| &mut workspace.track,
};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/users/track", post(track))
        .route("/users/export/ids", post(export_ids::export_ids))
        .nest("/_sim", admin::router())
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(shared)
}

async fn not_found(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = Call::begin(&shared, &request.into_parts().0);
    call.answer(Answer::message(404, "Not Found"))
}

async fn track(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut call = Call::begin(&shared, &parts);
    let workspace = match call.admit(&parts, TRACK) {
        Ok(workspace) => workspace,
        Err(answer) => return call.answer(answer),
    };
    let fault = strike(&shared, call.arrival, call::key(&parts));
    if fault == Some(FaultKind::DropBefore {}) {
        return call.drop_connection();
    }
    let body = match call.body(&parts, body).await {
        Ok(body) => body,
        Err(answer) => return call.answer(answer),
    };
    if let Some(FaultKind::Status {
        status,
        retry_after,
        apply_after,
    }) = fault
    {
        if apply_after.is_some() {
            carry_out(&shared, call.arrival, &workspace, &body, apply_after);
        }
        if status == 429 {
            let rate = refused_for(
                retry_after.unwrap_or(RETRY_AFTER),
                &shared.state().settings,
                Timestamp::now(),
            );
            call.set_rate(rate);
        }
        return call.answer(Answer::message(status, "This answer is a fault of the simulator."));
    }
    if fault == Some(FaultKind::Hold {}) {
        return held(shared, call, workspace, body).await;
    }
    let apply_after = match &fault {
        Some(FaultKind::Delay { apply_after, .. } | FaultKind::DropAfter { apply_after }) => *apply_after,
        _ => None,
    };
    let answer = carry_out(&shared, call.arrival, &workspace, &body, apply_after);
    match fault {
        Some(FaultKind::DropAfter { .. }) => return call.drop_connection(),
        Some(FaultKind::Delay { by, .. }) => tokio::time::sleep(by).await,
        _ => {}
    }
    call.answer(answer)
}

fn strike(shared: &Shared, arrival: u64, key: Option<&str>) -> Option<FaultKind> {
    let state = &mut *shared.state();
    let fault = state.faults.strike(key, &mut state.random)?;
    state.journal.struck(arrival, &fault);
    Some(fault)
}

/// Judges a body, and queues what was accepted.
fn carry_out(shared: &Shared, arrival: u64, workspace: &str, body: &Bytes, apply_after: Option<Duration>) -> Answer {
    let (settings, refused) = {
        let state = shared.state();
        (Arc::clone(&state.settings), Arc::clone(state.faults.refused()))
    };
    let judgement = judge(body, &settings, &refused);
    let mut users: Vec<String> = judgement
        .accepted
        .iter()
        .filter_map(|accepted| accepted.identity.spelled())
        .collect();
    users.sort_unstable();
    users.dedup();
    let state = &mut *shared.state();
    state
        .journal
        .judged(arrival, users, judgement.accepted.len(), judgement.refused);
    if !judgement.accepted.is_empty() {
        let due = apply::due(&settings, apply_after, &mut state.random, Instant::now());
        let call = Accept {
            arrival,
            workspace: workspace.to_owned(),
            objects: judgement.accepted,
        };
        shared.queue.push(call, due);
    }
    Answer {
        status: judgement.status,
        body: judgement.answer,
    }
}

/// Holds the call until released. What was read is carried out even if the client does not wait for it.
async fn held(shared: Arc<Shared>, call: Call, workspace: String, body: Bytes) -> Response {
    let arrival = call.arrival;
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
        carry_out(&holding, arrival, &workspace, &body, None)
    });
    match carried_out.await {
        Ok(answer) => call.answer(answer),
        Err(_) => call.drop_connection(),
    }
}

/// The headers of a 429 that asks to wait this long.
fn refused_for(wait: Duration, settings: &Settings, now: Timestamp) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let limits = &settings.track_limits;
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
