//! The admin API under `/_sim/`: everything that [`SimHandle`] can do, over HTTP, for the program's subcommands and for
//! tests of whole processes. It asks for no key, so the simulator must not be reachable by strangers.

mod exports;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::{Fault, FaultKind};
use crate::handle::SimHandle;
use crate::keys;
use crate::options::{DEFAULT_WORKSPACE, Key};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::users::{User, UserRef};

/// Why an admin request was not carried out: a status and a text.
type Refused = (StatusCode, Json<Value>);

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "ok": true })) }))
        .route("/users", get(users).delete(forget_users))
        .route("/users/lookup", get(lookup))
        .route("/idle", get(idle))
        .route("/journal", get(journal).delete(forget_journal))
        .route("/meter", get(meter).delete(reset_meter))
        .route("/settings", get(settings).patch(change_settings))
        .route("/keys", get(list_keys).post(put_key))
        .route("/keys/reject", post(reject_key))
        .route("/faults", get(faults).post(inject).delete(clear_faults))
        .route("/faults/refuse", post(refuse_objects))
        .route("/faults/release", post(release))
        .merge(exports::router())
}

fn refused(status: StatusCode, text: impl std::fmt::Display) -> Refused {
    (status, Json(json!({ "message": text.to_string() })))
}

fn handle(shared: Arc<Shared>) -> SimHandle {
    SimHandle::new(shared)
}

