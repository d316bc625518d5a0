//! A line of a segment export: a user with all that they did.
//!
//! The user becomes the record that a webhook would bring, with everything else that the line has. Of each campaign and each Canvas
//! that they received comes a record of its own behind it, which names the same user and tells it as an activity: when they received
//! it last, whether they engaged with it. Of what they did one by one Braze says nothing here; that is what Currents are for.

use serde_json::value::RawValue;

use crate::normalize::members::{Members, Object};
use crate::normalize::{CAMPAIGN_SUMMARY, CANVAS_SUMMARY};
use crate::source::Raw;

/// Fields that a webhook calls otherwise.
const NAMES: &[(&str, &str)] = &[
    ("home_city", "city"),
    ("dob", "date_of_birth"),
    ("phone", "phone_number"),
];

/// What holds the attributes that the customer has defined.
const CUSTOM_ATTRIBUTES: &str = "custom_attributes";

/// Fields that are not among those that can be asked for: of webhooks, of Currents, and one that comes unasked.
const FIELDS: [&str; 9] = [
    "city",
    "date_of_birth",
    "phone_number",
    "twitter_handle",
    "user_id",
    "external_user_id",
    "event_type",
    "time",
    "push_opted_in_at",
];

/// Whether no field of Braze's has this name.
fn is_custom(name: &str) -> bool {
    !FIELDS.contains(&name) && !braze::EXPORT_FIELDS.contains(&name)
}

/// What names a user.
const IDENTIFIERS: [&str; 4] = ["braze_id", "external_id", "email", "user_aliases"];

/// What a list of a user's consists of.
struct Summary {
    list: &'static str,
    event_type: &'static str,
    /// Members that say when it was: the first that is there counts.
    times: &'static [&'static str],
    /// Members that Currents call otherwise.
    names: &'static [(&'static str, &'static str)],
}

const SUMMARIES: [Summary; 2] = [
    Summary {
        list: "campaigns_received",
        event_type: CAMPAIGN_SUMMARY,
        times: &["last_received"],
        names: &[
            ("api_campaign_id", "campaign_id"),
            ("name", "campaign_name"),
            ("variation_api_id", "message_variation_id"),
            ("variation_name", "message_variation_name"),
        ],
    },
    Summary {
        list: "canvases_received",
        event_type: CANVAS_SUMMARY,
        times: &["last_received_message", "last_entered", "last_entered_control_at"],
        names: &[
            ("api_canvas_id", "canvas_id"),
            ("name", "canvas_name"),
            ("variation_name", "canvas_variation_name"),
        ],
    },
];

/// What becomes of a line, at most: each summary has the user's identifiers once more.
const BYTES_MAX: usize = 8 << 20;

/// The records of a line. What is no user is for the mapping to refuse, as it is.
pub(in super::super) fn records(line: Raw) -> Vec<Raw> {
    let user: Members<'_> = match serde_json::from_slice(&line.json) {
        Ok(user) if line.unusable.is_none() => user,
        _ => return vec![line],
    };
    let mut records = vec![record(&user)];
    let mut bytes = records[0].len();
    for summary in &SUMMARIES {
        let list = user.get(summary.list).map(RawValue::get).unwrap_or_default();
        let received: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
        for received in received.into_iter().filter_map(Members::of) {
            let record = summary.record(&user, &received);
            bytes += record.len();
            if bytes > BYTES_MAX {
                let unusable = Some(format!(
                    "the user and what was received become larger than {BYTES_MAX} bytes"
                ));
                return vec![Raw {
                    unusable,
                    ..line.clone()
                }];
            }
            records.push(record);
        }
    }
    if records[0].is_empty() {
        return vec![line];
    }
    records
        .into_iter()
        .map(|record| bytes::Bytes::from(record).into())
        .collect()
}

/// The user, with custom attributes under their own names, as the dashboard's CSV has them; one that is called as a field that Braze
/// has for a user, whether this one has it or not, or as what makes an activity of a record, stays where it was.
fn record(user: &Members<'_>) -> String {
    let custom = user.get(CUSTOM_ATTRIBUTES).and_then(Members::of);
    let mut record = Object::default();
    for (name, value) in user.iter() {
        if custom.is_some() && name == CUSTOM_ATTRIBUTES {
            continue;
        }
        record.push(renamed(name, NAMES), value.get());
    }
    let mut left = Object::default();
    for (name, value) in custom.iter().flat_map(Members::iter) {
        match is_custom(name) {
            true => record.push(name, value.get()),
            false => left.push(name, value.get()),
        }
    }
    record.push_object(CUSTOM_ATTRIBUTES, left);
    record.finish()
}

impl Summary {
    fn record(&self, user: &Members<'_>, received: &Members<'_>) -> String {
        let mut record = Object::default();
        let identifiers = IDENTIFIERS.iter().filter_map(|name| Some((*name, user.get(name)?)));
        for (name, value) in identifiers {
            record.push(name, value.get());
        }
        record.push("event_type", &format!("\"{}\"", self.event_type));
        let times = self.times.iter().filter_map(|name| received.get(name));
        if let Some(time) = times.map(RawValue::get).find(|time| *time != "null") {
            record.push("time", time);
        }
        let mut properties = Object::default();
        for (name, value) in received.iter() {
            properties.push(renamed(name, self.names), value.get());
        }
        record.push_object("properties", properties);
        record.finish()
    }
}

fn renamed<'n>(name: &'n str, names: &[(&str, &'static str)]) -> &'n str {
    let found = names.iter().find(|(theirs, _)| *theirs == name);
    found.map_or(name, |(_, ours)| ours)
}
