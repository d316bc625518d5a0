//! What Braze says that somebody did, or that became of a message to them: the typed [`Activity`] of an event.
//!
//! ```text
//! Currents:  {"event_type", "id", "time", "user": {…}, "properties": {…}} ─▶ types: channel, action ─▶ fields: campaign, link, …
//! a webhook: {"event_type", "time", "campaign_id", …}                     ─┘         └▶ all else of a Currents event: the rest
//! ```
//!
//! * On the stream of Currents each record is such an event, whatever its type: Braze adds types and fields at short notice. Elsewhere
//!   a record is one if its `event_type` begins as Braze's do, with `users.` or `agentconsole.`.
//! * A field has one name wherever Braze puts it, so the record itself, its `user` and its `properties` are read alike. What has
//!   no typed place, or a value of another kind than its place, or comes second, is in the rest as it was written. `null` and an empty
//!   text in a typed place are as good as missing.

mod fields;
pub(crate) mod members;
mod types;

use jiff::Timestamp;
use proto::profile::v1::{Action, Activity};
use serde_json::value::RawValue;

use self::members::{Members, Object};
use super::{RawRecord, Reason, dates};

/// The stream of Currents' events, one a record.
pub(crate) const CURRENTS_STREAM: &str = "braze_currents";

/// What we call the summary of all that a user received of a campaign, or of a Canvas, which a segment export has. No event, and none of
/// Braze's types.
pub(crate) const CAMPAIGN_SUMMARY: &str = "users.campaigns.Summary";
pub(crate) const CANVAS_SUMMARY: &str = "users.canvas.Summary";

/// The field that such a record has.
pub(super) const EVENT_TYPE: &str = "event_type";

/// What Braze's types begin with.
const NAMESPACES: [&str; 2] = ["users.", "agentconsole."];

/// What a record tells besides its fields.
pub(super) struct Told<'r> {
    pub(super) activity: Box<Activity>,
    /// When it happened.
    pub(super) time: Option<Timestamp>,
    /// Braze's id of the event, as it was written.
    pub(super) id: Option<&'r RawValue>,
    /// The Braze ids of a user and of the one that the user was merged into.
    pub(super) merged: Option<[String; 2]>,
}

/// The activity that a JSON object with an [`EVENT_TYPE`], or of Currents, tells of, if it does.
///
/// # Errors
/// When it came as one of Currents' events and has no type.
pub(super) fn read<'r>(raw: &RawRecord<'r>, received: Timestamp) -> Result<Option<Told<'r>>, Reason> {
    let from_currents = raw.stream == CURRENTS_STREAM;
    let members: Members<'r> = serde_json::from_slice(raw.json).unwrap_or_default();
    let event_type = members.text(EVENT_TYPE).unwrap_or_default();
    let is_brazes = || NAMESPACES.iter().any(|namespace| event_type.starts_with(namespace));
    match from_currents {
        true if event_type.is_empty() => return Err(Reason::NoEventType),
        false if !is_brazes() => return Ok(None),
        _ => {}
    }
    let (channel, action) = types::of(&event_type);
    let is_summary = [CAMPAIGN_SUMMARY, CANVAS_SUMMARY].contains(&&*event_type);
    let mut activity = Box::new(Activity {
        event_type,
        channel: channel.into(),
        action: action.into(),
        ..Default::default()
    });
    let (mut time, mut id, mut rest) = (None, None, Object::default());
    for (name, value) in members.iter() {
        let has_place = match name {
            EVENT_TYPE => true,
            "time" if time.is_none() => {
                time = moment(value, received);
                time.is_some()
            }
            "id" if from_currents && id.is_none() => {
                activity.id = members::text(value).unwrap_or_default();
                id = (!activity.id.is_empty()).then_some(value);
                id.is_some()
            }
            "user" | "properties" => match Members::of(value) {
                Some(inner) => {
                    let left = inner
                        .iter()
                        .filter(|(name, value)| !fields::take(&mut activity, name, value));
                    rest.push_object(name, left.collect());
                    true
                }
                None => false,
            },
            name => fields::take(&mut activity, name, value),
        };
        // Elsewhere the mapping says what is kept of the record itself.
        if !has_place && from_currents {
            rest.push(name, value.get());
        }
    }
    if from_currents || is_summary {
        activity.rest = rest.finish();
    }
    let merged = || {
        let [user, other] = ["user_id", "orphaned_by_id"].map(|name| members.text_within(name));
        Some([user?, other?])
    };
    Ok(Some(Told {
        activity,
        time,
        id,
        merged: (action == Action::Orphan).then(merged).flatten(),
    }))
}

/// Unix seconds or milliseconds, or a text that is a date.
fn moment(value: &RawValue, now: Timestamp) -> Option<Timestamp> {
    match members::text(value) {
        Some(text) => dates::todate(&text, now),
        None => dates::todate(value.get(), now),
    }
}
