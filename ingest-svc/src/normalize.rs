//! Raw record + compiled LQL mapping → profile event, or the reason why not. Pure: no I/O, no clock, no Kafka.
//!
//! ```text
//! JSON object ─▶ flatten ─▶ the fields that the mapping uses ─▶ its expressions ─▶ typed by KIND ─▶ ProfileEvent
//!      │                                                                              └▶ BY: identities, Kafka key
//!      ├▶ activity
//!      └▶ event id
//! ```
//!
//! What decides here, each in the module of its name: how nesting becomes field names (`flatten`), which of them count (`wanted`),
//! what an empty text means (`value`), which texts are dates (`dates`) and e-mail addresses (`functions`), who a record is about
//! (`identity`), what it tells that somebody did (`activity`), and what makes two records the same (`event_id`).
//!
//! * A column without a value is absent from the event; the others are in the order of the mapping. [`test()`] tells why.
//! * A field of the record that is `null` or an empty list is as good as missing.
//! * Fields of the record that no column uses are no error; they are not in the event.
//! * `event_time` is what the field says that the sender named for it (`timestamp_field`), by the recogniser of `todate`; else
//!   when the activity happened; absent if the record has no date there. `receive_time` is when the record arrived.
//! * What `now` means in a mapping is the event time, else the receive time. Neither is in the event id.
//! * The event names its mapping and that one's version.
//! * Texts are lent by the record and names by the mapping until the bytes of the event are written (`event`).

mod activity;
mod dates;
mod event;
mod event_id;
mod expression;
mod flatten;
mod functions;
mod identity;
mod kind;
pub mod lql;
mod mapping;
mod suggestion;
mod test;
mod value;
mod wanted;

use event::{Event, Field, Fields, Identities, Typed};
use event_id::Distinct;
use expression::Scope;
use jiff::Timestamp;
use proto::profile::v1::ProfileEvent;

pub(crate) use activity::{CAMPAIGN_SUMMARY, CANVAS_SUMMARY, CURRENTS_STREAM, members};
pub use event_id::EventId;
pub use identity::record_key;
pub use kind::Kind;
pub use mapping::{Column, Mapping};
use test::Stage;
pub use test::{Nothing, Tested, TestedColumn, test};
use value::Value;
use wanted::Wanted;

/// One record as a source received it.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Number of the account that it was sent to.
    pub account: u64,
    /// Stream that it was sent to, such as `braze_users`.
    pub stream: &'a str,
    /// One JSON object, as received. For a record of an array: its own slice of the body (`serde_json::value::RawValue`).
    pub json: &'a [u8],
    /// The flat field that says when it happened; `None` if the sender named none.
    pub timestamp_field: Option<&'a str>,
}

/// What became of a record that could be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized {
    /// The event to publish.
    pub event: ProfileEvent,
    /// Identity values that were left out because they are blank or longer than 256 bytes.
    pub identities_dropped: usize,
}

/// A record that could be used, as it goes to Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The event's id.
    pub event_id: EventId,
    /// The key: the event's first identity as `<field>:<value>`.
    pub key: String,
    /// The bytes of the event, a `ProfileEvent`.
    pub payload: Vec<u8>,
    /// Identity values that were left out because they are blank or longer than 256 bytes.
    pub identities_dropped: usize,
}

/// Why a record gives no profile event. `Display` is what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not UTF-8, not JSON, or nested too deeply.
    #[error("the record is not valid JSON: {0}")]
    Malformed(String),
    /// JSON, but a list or a scalar.
    #[error("the record must be a JSON object, not {found}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// It came as an event of Currents and does not say of which type.
    #[error("the event has no `event_type`, which each of Currents' events has")]
    NoEventType,
    /// The mapping's `WHERE` is not true of it.
    #[error("the WHERE of the mapping is not true of the record")]
    NotWanted,
    /// None of the mapping's `BY` fields has a usable value.
    #[error("the record identifies nobody: no usable value for {fields}")]
    NoIdentity {
        /// The `BY` fields, as a sentence part.
        fields: String,
    },
}

