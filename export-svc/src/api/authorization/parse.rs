//! What a request says of an authorization, or everything that is wrong with it.

use control::{AuthorizationSettings, Budget, NewAuthorization};
use model::text;
use prost_types::FieldMask;
use proto::authorization::v1::Authorization;
use runtime::grpc::status::Violations;
use secrecy::{ExposeSecret, SecretString};
use tonic::Status;

use crate::api::check;
use crate::api::providers::{self, Form};

/// Bound of a workspace's name, in bytes: it becomes part of Kafka's transactional ids and consumer groups.
const WORKSPACE_BYTES_MAX: usize = 100;
/// Bound of a REST API key, in bytes. Braze's have 36.
const KEY_BYTES_MAX: usize = 1_000;

/// The authorization that a request asks to create, or everything that is wrong with it.
pub(super) fn parse(authorization: Authorization, rest_api_key: SecretString) -> Result<NewAuthorization, Status> {
    let form = Form {
        authorization: &authorization,
        rest_api_key: rest_api_key.expose_secret(),
    };
    providers::check(&form).into_result()?;
    let instance = instance(&authorization.instance);
    Ok(NewAuthorization {
        label: authorization.label,
        description: authorization.description,
        instance: instance.unwrap_or_default(),
        budget: Budget::from_wire(authorization.budget),
        workspace: Some(authorization.workspace).filter(|workspace| !workspace.is_empty()),
        rest_api_key,
    })
}

/// The instance as its table spells it, or as it was given if it is newer than the table.
pub(in crate::api) fn instance(given: &str) -> Result<String, String> {
    let known = || {
        braze::INSTANCES
            .iter()
            .map(|instance| instance.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let endpoint = braze::endpoint(given).map_err(|error| format!("{error}; known: {}", known()))?;
    let row = braze::INSTANCES
        .iter()
        .find(|instance| endpoint.host_str() == Some(instance.rest));
    Ok(row.map_or_else(|| given.trim().to_owned(), |row| row.name.to_owned()))
}

pub(in crate::api) fn workspace(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > WORKSPACE_BYTES_MAX || !name.bytes().all(good) {
        return Err(format!(
            "must be at most {WORKSPACE_BYTES_MAX} letters, digits, '-', '_' and '.'"
        ));
    }
    Ok(())
}

/// Never shows the key.
pub(in crate::api) fn key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("must not be blank: the REST API key from Braze's settings, with the permission users.track");
    }
    if key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be at most 1000 visible ASCII characters without white space (the key is not shown here)");
    }
    Ok(())
}

pub(in crate::api) fn requests_per_second(budget: Budget) -> Result<(), String> {
    match budget.requests_per_second {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => {
            Err("must be a number above 0; leave it out for a share of Braze's limit".to_owned())
        }
        _ => Ok(()),
    }
}

pub(in crate::api) fn limit_share(budget: Budget) -> Result<(), String> {
    match budget.limit_share {
        Some(share) if !(share > 0.0 && share <= 1.0) => {
            Err("must be above 0 and at most 1: 0.5 is half of Braze's limit".to_owned())
        }
        _ => Ok(()),
    }
}

/// What an edit may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Label,
    Description,
    RequestsPerSecond,
    LimitShare,
}

impl Field {
    const ALL: [Self; 4] = [
        Self::Label,
        Self::Description,
        Self::RequestsPerSecond,
        Self::LimitShare,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Description => "description",
            Self::RequestsPerSecond => "budget.requests_per_second",
            Self::LimitShare => "budget.limit_share",
        }
    }

    fn is_named_by(self, path: &str) -> bool {
        let of_budget = matches!(self, Self::RequestsPerSecond | Self::LimitShare);
        path == self.path() || (path == "budget" && of_budget)
    }

    fn is_set_in(self, settings: &AuthorizationSettings) -> bool {
        match self {
            Self::Label => !settings.label.is_empty(),
            Self::Description => !settings.description.is_empty(),
            Self::RequestsPerSecond => settings.budget.requests_per_second.is_some(),
            Self::LimitShare => settings.budget.limit_share.is_some(),
        }
    }

    fn copy(self, from: &AuthorizationSettings, to: &mut AuthorizationSettings) {
        match self {
            Self::Label => to.label.clone_from(&from.label),
            Self::Description => to.description.clone_from(&from.description),
            Self::RequestsPerSecond => to.budget.requests_per_second = from.budget.requests_per_second,
            Self::LimitShare => to.budget.limit_share = from.budget.limit_share,
        }
    }
}

/// The edit that is asked for.
pub(super) fn edit(
    authorization: &Authorization,
    mask: &FieldMask,
) -> Result<impl Fn(&mut AuthorizationSettings) + Send + Sync + use<>, Status> {
    let new = AuthorizationSettings {
        label: authorization.label.clone(),
        description: authorization.description.clone(),
        budget: Budget::from_wire(authorization.budget),
    };
    let mut violations = Violations::new();
    let mut fields = Field::ALL.to_vec();
    if mask.paths.is_empty() {
        fields.retain(|field| field.is_set_in(&new));
    } else {
        fields.retain(|field| mask.paths.iter().any(|path| field.is_named_by(path)));
    }
    let known = |path: &&String| Field::ALL.iter().any(|field| field.is_named_by(path));
    if let Some(path) = mask.paths.iter().find(|path| !known(path)) {
        let all = Field::ALL.map(Field::path).join(", ");
        let problem = format!("{path:?} cannot be changed; what can: {all}; and the key, by RotateAuthorizationKey");
        violations.add("update_mask", problem);
    } else if fields.is_empty() {
        violations.add("update_mask", "names nothing, and nothing is set in authorization");
    }
    for field in &fields {
        let outcome = match field {
            Field::Label => text::label(&new.label).map_err(|error| error.to_string()),
            Field::Description => text::description(&new.description).map_err(|error| error.to_string()),
            Field::RequestsPerSecond => requests_per_second(new.budget),
            Field::LimitShare => limit_share(new.budget),
        };
        let path = format!("authorization.{}", field.path());
        check(&mut violations, &path, outcome);
    }
    violations.into_result()?;
    Ok(move |settings: &mut AuthorizationSettings| fields.iter().for_each(|field| field.copy(&new, settings)))
}

#[cfg(test)]
mod tests;
