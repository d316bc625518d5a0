//! `POST /users/export/ids`: what Braze holds of one user now. For a look now and then, not for reading in bulk: Braze allows 250
//! such calls a minute.

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::client::{Answered, Unanswered};
use crate::redact::redact;
use crate::{Client, Identifier, Url};

/// Only what is looked at: Braze wants the fields to be named, and is generous with calls that leave the history out.
const FIELDS: [&str; 3] = ["braze_id", "external_id", "custom_attributes"];

/// A user of Braze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unless it is known by an alias alone.
    pub external_id: Option<String>,
    /// Braze's own id.
    pub braze_id: Option<String>,
    /// What the attribute that was asked for holds.
    pub attribute: Held,
}

/// What an attribute of a user holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The user has no such attribute.
    Nothing,
    /// These texts, in Braze's order.
    Array(Vec<String>),
    /// Something that is no array of texts: what is added to it or removed from it has no effect.
    Other,
}

/// Why it is not known what Braze holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookupError {
    /// The status of the answer, if one arrived. 401 and 403: the key is not known, or lacks the permission `users.export.ids`; 404:
    /// a wrong path, which is no answer about a user.
    pub status: Option<u16>,
    /// For operators: what happened, or Braze's words without our key.
    pub message: String,
}

impl Client {
    /// Looks a user up at the instance at `base`, with what one attribute holds. `None`: Braze has no such user.
    ///
    /// # Errors
    /// [`LookupError`] if Braze does not say.
    pub async fn user(
        &self,
        base: &Url,
        key: &SecretString,
        identifier: &Identifier,
        attribute: &str,
    ) -> Result<Option<User>, LookupError> {
        let body = question(identifier).to_string();
        let answered = self.ask(base, key, "/users/export/ids", Some(body)).await;
        let Answered { status, body, .. } =
            answered.map_err(|Unanswered { message, .. }| LookupError { status: None, message })?;
        let answer = body
            .as_deref()
            .and_then(|body| serde_json::from_slice::<Value>(body).ok());
        read(status, answer.as_ref(), attribute).map_err(|message| LookupError {
            status: Some(status.as_u16()),
            message: redact(&message, key),
        })
    }
}

fn question(identifier: &Identifier) -> Value {
    let mut question = match identifier {
        Identifier::ExternalId(id) => json!({ "external_ids": [id] }),
        Identifier::BrazeId(id) => json!({ "braze_id": id }),
        Identifier::Alias { label, name } => json!({ "user_aliases": [{ "alias_label": label, "alias_name": name }] }),
        Identifier::Email(address) => json!({ "email_address": address }),
        Identifier::Phone(number) => json!({ "phone": number }),
    };
    question["fields_to_export"] = json!(FIELDS);
    question
}

/// A 2xx counts only if it lists users: what a proxy in between answers is not Braze's word.
fn read(status: StatusCode, answer: Option<&Value>, attribute: &str) -> Result<Option<User>, String> {
    let users = answer.and_then(|answer| answer.get("users")?.as_array());
    match users {
        Some(users) if status.is_success() => {
            // Of several with one e-mail address, updates go to one with an external id.
            let identified = users.iter().find(|user| user.get("external_id").is_some());
            Ok(identified.or(users.first()).map(|user| user_of(user, attribute)))
        }
        _ => {
            let said = answer.and_then(|answer| answer.get("message")?.as_str());
            Err(said.unwrap_or("the answer is not one of Braze's").to_owned())
        }
    }
}

fn user_of(user: &Value, attribute: &str) -> User {
    let text = |key: &str| user.get(key).and_then(Value::as_str).map(str::to_owned);
    let held = user.get("custom_attributes").and_then(|held| held.get(attribute));
    User {
        external_id: text("external_id"),
        braze_id: text("braze_id"),
        attribute: match held {
            None | Some(Value::Null) => Held::Nothing,
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Held::Other, Held::Array)
            }
            Some(_) => Held::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_identifier_is_asked_for_by_its_own_key() {
        let alias = Identifier::Alias {
            label: "l".into(),
            name: "n".into(),
        };
        for (identifier, key, value) in [
            (
                Identifier::ExternalId("cust-1".into()),
                "external_ids",
                json!(["cust-1"]),
            ),
            (Identifier::BrazeId("64b1".into()), "braze_id", json!("64b1")),
            (alias, "user_aliases", json!([{"alias_name": "n", "alias_label": "l"}])),
            (
                Identifier::Email("kim@example.org".into()),
                "email_address",
                json!("kim@example.org"),
            ),
            (Identifier::Phone("+15551234567".into()), "phone", json!("+15551234567")),
        ] {
            let mut question = question(&identifier);
            let fields = question["fields_to_export"].take();
            assert_eq!(fields, json!(["braze_id", "external_id", "custom_attributes"]));
            assert_eq!(question[key], value);
            assert_eq!(question.as_object().unwrap().len(), 2);
        }
    }

    #[test]
    fn what_a_user_holds_is_told_and_what_is_no_answer_of_brazes_is_not_believed() {
        let read =
            |status, answer: Value| read(StatusCode::from_u16(status).unwrap(), Some(&answer), "lytics_segments");
        let held = |held: Value| {
            let user = json!({"external_id": "cust-1", "custom_attributes": {"lytics_segments": held, "tier": "gold"}});
            let user = read(201, json!({"message": "success", "users": [user]}))
                .unwrap()
                .unwrap();
            assert_eq!((user.external_id.as_deref(), user.braze_id), (Some("cust-1"), None));
            user.attribute
        };
        assert_eq!(
            held(json!(["vip", "news"])),
            Held::Array(vec!["vip".into(), "news".into()])
        );
        assert_eq!(held(json!([])), Held::Array(Vec::new()));
        for other in [json!("vip"), json!(["vip", 7]), json!({"vip": true})] {
            assert_eq!(held(other), Held::Other);
        }
        assert_eq!(held(Value::Null), Held::Nothing);
        let nobody = json!({"message": "success", "users": [], "invalid_user_ids": ["cust-1"]});
        assert_eq!(read(201, nobody.clone()), Ok(None));
        assert_eq!(read(403, json!({"message": "no"})), Err("no".to_owned()));
        for (status, answer) in [(200, json!({"status": "up"})), (500, nobody)] {
            assert!(read(status, answer.clone()).is_err(), "{status} {answer}");
        }
    }
}
