//! What Braze says that somebody did, as the activity of an event.
//!
//! `tests/fixtures/currents/events.ndjson` has an event of every type that Currents has, each beside what must become of it: its
//! identities, all that is typed, and the names of what is in the rest; or what the sender is told. A new line is a new test.

use ingest_svc::normalize::{Mapping, RawRecord, Reason, record_key};
use proptest::prelude::*;
use proto::profile::v1::{Action, Activity, Channel, ProfileEvent};
use serde_json::{Map, Value, json};

use super::{RECEIVED, normalize, run};

const PAGE: &str = include_str!("../../../../docs/mapping.md");
const EVENTS: &str = include_str!("../../fixtures/currents/events.ndjson");

/// What an event of Currents becomes.
fn currents(event: &Value) -> Result<ProfileEvent, Reason> {
    run(Mapping::braze_currents(), &event.to_string()).map(|normalized| normalized.event)
}

/// What a record of a webhook tells.
fn webhook(record: &Value) -> ProfileEvent {
    run(Mapping::braze_users(), &record.to_string()).unwrap().event
}

fn identities(event: &ProfileEvent) -> Vec<String> {
    let identities = event.identities.iter();
    identities.map(|id| format!("{}:{}", id.field, id.value)).collect()
}

/// All that is typed, without what is not told.
fn typed(activity: &Activity) -> Value {
    let word = |name: &str| {
        name.split_once('_')
            .unwrap()
            .1
            .to_lowercase()
            .replace("unspecified", "")
    };
    let mut typed = json!({
        "type": activity.event_type,
        "id": activity.id,
        "channel": word(activity.channel().as_str_name()),
        "action": word(activity.action().as_str_name()),
        "machine_open": activity.machine_open,
        "suspected_bot_click": activity.suspected_bot_click,
        "suspected_bot_click_reasons": activity.suspected_bot_click_reasons,
        "campaign": activity.campaign.as_ref().map(|c| json!({"id": c.id, "name": c.name})),
        "canvas": activity.canvas.as_ref().map(|c| json!({
            "id": c.id, "name": c.name, "variation_id": c.variation_id, "variation_name": c.variation_name,
            "step_id": c.step_id, "step_name": c.step_name, "step_message_variation_id": c.step_message_variation_id,
        })),
        "message": activity.message.as_ref().map(|m| json!({
            "variation_id": m.variation_id, "variation_name": m.variation_name, "dispatch_id": m.dispatch_id, "send_id": m.send_id,
        })),
        "link": activity.link.as_ref().map(|l| json!({"url": l.url, "short_url": l.short_url, "id": l.id, "alias": l.alias})),
        "device": activity.device.as_ref().map(|d| json!({
            "id": d.id, "app_id": d.app_id, "platform": d.platform, "os": d.os, "os_version": d.os_version, "model": d.model,
            "device_class": d.device_class, "browser": d.browser, "user_agent": d.user_agent,
        })),
        "subscription": activity.subscription.as_ref().map(|s| json!({
            "group_id": s.group_id, "status": s.status, "change_source": s.change_source,
        })),
    });
    fn prune(members: &mut Map<String, Value>) {
        members.retain(|_, value| {
            if let Value::Object(inner) = value {
                prune(inner);
            }
            !["null", "\"\"", "[]", "{}"].contains(&&*value.to_string())
        });
    }
    prune(typed.as_object_mut().unwrap());
    typed
}

fn rest(activity: &Activity) -> Value {
    if activity.rest.is_empty() {
        return json!({});
    }
    serde_json::from_str(&activity.rest).unwrap()
}