impl Reason {
    /// A short, stable name for metrics and headers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NotAnObject { .. } => "not_an_object",
            Self::NoEventType => "no_event_type",
            Self::NotWanted => "not_wanted",
            Self::NoIdentity { .. } => "no_identity",
        }
    }
}

/// The functions that mappings may call, by name in lower case.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    functions::all().map(|function| function.name)
}

/// Normalizes one record. `received` is when it arrived: the event's receive time, and what `now` means in a mapping unless the
/// record says when it happened.
///
/// # Errors
///
/// The record is not a JSON object, the mapping does not want it, or it identifies nobody.
pub fn normalize(mapping: &Mapping, raw: &RawRecord<'_>, received: Timestamp) -> Result<Normalized, Reason> {
    run(mapping, raw, received, |_, _, _| {}, normalized)
}

/// The same event as it is published. Nothing of it is copied before its bytes are written.
///
/// # Errors
///
/// As of [`normalize()`].
pub fn encode(mapping: &Mapping, raw: &RawRecord<'_>, received: Timestamp) -> Result<Encoded, Reason> {
    let encoded = |event: Event<'_>, identities_dropped| Encoded {
        event_id: event.id,
        key: event.key(),
        payload: event.encode(),
        identities_dropped,
    };
    run(mapping, raw, received, |_, _, _| {}, encoded)
}

fn normalized(event: Event<'_>, identities_dropped: usize) -> Normalized {
    Normalized {
        event: event.message(),
        identities_dropped,
    }
}

/// Normalizes one record: shows `watch` what each column gave, or at which stage it gave nothing, and makes `finish` of the event and
/// the number of identity values that were left out.
fn run<T>(
    mapping: &Mapping,
    raw: &RawRecord<'_>,
    received: Timestamp,
    mut watch: impl FnMut(&Column, &Result<Typed<'_>, Stage>, Scope<'_>),
    finish: impl FnOnce(Event<'_>, usize) -> T,
) -> Result<T, Reason> {
    let mut wanted = Wanted::new(mapping, raw);
    let mut distinct = Distinct::new(raw.account, raw.stream, raw.json.len());
    flatten::flatten(raw.json, |run| distinct.push(run), &mut wanted)?;
    let told = match wanted.has_event_type || raw.stream == CURRENTS_STREAM {
        true => activity::read(raw, received)?,
        false => None,
    };
    let event_time = wanted.time.and_then(|time| time.into_date(received));
    let event_time = event_time.or(told.as_ref().and_then(|told| told.time));
    if let Some(id) = told.as_ref().and_then(|told| told.id) {
        distinct.replace(id.get());
    }
    let event_id = distinct.id();
    let scope = Scope {
        fields: &wanted.values,
        matched: &wanted.matched,
        now: event_time.unwrap_or(received),
        event_id: &event_id,
    };
    if mapping.condition().is_some_and(|condition| !condition.is_true(scope)) {
        return Err(Reason::NotWanted);
    }
    let mut fields = Fields::new();
    let mut identities_dropped = 0;
    for column in mapping.columns() {
        let mut value = column.value(&scope);
        if column.identifies
            && let Ok(given) = &mut value
            && !identity::keep_usable(given, &mut identities_dropped)
        {
            value = Err(Stage::Identity);
        }
        watch(column, &value, scope);
        let Ok(value) = value else { continue };
        fields.push(Field { column, value });
    }
    let (activity, merged) = told.map(|told| (told.activity, told.merged)).unzip();
    let mut identities = Identities::new();
    for column in mapping.identity() {
        let field = fields.iter().find(|field| std::ptr::eq(field.column, column));
        identity::push(&mut identities, field);
    }
    if let Some(merged) = merged.as_ref().and_then(Option::as_ref) {
        identity::link(&mut identities, merged);
    }
    if identities.is_empty() {
        return Err(Reason::NoIdentity {
            fields: sentence_part(mapping.identity().map(|column| column.field.as_str())),
        });
    }
    let event = Event {
        id: event_id,
        account: raw.account,
        stream: raw.stream,
        mapping,
        event_time,
        receive_time: received,
        identities: &identities,
        fields: &fields,
        activity,
    };
    Ok(finish(event, identities_dropped))
}

/// "a", "a or b", "a, b or c".
fn sentence_part<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
