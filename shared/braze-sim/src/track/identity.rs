//! Whom an object is about (reference §3.2).

use serde_json::{Map, Value};

use super::check::Refusal;
use crate::users::Alias;

/// The one identifier by which an object's user is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    ExternalId(String),
    BrazeId(String),
    Alias(Alias),
    Email(String),
    Phone(String),
    /// A push token import without a user.
    Anonymous,
}

const TWO_PRIMARIES: Refusal =
    Refusal::sentence("You must specify only one of 'external_id', 'user_alias' or 'braze_id'");
const NONE: Refusal = Refusal::sentence("'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required");
// The texts of malformed identifiers are not published; these are ours.
const EXTERNAL_ID_FORM: Refusal = Refusal::sentence("'external_id' must be a string");
const BRAZE_ID_FORM: Refusal = Refusal::sentence("'braze_id' must be a string");
const ALIAS_FORM: Refusal = Refusal::sentence("'user_alias' must have an 'alias_name' and an 'alias_label'");

impl Identity {
    /// Reads the identifier of an object. Null and the empty string count as absent.
    pub(super) fn of(object: &Map<String, Value>) -> Result<Self, Refusal> {
        let external_id = present(object, "external_id");
        let braze_id = present(object, "braze_id");
        let alias = present(object, "user_alias");
        match (external_id, braze_id, alias) {
            (Some(id), None, None) => text(id).map(Self::ExternalId).ok_or(EXTERNAL_ID_FORM),
            (None, Some(id), None) => text(id).map(Self::BrazeId).ok_or(BRAZE_ID_FORM),
            (None, None, Some(alias)) => alias_of(alias).map(Self::Alias).ok_or(ALIAS_FORM),
            (None, None, None) => Self::secondary(object),
            _ => Err(TWO_PRIMARIES),
        }
    }

    /// E-mail wins over phone.
    fn secondary(object: &Map<String, Value>) -> Result<Self, Refusal> {
        if let Some(email) = present(object, "email").and_then(text) {
            return Ok(Self::Email(email));
        }
        if let Some(phone) = present(object, "phone").and_then(text) {
            return Ok(Self::Phone(phone));
        }
        match object.get("push_token_import") {
            Some(Value::Bool(true)) => Ok(Self::Anonymous),
            _ => Err(NONE),
        }
    }

    /// How the journal spells it: `external_id:cust-1`, `user_alias:label:name`.
    pub(crate) fn spelled(&self) -> Option<String> {
        match self {
            Self::ExternalId(id) => Some(format!("external_id:{id}")),
            Self::BrazeId(id) => Some(format!("braze_id:{id}")),
            Self::Alias(alias) => Some(format!("user_alias:{}:{}", alias.alias_label, alias.alias_name)),
            Self::Email(email) => Some(format!("email:{email}")),
            Self::Phone(phone) => Some(format!("phone:{phone}")),
            Self::Anonymous => None,
        }
    }
}

fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object
        .get(key)
        .filter(|value| !value.is_null() && value.as_str() != Some(""))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn alias_of(value: &Value) -> Option<Alias> {
    let alias = value.as_object()?;
    let part = |key| present(alias, key).and_then(text);
    Some(Alias {
        alias_name: part("alias_name")?,
        alias_label: part("alias_label")?,
    })
}
