//! Lytics' trigger messages as membership changes. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use proto::membership::v1::{MembershipAction, MembershipChange, TriggerMessage};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most `segment_events` that a message may have: each becomes a record with all fields of the profile.
const EVENTS_MAX: usize = 100;
/// The most that the changes of a message may hold of its fields, in bytes.
const FIELDS_BYTES_MAX: usize = 4 << 20;
/// What Lytics calls these messages as CloudEvents.
const CLOUD_EVENT_TYPE: &str = "com.lytics.audience.user.event";
/// Where the changes are.
const SEGMENT_EVENTS: &str = "segment_events";

/// What a trigger message says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// In the order of the message.
    pub(crate) changes: Vec<MembershipChange>,
    /// Entries that are neither an enter nor an exit.
    pub(crate) ignored: u32,
}

/// What is wrong with a trigger message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("json is no trigger message: {0}")]
    Json(String),
    #[error("specversion is \"{0}\"; CloudEvents 1.0 is understood")]
    Version(String),
    #[error("type is \"{0}\"; of CloudEvents `{CLOUD_EVENT_TYPE}` is understood")]
    Type(String),
    #[error("profile_id_field must not be blank")]
    NoProfileField,
    #[error("data.{0} must hold the profile's id, as a text, a number, or a list of these")]
    Profile(String),
    #[error("data.{SEGMENT_EVENTS}[{index}].{problem}")]
    Event { index: usize, problem: String },
    #[error("data.{SEGMENT_EVENTS} has {0} entries, and may have {EVENTS_MAX}")]
    Events(usize),
    #[error("data has {0} bytes for each of its {SEGMENT_EVENTS}, together more than {FIELDS_BYTES_MAX}")]
    Fields(usize),
}

/// Plain, or a CloudEvent: `data` is where it is in either.
#[derive(Deserialize)]
struct Message {
    specversion: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    segment_events: Vec<Event>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    id: String,
    slug: String,
    event: String,
    enter: Option<String>,
    exit: Option<String>,
}

/// The changes of a message, unchecked as changes.
///
/// # Errors
/// What is wrong with the message, with the path to it.
pub(crate) fn changes(trigger: &TriggerMessage) -> Result<Changes, Problem> {
    if trigger.profile_id_field.trim().is_empty() {
        return Err(Problem::NoProfileField);
    }
    let message: Message = serde_json::from_slice(&trigger.json).map_err(|error| Problem::Json(error.to_string()))?;
    if let Some(version) = message.specversion {
        if version != "1.0" {
            return Err(Problem::Version(version));
        }
        let kind = message.kind.unwrap_or_default();
        if kind != CLOUD_EVENT_TYPE {
            return Err(Problem::Type(kind));
        }
    }
    let Data { segment_events, fields } = message.data;
    let profile_id = fields.get(&trigger.profile_id_field).and_then(text);
    let profile_id = profile_id.ok_or_else(|| Problem::Profile(trigger.profile_id_field.clone()))?;
    if segment_events.len() > EVENTS_MAX {
        return Err(Problem::Events(segment_events.len()));
    }
    let fields: HashMap<String, String> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect();
    let bytes = fields
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>();
    if bytes.saturating_mul(segment_events.len()) > FIELDS_BYTES_MAX {
        return Err(Problem::Fields(bytes));
    }
    let mut found = Changes::default();
    for (index, event) in segment_events.into_iter().enumerate() {
        let (action, time, at) = match event.event.as_str() {
            "enter" => (MembershipAction::Enter, event.enter, "enter"),
            "exit" => (MembershipAction::Exit, event.exit, "exit"),
            "change" => {
                found.ignored += 1;
                continue;
            }
            other => {
                let problem = format!("event is \"{other}\"; enter, exit and change are understood");
                return Err(Problem::Event { index, problem });
            }
        };
        let time = time.map(|time| time.parse::<Timestamp>()).transpose();
        let time = time.map_err(|error| Problem::Event {
            index,
            problem: format!("{at}: {error}"),
        })?;
        found.changes.push(MembershipChange {
            account: trigger.account,
            audience_id: event.id,
            audience_slug: event.slug,
            profile_id: profile_id.clone(),
            action: action.into(),
            event_time: time.map(model::time::to_wire),
            fields: fields.clone(),
            previous_fields: HashMap::new(),
        });
    }
    Ok(found)
}

