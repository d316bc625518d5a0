//! An event of Currents as it is stored, flat, in the form in which it comes over HTTP: so both have the same event id.

use serde_json::value::RawValue;

use crate::normalize::members::Object;

/// Fields that are the user's; those that are the event's; all others are its properties.
const USER: [&str; 4] = ["user_id", "external_user_id", "device_id", "timezone"];
const EVENT: [&str; 2] = ["id", "time"];

/// Types whose properties are named by whoever defined them: stored as JSON in a text.
const PROPERTIES: &str = "properties";
const NAMED: [(&str, &str); 2] = [
    ("users.behaviors.CustomEvent", "custom_properties"),
    ("users.behaviors.Purchase", "purchase_properties"),
];

/// An event that is put together.
pub(in super::super) struct Event<'t> {
    event_type: &'t str,
    event: Object,
    user: Object,
    properties: Object,
}

/// The type of events in a file: as the name of their record has it, `dataexport.<connector>.inner.<type>`, else as the file's path has
/// it, `…/event_type=<type>/…`.
pub(in super::super) fn event_type(record: &str, path: &str) -> Option<String> {
    let of_record = || Some(record.strip_prefix("dataexport.")?.split_once(".inner.")?.1);
    let of_path = || {
        path.split(['/', '\\'])
            .find_map(|part| part.strip_prefix("event_type="))
    };
    of_record().or_else(of_path).map(str::to_owned)
}

impl<'t> Event<'t> {
    pub(in super::super) fn new(event_type: &'t str) -> Self {
        Self {
            event_type,
            event: Object::default(),
            user: Object::default(),
            properties: Object::default(),
        }
    }

    /// Puts a field where it belongs; `null` is as good as missing.
    pub(in super::super) fn push(&mut self, name: &str, value: &str) {
        match name {
            _ if value == "null" => {}
            _ if USER.contains(&name) => self.user.push(name, value),
            _ if EVENT.contains(&name) => self.event.push(name, value),
            PROPERTIES => {
                let named = NAMED.iter().find(|(event_type, _)| *event_type == self.event_type);
                let text = serde_json::from_str::<String>(value).unwrap_or_default();
                match (named, serde_json::from_str::<&RawValue>(&text)) {
                    (Some((_, name)), Ok(object)) => self.properties.push(name, object.get()),
                    _ => self.properties.push(name, value),
                }
            }
            _ => self.properties.push(name, value),
        }
    }

    pub(in super::super) fn finish(self) -> String {
        let mut event = Object::default();
        // A text always is JSON.
        event.push(
            "event_type",
            &serde_json::to_string(self.event_type).unwrap_or_default(),
        );
        let mut event = event.with(self.event);
        event.push_object("user", self.user);
        event.push_object("properties", self.properties);
        event.finish()
    }
}
