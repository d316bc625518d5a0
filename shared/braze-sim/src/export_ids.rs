//! `POST /users/export/ids`: looking users up through Braze's own API (reference §5.6).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Endpoint};
use crate::shared::{Shared, Workspace};
use crate::track::{Identity, broken_json};
use crate::users::{Alias, User, UserRef};

/// Most external ids, and most aliases, of one request.
const IDS_MAX: usize = 50;

const EXPORT_IDS: Endpoint = Endpoint {
    permission: "users.export.ids",
    limits: |settings| &settings.export_ids_limits,
    limiter: |workspace| &mut workspace.export_ids,
};

pub(crate) async fn export_ids(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut call = Call::begin(&shared, &parts);
    let workspace = match call.admit(&parts, EXPORT_IDS) {
        Ok(workspace) => workspace,
        Err(answer) => return call.answer(answer),
    };
    let body = match call.body(&parts, body).await {
        Ok(body) => body,
        Err(answer) => return call.answer(answer),
    };
    let answer = {
        let mut state = shared.state();
        export(&body, state.workspaces.entry(workspace).or_default())
    };
    call.answer(answer)
}

fn export(body: &[u8], workspace: &Workspace) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Answer {
            status: 400,
            body: broken_json(),
        };
    };
    let list = |key: &str| {
        body.get(key)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let (external_ids, aliases) = (list("external_ids"), list("user_aliases"));
    if external_ids.len() > IDS_MAX || aliases.len() > IDS_MAX {
        let text = "The max number of external_ids and aliases per request was exceeded";
        return Answer::message(400, text);
    }

    let mut users: Vec<&User> = Vec::new();
    let mut invalid: Vec<&str> = Vec::new();
    for id in external_ids.iter().filter_map(Value::as_str) {
        match workspace.users.get(&UserRef::external_id(id)) {
            Some(user) => users.push(user),
            None => invalid.push(id),
        }
    }
    let known = aliases
        .iter()
        .filter_map(|alias| serde_json::from_value::<Alias>(alias.clone()).ok())
        .filter_map(|alias| workspace.users.get(&UserRef::Alias(alias)));
    users.extend(known);
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    users.extend(text("braze_id").and_then(|id| workspace.users.get(&UserRef::braze_id(id))));
    if let Some(email) = text("email_address") {
        users.extend(workspace.users.sharing(&Identity::Email(email.to_owned())));
    } else if let Some(phone) = text("phone") {
        users.extend(workspace.users.sharing(&Identity::Phone(phone.to_owned())));
    }

    let fields = body.get("fields_to_export").and_then(Value::as_array);
    let users: Vec<Value> = users
        .into_iter()
        .map(|user| exported(user, fields.map(Vec::as_slice)))
        .collect();
    let mut answer = json!({ "message": "success", "users": users });
    if !invalid.is_empty() {
        answer["invalid_user_ids"] = json!(invalid);
    }
    Answer {
        status: 201,
        body: answer,
    }
}

/// A user in the shape of the exports, without empty fields; events and purchases are summed up by name.
fn exported(user: &User, fields: Option<&[Value]>) -> Value {
    let mut object = match serde_json::to_value(user) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    for (key, list) in [("custom_events", &user.custom_events), ("purchases", &user.purchases)] {
        let mut sums: Vec<(&str, &str, &str, u64)> = Vec::new();
        for happening in list {
            let (name, time) = (happening.name.as_str(), happening.time.as_str());
            match sums.iter_mut().find(|(summed, ..)| *summed == name) {
                Some((_, first, last, count)) => {
                    (*first, *last, *count) = ((*first).min(time), (*last).max(time), *count + 1)
                }
                None => sums.push((name, time, time, 1)),
            }
        }
        let sums = sums.into_iter();
        let sums =
            sums.map(|(name, first, last, count)| json!({"name": name, "first": first, "last": last, "count": count}));
        object.insert(key.to_owned(), sums.collect());
    }
    object.retain(|key, value| {
        let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        !empty && fields.is_none_or(|fields| fields.iter().any(|field| field == key))
    });
    Value::Object(object)
}