#[test]
fn every_type_of_currents_becomes_what_stands_beside_it() {
    for line in EVENTS.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let (event, expected) = (&sample["event"], &sample["expected"]);
        let name = event["event_type"].as_str().unwrap();
        let profile_event = match currents(event) {
            Ok(profile_event) => profile_event,
            Err(reason) => {
                let begins = expected["reason"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name}: {reason}"));
                assert!(reason.to_string().starts_with(begins), "{name}: {reason}");
                continue;
            }
        };
        let activity = profile_event.activity.as_ref().unwrap();
        assert_eq!(json!(identities(&profile_event)), expected["identities"], "{name}");
        assert_eq!(record_key(&profile_event), expected["identities"][0], "{name}");
        assert_eq!(typed(activity), expected["activity"], "{name}");
        let time = profile_event.event_time.unwrap();
        let ms = event["properties"]["time_ms"]
            .as_i64()
            .unwrap_or(event["time"].as_i64().unwrap() * 1_000);
        assert_eq!(time.seconds * 1_000, ms - ms % 1_000, "{name}");
        let mut kept = json!({});
        for path in expected["rest"].as_array().unwrap() {
            let (level, field) = path.as_str().unwrap().split_once('.').unwrap();
            kept[level][field] = event[level][field].clone();
        }
        assert_eq!(rest(activity), kept, "{name}");
    }
}

/// The blocks of docs/mapping.md in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begins = format!("\n```{language}\n");
    let blocks = PAGE.split(&begins).skip(1);
    blocks.map(|behind| behind.split("\n```").next().unwrap()).collect()
}

#[test]
fn the_event_of_the_page_tells_what_the_page_says() {
    let (events, activities) = (blocks("json event"), blocks("json activity"));
    assert_eq!((events.len(), activities.len()), (1, 1));
    let event = currents(&serde_json::from_str(events[0]).unwrap()).unwrap();
    let activity = event.activity.as_ref().unwrap();
    let mut told = typed(activity);
    told["rest"] = rest(activity);
    assert_eq!(told, serde_json::from_str::<Value>(activities[0]).unwrap());
}

#[test]
fn what_the_templates_of_the_page_become_tells_all_that_is_in_them() {
    let templates = blocks("liquid");
    assert_eq!(templates.len(), 2);
    for template in templates {
        let mut record: Value = serde_json::from_str(template).unwrap();
        for (name, value) in record.as_object_mut().unwrap() {
            if value.as_str().unwrap().starts_with("{{") {
                *value = json!(if name == "time" { "1767225600" } else { name.as_str() });
            }
        }
        let event = webhook(&record);
        let told = typed(event.activity.as_ref().unwrap());
        for name in record.as_object().unwrap().keys() {
            match name.as_str() {
                "braze_id" => assert_eq!(identities(&event), ["br_user_id:braze_id"]),
                "time" => assert_eq!(event.event_time.unwrap().seconds, 1_767_225_600),
                "event_type" => assert_eq!((&told["channel"], &told["action"]), (&json!("webhook"), &json!("send"))),
                name => assert!(told.to_string().contains(&format!("\"{name}\"")), "{name}: {told}"),
            }
        }
    }
}

#[test]
fn the_samples_have_every_type_channel_and_action() {
    let samples: Vec<Value> = EVENTS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |name: &str| -> std::collections::BTreeSet<_> {
        samples
            .iter()
            .filter_map(|sample| sample["expected"]["activity"][name].as_str())
            .collect()
    };
    // Those of the table, but one whose event identifies nobody.
    assert_eq!(said("type").len(), 96);
    for number in 1.. {
        let Ok(channel) = Channel::try_from(number) else { break };
        let word = channel.as_str_name().strip_prefix("CHANNEL_").unwrap().to_lowercase();
        assert!(said("channel").contains(&*word), "{word}");
    }
    for number in 1..=40 {
        let action = Action::try_from(number).unwrap();
        let word = action.as_str_name().strip_prefix("ACTION_").unwrap().to_lowercase();
        assert!(said("action").contains(&*word), "{word}");
    }
}