/// A duration in a query, such as `10s`; absent = zero.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(transparent)]
struct Wait(#[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")] Duration);

#[derive(Debug, Deserialize)]
struct InWorkspace {
    #[serde(default = "default_workspace")]
    workspace: String,
}

fn default_workspace() -> String {
    DEFAULT_WORKSPACE.to_owned()
}

async fn users(State(shared): State<Arc<Shared>>, Query(query): Query<InWorkspace>) -> Json<Vec<User>> {
    Json(handle(shared).users(&query.workspace))
}

async fn forget_users(State(shared): State<Arc<Shared>>) -> StatusCode {
    handle(shared).forget_users();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct Lookup {
    #[serde(default = "default_workspace")]
    workspace: String,
    external_id: Option<String>,
    braze_id: Option<String>,
    alias_label: Option<String>,
    alias_name: Option<String>,
    #[serde(default)]
    wait: Wait,
}

/// One user. With `wait`, an unknown one is waited for.
async fn lookup(State(shared): State<Arc<Shared>>, Query(query): Query<Lookup>) -> Result<Json<User>, Refused> {
    let user = match (
        query.external_id,
        query.braze_id,
        query.alias_label.zip(query.alias_name),
    ) {
        (Some(id), None, None) => UserRef::ExternalId(id),
        (None, Some(id), None) => UserRef::BrazeId(id),
        (None, None, Some((label, name))) => UserRef::alias(label, name),
        _ => {
            let text = "name the user by one of external_id, braze_id, or alias_label and alias_name";
            return Err(refused(StatusCode::BAD_REQUEST, text));
        }
    };
    let sim = handle(shared);
    let known = sim.until(|sim| sim.user(&query.workspace, &user).is_some());
    // In time or not, the answer is what there is then.
    drop(tokio::time::timeout(query.wait.0, known).await);
    let found = sim.user(&query.workspace, &user);
    let text = || format!("no user with {user} in workspace {:?}", query.workspace);
    found.map(Json).ok_or_else(|| refused(StatusCode::NOT_FOUND, text()))
}

#[derive(Debug, Deserialize)]
struct Idle {
    #[serde(default)]
    wait: Wait,
}

/// 200 as soon as no accepted call is still to be applied; 503 if that takes longer than `wait`.
async fn idle(State(shared): State<Arc<Shared>>, Query(query): Query<Idle>) -> Response {
    let sim = handle(shared);
    let status = match tokio::time::timeout(query.wait.0, sim.idle()).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (
        status,
        Json(json!({ "idle": status == StatusCode::OK, "pending": sim.pending() })),
    )
        .into_response()
}

#[derive(Debug, Deserialize)]
struct Tail {
    tail: Option<usize>,
}

/// The last calls, oldest first, and the counts of what went against the order.
async fn journal(State(shared): State<Arc<Shared>>, Query(query): Query<Tail>) -> Json<Value> {
    let state = shared.state();
    let skip = query
        .tail
        .map_or(0, |tail| state.journal.entries().len().saturating_sub(tail));
    let calls: Vec<_> = state.journal.entries().skip(skip).collect();
    Json(json!({ "arrivals": *shared.arrivals.borrow(), "order": state.journal.order(), "calls": calls }))
}

async fn forget_journal(State(shared): State<Arc<Shared>>) -> StatusCode {
    handle(shared).forget_journal();
    StatusCode::NO_CONTENT
}

async fn meter(State(shared): State<Arc<Shared>>, Query(query): Query<InWorkspace>) -> Json<crate::Meter> {
    Json(handle(shared).meter(&query.workspace))
}

async fn reset_meter(State(shared): State<Arc<Shared>>) -> StatusCode {
    handle(shared).reset_meter();
    StatusCode::NO_CONTENT
}

async fn settings(State(shared): State<Arc<Shared>>) -> Json<Settings> {
    Json(handle(shared).settings())
}

async fn change_settings(
    State(shared): State<Arc<Shared>>,
    Json(patch): Json<Value>,
) -> Result<Json<Settings>, Refused> {
    let mut state = shared.state();
    let settings = state
        .settings
        .patched(&patch)
        .map_err(|error| refused(StatusCode::BAD_REQUEST, error))?;
    state.settings = Arc::new(settings.clone());
    Ok(Json(settings))
}

async fn list_keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let state = shared.state();
    let keys = state.keys.list().map(|(key, rejected)| {
        json!({
            "key": keys::mark(&key.key), "workspace": key.workspace, "permissions": key.permissions,
            "sources": key.sources, "rejected": rejected,
        })
    });
    Json(keys.collect())
}

async fn put_key(State(shared): State<Arc<Shared>>, Json(key): Json<Key>) -> StatusCode {
    handle(shared).put_key(key);
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct RejectKey {
    key: String,
}

async fn reject_key(State(shared): State<Arc<Shared>>, Json(body): Json<RejectKey>) -> StatusCode {
    handle(shared).reject_key(&body.key);
    StatusCode::NO_CONTENT
}

/// All that is armed.
async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let state = shared.state();
    let rejected: Vec<String> = state
        .keys
        .list()
        .filter(|(_, rejected)| *rejected)
        .map(|(key, _)| keys::mark(&key.key))
        .collect();
    Json(json!({
        "armed": state.faults.armed(), "refused_objects": **state.faults.refused(), "rejected_keys": rejected,
        "held": *shared.held.borrow(),
    }))
}

async fn inject(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> Result<StatusCode, Refused> {
    if let FaultKind::Status { status, .. } = fault.kind
        && !(400..=599).contains(&status)
    {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "a fault's status must be from 400 to 599",
        ));
    }
    if fault.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err(refused(StatusCode::BAD_REQUEST, "a fault's rate must be from 0 to 1"));
    }
    handle(shared).inject(fault);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    handle(shared).clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct RefuseObjects {
    external_ids: Vec<String>,
    text: String,
}

async fn refuse_objects(State(shared): State<Arc<Shared>>, Json(body): Json<RefuseObjects>) -> StatusCode {
    let sim = handle(shared);
    for id in body.external_ids {
        sim.refuse_object(id, &body.text);
    }
    StatusCode::NO_CONTENT
}

async fn release(State(shared): State<Arc<Shared>>) -> StatusCode {
    handle(shared).release();
    StatusCode::NO_CONTENT
}
