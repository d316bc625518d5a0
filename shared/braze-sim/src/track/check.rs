//! The checks of one object, in Braze's order; the first that fails refuses the object (reference §3.6, §13).

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Map, Value};

use super::identity::Identity;
use super::{Accepted, Array};
use crate::settings::Settings;

/// `external_id` must be shorter than this.
const EXTERNAL_ID_BYTES_END: usize = 988;
/// Most units of one purchase object.
const QUANTITY_MAX: i64 = 100;

/// Why an object was refused: what is seen on the wire, and the code that is documented for it, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) sentence: Cow<'static, str>,
    pub(super) code: Option<&'static str>,
}

impl Refusal {
    pub(super) const fn sentence(sentence: &'static str) -> Self {
        Self {
            sentence: Cow::Borrowed(sentence),
            code: None,
        }
    }

    const fn coded(sentence: &'static str, code: &'static str) -> Self {
        Self {
            sentence: Cow::Borrowed(sentence),
            code: Some(code),
        }
    }
}

pub(super) fn check(
    array: Array,
    object: Value,
    settings: &Settings,
    refused: &BTreeMap<String, String>,
) -> Result<Accepted, Refusal> {
    let Value::Object(object) = object else {
        return Err(not_an_object(array));
    };
    let identity = Identity::of(&object)?;
    if let Identity::ExternalId(id) = &identity {
        external_id(id, settings)?;
    }
    email(&object)?;
    match array {
        Array::Attributes => attributes(&object)?,
        Array::Events => event(&object)?,
        Array::Purchases => purchase(&object)?,
    }
    if let Identity::ExternalId(id) = &identity
        && let Some(text) = refused.get(id)
    {
        return Err(Refusal {
            sentence: Cow::Owned(text.clone()),
            code: None,
        });
    }
    Ok(Accepted {
        array,
        identity,
        object,
    })
}

const fn not_an_object(array: Array) -> Refusal {
    Refusal::sentence(match array {
        Array::Attributes => "'attributes' must be an array of objects",
        Array::Events => "'events' must be an array of objects",
        Array::Purchases => "'purchases' must be an array of objects",
    })
}

fn external_id(id: &str, settings: &Settings) -> Result<(), Refusal> {
    if id.len() >= EXTERNAL_ID_BYTES_END {
        return Err(Refusal::coded(
            "'external_id' must be fewer than 988 bytes",
            "EXTERNAL_USER_ID_TOO_LARGE",
        ));
    }
    if settings.banned_external_ids.contains(id) {
        let text = "provided external_id is blacklisted and disallowed";
        return Err(Refusal::coded(text, "BLACKLISTED_EXTERNAL_USER_ID"));
    }
    Ok(())
}

fn email(object: &Map<String, Value>) -> Result<(), Refusal> {
    let good = match object.get("email") {
        None | Some(Value::Null) => true,
        Some(Value::String(email)) => email.is_empty() || is_address(email),
        Some(_) => false,
    };
    let text = "The value provided for the 'email' field is not a valid email.";
    good.then_some(()).ok_or(Refusal::coded(text, "EMAIL_BAD_FORMAT"))
}

/// Something before one `@`, a dotted domain after it, no blanks.
fn is_address(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    !local.is_empty()
        && labels.len() > 1
        && labels.iter().all(|label| !label.is_empty())
        && !domain.contains('@')
        && !email.contains(char::is_whitespace)
}

fn attributes(object: &Map<String, Value>) -> Result<(), Refusal> {
    state(
        object,
        "email_subscribe",
        Refusal::coded(
            "'email_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'",
            "BAD_EMAIL_SUBSCRIPTION_STATE",
        ),
    )?;
    state(
        object,
        "push_subscribe",
        Refusal::coded(
            "'push_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'",
            "BAD_PUSH_SUBSCRIPTION_STATE",
        ),
    )?;
    subscription_groups(object)?;
    location(object)?;
    if object.contains_key("email_subscription_info") {
        let text = "'email_subscription_info' is not an attribute";
        return Err(Refusal::coded(text, "INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO"));
    }
    Ok(())
}

fn state(object: &Map<String, Value>, key: &str, refusal: Refusal) -> Result<(), Refusal> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(state)) if matches!(state.as_str(), "opted_in" | "subscribed" | "unsubscribed") => Ok(()),
        Some(_) => Err(refusal),
    }
}

fn subscription_groups(object: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(groups) = object.get("subscription_groups") else {
        return Ok(());
    };
    let Some(groups) = groups.as_array() else {
        return Err(Refusal::coded(
            "'subscription_groups' must be an array",
            "BAD_SUBSCRIPTION_GROUP_ARRAY",
        ));
    };
    for group in groups {
        let Some(group) = group.as_object() else {
            let text = "'subscription_groups' must be an array of objects";
            return Err(Refusal::coded(text, "BAD_SUBSCRIPTION_GROUP_HASH"));
        };
        if !filled(group, "subscription_group_id") {
            return Err(Refusal::coded(
                "'subscription_group_id' is required",
                "BAD_SUBSCRIPTION_GROUP_ID",
            ));
        }
        if !matches!(
            group.get("subscription_state").and_then(Value::as_str),
            Some("subscribed" | "unsubscribed")
        ) {
            let text = "'subscription_state' must be 'subscribed' or 'unsubscribed'";
            return Err(Refusal::coded(text, "BAD_SUBSCRIPTION_GROUP_STATE"));
        }
    }
    Ok(())
}

fn location(object: &Map<String, Value>) -> Result<(), Refusal> {
    match object.get("current_location") {
        None | Some(Value::Null) => Ok(()),
        Some(place)
            if ["longitude", "latitude"]
                .iter()
                .all(|part| place.get(part).is_some_and(Value::is_number)) =>
        {
            Ok(())
        }
        Some(_) => Err(Refusal::coded(
            "'current_location' must have a longitude and a latitude",
            "BAD_LOCATION_UPDATE",
        )),
    }
}

// The texts for events and purchases are not published; these are ours.

fn event(object: &Map<String, Value>) -> Result<(), Refusal> {
    if !filled(object, "name") {
        return Err(Refusal::sentence("'name' is required"));
    }
    time(object)
}

fn purchase(object: &Map<String, Value>) -> Result<(), Refusal> {
    if !filled(object, "product_id") {
        return Err(Refusal::sentence("'product_id' is required"));
    }
    let currency = object.get("currency").and_then(Value::as_str).unwrap_or_default();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Refusal::sentence("'currency' must be an ISO 4217 code"));
    }
    if !object.get("price").is_some_and(Value::is_number) {
        return Err(Refusal::sentence("'price' must be a number"));
    }
    let quantity = object.get("quantity").map_or(Some(1), Value::as_i64);
    if !quantity.is_some_and(|quantity| (1..=QUANTITY_MAX).contains(&quantity)) {
        return Err(Refusal::sentence("'quantity' must be an integer from 1 to 100"));
    }
    time(object)
}

fn time(object: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(time) = object
        .get("time")
        .and_then(Value::as_str)
        .filter(|time| !time.is_empty())
    else {
        return Err(Refusal::sentence("'time' is required"));
    };
    let is_one = time.parse::<Timestamp>().is_ok() || time.parse::<DateTime>().is_ok();
    let refusal = Refusal::sentence("'time' must be an ISO 8601 time");
    is_one.then_some(()).ok_or(refusal)
}

fn filled(object: &Map<String, Value>, key: &str) -> bool {
    object
        .get(key)
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty())
}