/// A value as identifiers are chosen from: that of a list is its first element's. Objects are none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Array(values) => values.first().and_then(text),
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn trigger(json: &Value) -> TriggerMessage {
        TriggerMessage {
            account: 1234,
            profile_id_field: "uid".to_owned(),
            json: json.to_string().into(),
        }
    }

    /// One who becomes a buyer, is no visitor any more, and has changed otherwise.
    fn data() -> Value {
        json!({
            "uid": ["p-7", "p-8"], "email": "kim@example.org", "visits": 3, "opted_in": true, "address": {"city": "Bonn"}, "phone": null,
            "segment_events": [
                {"id": "0a", "slug": "buyers", "event": "enter", "enter": "2026-05-01T08:00:00.25Z"},
                {"id": "0b", "slug": "scores", "event": "change"},
                {"id": "0c", "slug": "visitors", "event": "exit", "enter": "2026-04-01T08:00:00Z", "exit": "2026-05-01T08:00:00Z"}
            ]
        })
    }

    #[test]
    fn each_enter_and_exit_becomes_a_change_with_the_fields_of_the_profile() {
        let plain = json!({"id": "m", "data": data(), "meta": {"object": "user", "timestamp": "2026-05-01T08:00:01Z"}});
        let found = changes(&trigger(&plain)).unwrap();
        assert_eq!(found.ignored, 1);
        let shown: Vec<_> = found
            .changes
            .iter()
            .map(|change| {
                let time = model::time::from_wire(&change.event_time.unwrap()).unwrap().to_string();
                (
                    change.audience_id.as_str(),
                    change.audience_slug.as_str(),
                    change.action(),
                    time,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "0a",
                    "buyers",
                    MembershipAction::Enter,
                    "2026-05-01T08:00:00.25Z".to_owned()
                ),
                (
                    "0c",
                    "visitors",
                    MembershipAction::Exit,
                    "2026-05-01T08:00:00Z".to_owned()
                ),
            ]
        );
        for change in &found.changes {
            assert_eq!((change.account, change.profile_id.as_str()), (1234, "p-7"));
            let mut fields: Vec<_> = change
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            fields.sort_unstable();
            assert_eq!(
                fields,
                [
                    ("email", "kim@example.org"),
                    ("opted_in", "true"),
                    ("uid", "p-7"),
                    ("visits", "3")
                ]
            );
        }
    }

    #[test]
    fn a_cloud_event_says_the_same_and_one_of_another_type_nothing() {
        let event = |version: &str, kind: &str| {
            trigger(&json!({"specversion": version, "type": kind, "source": "/work/j", "id": "m", "data": data()}))
        };
        let plain = changes(&trigger(&json!({"data": data()}))).unwrap();
        assert_eq!(changes(&event("1.0", CLOUD_EVENT_TYPE)).unwrap(), plain);
        assert_eq!(
            changes(&event("0.3", CLOUD_EVENT_TYPE)),
            Err(Problem::Version("0.3".into()))
        );
        assert_eq!(
            changes(&event("1.0", "com.lytics.other")),
            Err(Problem::Type("com.lytics.other".into()))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_the_path_to_it() {
        let said = |data: Value| changes(&trigger(&json!({ "data": data }))).unwrap_err().to_string();
        let events = |events: Value| json!({"uid": 7, "segment_events": events});
        assert_eq!(
            said(json!({"segment_events": []})),
            "data.uid must hold the profile's id, as a text, a number, or a list of these"
        );
        assert!(said(json!({"uid": "7"})).contains("missing field `segment_events`"));
        assert!(said(events(json!([{"event": "enter"}]))).contains("missing field `slug`"));
        assert_eq!(
            said(events(
                json!([{"slug": "a", "event": "enter"}, {"slug": "b", "event": "left"}])
            )),
            "data.segment_events[1].event is \"left\"; enter, exit and change are understood"
        );
        let bad_time = said(events(json!([{"slug": "a", "event": "enter", "enter": "yesterday"}])));
        assert!(bad_time.starts_with("data.segment_events[0].enter: "), "{bad_time}");
        let many = vec![json!({"slug": "a", "event": "enter"}); EVENTS_MAX + 1];
        assert_eq!(
            said(events(many.into())),
            "data.segment_events has 101 entries, and may have 100"
        );
        let mut large = events(vec![json!({"slug": "a", "event": "enter"}); EVENTS_MAX].into());
        large["about"] = "x".repeat(FIELDS_BYTES_MAX / EVENTS_MAX).into();
        assert!(said(large).contains("together more than 4194304"));
        let blank = TriggerMessage {
            profile_id_field: " ".to_owned(),
            ..trigger(&json!({}))
        };
        assert_eq!(changes(&blank), Err(Problem::NoProfileField));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(json in prop::collection::vec(any::<u8>(), 0..200)) {
            let trigger = TriggerMessage { json: json.into(), ..trigger(&Value::Null) };
            prop_assert!(changes(&trigger).is_err());
        }
    }
}