#[test]
fn a_type_and_fields_that_are_new_pass_through() {
    let event = json!({
        "event_type": "users.messages.hologram.Gaze", "id": "e-1", "time": 1_767_225_600, "origin": [1, null],
        "user": {"user_id": "b-1", "mood": {"joy": 0.5}},
        "properties": {"campaign_id": "c-1", "seconds": 12, "gone": null, "link_id": 7},
    });
    let event = currents(&event).unwrap();
    let activity = event.activity.as_ref().unwrap();
    assert_eq!(
        typed(activity),
        json!({"type": "users.messages.hologram.Gaze", "id": "e-1", "campaign": {"id": "c-1"}})
    );
    // What is of another kind than its place is not lost either.
    assert_eq!(
        rest(activity),
        json!({
            "origin": [1, null],
            "user": {"user_id": "b-1", "mood": {"joy": 0.5}},
            "properties": {"seconds": 12, "gone": null, "link_id": 7},
        })
    );
    assert_eq!(identities(&event), ["br_user_id:b-1"]);
}

#[test]
fn a_repeat_is_recognised_by_brazes_id_though_a_name_has_changed() {
    let event = |stream: &str, id: Value, name: &str| {
        let record = json!({"event_type": "users.messages.email.Open", "id": id, "braze_id": "b", "user": {"user_id": "b"},
            "properties": {"campaign_name": name}});
        let (json, mapping) = (
            record.to_string(),
            match stream {
                "braze_currents" => Mapping::braze_currents(),
                _ => Mapping::braze_users(),
            },
        );
        let raw = RawRecord {
            account: 1,
            stream,
            json: json.as_bytes(),
            timestamp_field: None,
        };
        normalize(mapping, &raw, RECEIVED).unwrap().event.event_id
    };
    let currents = |id: Value, name: &str| event("braze_currents", id, name);
    assert_eq!(currents(json!("e-1"), "Old"), currents(json!("e-1"), "New"));
    assert_ne!(currents(json!("e-1"), "Old"), currents(json!("e-2"), "Old"));
    // Without one, the event itself is all there is; and what a webhook calls `id` is its own business.
    assert_ne!(currents(json!(""), "Old"), currents(json!(""), "New"));
    assert_ne!(currents(json!(7), "Old"), currents(json!(7), "New"));
    assert_ne!(
        event("braze_users", json!("e-1"), "Old"),
        event("braze_users", json!("e-1"), "New")
    );
}

#[test]
fn an_orphan_links_both_ids_and_the_profile_has_the_one_that_goes_on() {
    let orphan = json!({
        "event_type": "users.UserOrphan", "id": "e-1", "time": 1_767_225_600,
        "user": {"user_id": "gone", "external_user_id": "cust-0"}, "properties": {"orphaned_by_id": "stays"},
    });
    let event = currents(&orphan).unwrap();
    assert_eq!(identities(&event), ["br_user_id:stays", "br_user_id:gone"]);
    let fields: Vec<_> = event.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        fields,
        ["br_user_id"],
        "the external id of who is gone is not the profile's"
    );
    // By whichever of the two a mapping identifies.
    let mapping = Mapping::parse("SELECT user.user_id AS id FROM braze_currents INTO user BY id ALIAS q").unwrap();
    let event = run(&mapping, &orphan.to_string()).unwrap().event;
    assert_eq!(identities(&event), ["id:gone", "id:stays"]);
    // No other type links anything.
    let mut open = orphan;
    open["event_type"] = json!("users.messages.email.Open");
    let event = run(&mapping, &open.to_string()).unwrap().event;
    assert_eq!(identities(&event), ["id:gone"]);
}

#[test]
fn an_id_that_identifies_nobody_is_not_linked() {
    for other in ["", " ", &"x".repeat(257), "gone"] {
        let orphan = json!({"event_type": "users.UserOrphan", "user": {"user_id": "gone"}, "properties": {"orphaned_by_id": other}});
        let event = currents(&orphan).map(|event| identities(&event));
        assert!(event.is_err() || event.unwrap() == ["br_user_id:gone"], "{other}");
    }
}

