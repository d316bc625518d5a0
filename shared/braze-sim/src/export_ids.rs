//! `POST /users/export/ids`: looking users up through Braze's own API (reference §5.6).

use serde_json::{Value, json};

use crate::call::Answer;
use crate::endpoint::Endpoint;
use crate::shared::Workspace;
use crate::track::{Identity, broken_json};
use crate::users::{Alias, User, UserRef, exported};

/// Most external ids, and most aliases, of one request.
const IDS_MAX: usize = 50;

pub(crate) const EXPORT_IDS: Endpoint = Endpoint {
    path: "/users/export/ids",
    permission: "users.export.ids",
    limits: |settings| &settings.export_ids_limits,
    limiter: |workspace| &mut workspace.export_ids,
    carry_out: |shared, asked| {
        let mut state = shared.state();
        export(&asked.body, state.workspaces.entry(asked.workspace).or_default())
    },
};

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
    let wanted = |key: &str| fields.is_none_or(|fields| fields.iter().any(|field| field == key));
    let users: Vec<Value> = users.into_iter().map(|user| exported(user, wanted)).collect();
    let mut answer = json!({ "message": "success", "users": users });
    if !invalid.is_empty() {
        answer["invalid_user_ids"] = json!(invalid);
    }
    Answer {
        status: 201,
        body: answer,
    }
}
