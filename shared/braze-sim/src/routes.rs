//! The routes of the REST API. Anything else, a trailing slash included, is 404.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use tokio::time::Instant;

use crate::apply::{self, Accept};
use crate::call::{Answer, Call};
use crate::endpoint::{Asked, Endpoint, serve};
use crate::shared::Shared;
use crate::track::judge;
use crate::{admin, downloads, export_ids, export_segment, segments};

const TRACK: Endpoint = Endpoint {
    path: "/users/track",
    permission: "users.track",
    limits: |settings| &settings.track_limits,
    limiter: |workspace| &mut workspace.track,
    carry_out: |shared, asked| track(shared, asked),
};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let posted = |endpoint: &'static Endpoint| -> MethodRouter<Arc<Shared>> {
        post(move |State(shared), request| serve(shared, request, endpoint))
    };
    let list = get(|State(shared), request| serve(shared, request, &segments::LIST));
    Router::new()
        .route(TRACK.path, posted(&TRACK))
        .route(export_ids::EXPORT_IDS.path, posted(&export_ids::EXPORT_IDS))
        .route(
            export_segment::EXPORT_SEGMENT.path,
            posted(&export_segment::EXPORT_SEGMENT),
        )
        .route(segments::LIST.path, list)
        .route(downloads::ROUTE, get(downloads::fetch))
        .nest("/_sim", admin::router())
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(shared)
}

async fn not_found(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = Call::begin(&shared, &request.into_parts().0);
    call.answer(Answer::message(404, "Not Found"))
}

/// Judges a body, and queues what was accepted.
fn track(shared: &Shared, asked: Asked) -> Answer {
    let (settings, refused) = {
        let state = shared.state();
        (Arc::clone(&state.settings), Arc::clone(state.faults.refused()))
    };
    let judgement = judge(&asked.body, &settings, &refused);
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
        .judged(asked.arrival, users, judgement.accepted.len(), judgement.refused);
    if !judgement.accepted.is_empty() {
        let due = apply::due(&settings, asked.apply_after(), &mut state.random, Instant::now());
        let call = Accept {
            arrival: asked.arrival,
            workspace: asked.workspace,
            objects: judgement.accepted,
        };
        shared.queue.push(call, due);
    }
    Answer {
        status: judgement.status,
        body: judgement.answer,
    }
}