#[test]
fn what_a_workspace_has_redacted_or_hashed_identifies_nobody() {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for hidden in ["[REDACTED]", hash] {
        let event = currents(&json!({
            "event_type": "users.messages.sms.Send", "user": {"user_id": "b-1"},
            "properties": {"email_address": hidden, "to_phone_number": hidden},
        }));
        assert_eq!(identities(&event.unwrap()), ["br_user_id:b-1"], "{hidden}");
    }
    let redacted = "[REDACTED]";
    let event = json!({
        "event_type": "users.messages.sms.Send",
        "user": {"user_id": redacted, "external_user_id": redacted, "device_id": redacted},
    });
    assert_eq!(currents(&event).unwrap_err().code(), "no_identity");
}

#[test]
fn an_event_of_currents_without_a_type_is_told_as_such() {
    for event in [
        json!({"user": {"user_id": "b-1"}}),
        json!({"event_type": "", "user": {"user_id": "b-1"}}),
        json!({"event_type": 7, "user": {"user_id": "b-1"}}),
    ] {
        let reason = currents(&event).unwrap_err();
        assert_eq!(reason.code(), "no_event_type", "{event}");
        assert!(reason.to_string().contains("`event_type`"));
    }
}

#[test]
fn a_webhook_whose_template_names_the_fields_as_currents_does_carries_the_same_part() {
    let event = webhook(&json!({
        "event_type": "users.messages.webhook.Send", "time": "1767225600", "campaign_id": "c-1", "canvas_id": "",
        "message_variation_id": "v-1", "dispatch_id": "d-1", "send_id": "s-1", "is_suspected_bot_click": "false",
        "braze_id": "b-1", "first_name": "Ines", "loyalty": "gold",
    }));
    let activity = event.activity.as_ref().unwrap();
    assert_eq!(
        typed(activity),
        json!({
            "type": "users.messages.webhook.Send", "channel": "webhook", "action": "send", "campaign": {"id": "c-1"},
            "message": {"variation_id": "v-1", "dispatch_id": "d-1", "send_id": "s-1"}, "suspected_bot_click": false,
        })
    );
    assert_eq!(activity.rest, "", "what else is kept, the mapping says");
    assert_eq!(event.event_time.unwrap().seconds, 1_767_225_600);
    assert_eq!(identities(&event), ["br_user_id:b-1"]);
    assert_eq!(event.fields.len(), 2);
}

#[test]
fn other_records_have_no_activity() {
    for record in [
        json!({"braze_id": "b-1", "campaign_id": "c-1", "time": "1767225600"}),
        json!({"braze_id": "b-1", "event_type": "view"}),
        json!({"braze_id": "b-1", "event_type": ""}),
        json!({"braze_id": "b-1", "inner": {"event_type": "users.messages.email.Open"}}),
    ] {
        let event = webhook(&record);
        assert_eq!((event.activity, event.event_time), (None, None), "{record}");
    }
}

#[test]
fn an_activity_has_its_own_time_unless_the_sender_names_another() {
    let time = |record: Value, timestamp_field: Option<&str>| {
        let json = record.to_string();
        let raw = RawRecord {
            account: 1,
            stream: "braze_currents",
            json: json.as_bytes(),
            timestamp_field,
        };
        let event = normalize(Mapping::braze_currents(), &raw, RECEIVED).unwrap().event;
        event.event_time.map(|time| (time.seconds, time.nanos))
    };
    let event = |time: Value| json!({"event_type": "users.canvas.Entry", "time": time, "user": {"user_id": "b", "at": "2026-01-02"}});
    assert_eq!(time(event(json!(1_767_225_600)), None), Some((1_767_225_600, 0)));
    assert_eq!(
        time(event(json!(1_767_225_600_123_i64)), None),
        Some((1_767_225_600, 123_000_000))
    );
    assert_eq!(
        time(event(json!("2026-01-01T00:00:00Z")), None),
        Some((1_767_225_600, 0))
    );
    assert_eq!(time(event(json!("soon")), None), None);
    assert_eq!(
        time(event(json!(1_767_225_600)), Some("user.at")),
        Some((1_767_312_000, 0))
    );
    assert_eq!(
        time(event(json!(1_767_225_600)), Some("user.gone")),
        Some((1_767_225_600, 0))
    );
}

/// Any JSON that is not nested deeper than a record may be.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Read back exactly, which most decimals are not.
        any::<i32>().prop_map(|quarters| json!(f64::from(quarters) / 4.0)),
        any::<String>().prop_map(Value::from),
        Just(json!("true")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names that have a place, and names that do not.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 16] = [
        "campaign_id",
        "canvas_id",
        "url",
        "device_id",
        "machine_open",
        "is_suspected_bot_click",
        "suspected_bot_click_reason",
        "channel",
        "event_type",
        "id",
        "time",
        "user_id",
        "orphaned_by_id",
        "user",
        "properties",
        "subscription_status",
    ];
    prop_oneof![
        prop::sample::select(&KNOWN[..]).prop_map(str::to_owned),
        any::<String>(),
        "new_[a-z]{1,8}"
    ]
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), any_json(), 0..8).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn event_type() -> impl Strategy<Value = String> {
    let known: Vec<String> = EVENTS
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["event"]["event_type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    prop_oneof![3 => prop::sample::select(known), 1 => any::<String>(), 1 => "users[.][a-z.]{0,12}[A-Z][a-z]{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_object_of_any_type_is_read_and_nothing_of_it_is_lost(
        event_type in event_type(), mut record in object(), user in object(), properties in object()
    ) {
        for (name, value) in [("event_type", json!(event_type)), ("user", user), ("properties", properties)] {
            record[name] = value;
        }
        record["user"]["user_id"] = json!("b-1");
        let event = match currents(&record) {
            Ok(event) => event,
            Err(reason) => {
                // What stands there goes before the user's id, and may identify nobody: blanks, say, or a list of them.
                let orphaned_by = &record["properties"]["orphaned_by_id"];
                let goes_before = orphaned_by.is_string() || orphaned_by.is_array();
                prop_assert!(event_type.is_empty() || goes_before, "{reason}");
                return Ok(());
            }
        };
        let activity = event.activity.as_ref().unwrap();
        prop_assert_eq!(&activity.event_type, &event_type);
        let (told, rest) = (typed(activity).to_string(), rest(activity));
        let is_told = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) if text.is_empty() => true,
            // A flag that is a text, and a channel's word.
            Value::String(text) if text == "true" || text == "false" => told.contains(text.as_str()),
            Value::Array(items) if items.is_empty() => true,
            value => told.contains(&value.to_string()),
        };
        for (name, value) in record.as_object().unwrap() {
            match name.as_str() {
                "event_type" => {}
                "user" | "properties" if value.is_object() => {
                    for (inner, value) in value.as_object().unwrap() {
                        let kept = rest[name].get(inner);
                        prop_assert!(kept == Some(value) || (kept.is_none() && is_told(value)), "{name}.{inner}: {value}");
                    }
                }
                "time" if event.event_time.is_some() => {}
                _ => {
                    let kept = rest.get(name);
                    prop_assert!(kept == Some(value) || (kept.is_none() && is_told(value)), "{name}: {value}");
                }
            }
        }
    }

    #[test]
    fn any_object_as_a_webhook_gives_the_same_activity_without_a_rest(event_type in event_type(), mut record in object()) {
        record["event_type"] = json!(event_type);
        record["braze_id"] = json!("b-1");
        let event = webhook(&record);
        let is_brazes = event_type.starts_with("users.") || event_type.starts_with("agentconsole.");
        prop_assert_eq!(event.activity.is_some(), is_brazes);
        if let Some(activity) = event.activity {
            prop_assert_eq!((&activity.rest, &activity.id), (&String::new(), &String::new()));
        }
    }
}
