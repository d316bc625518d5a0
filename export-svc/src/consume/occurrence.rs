//! What a change of membership says as an event.

use braze::Clause;
use control::{ExportJob, Writes};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost::Message;
use proto::membership::v1::MembershipChange;

use crate::clock::Time;

/// What the object of a change says, unless it is a value of an attribute. `written`: when its record was, if that says no time. It
/// goes by nothing else, so a record that is read again says the same again.
pub(super) fn of(job: &ExportJob, slug: &str, add: bool, payload: &[u8], written: Time) -> Option<Box<Clause>> {
    let events = match &job.options.writes {
        Writes::Attribute => return None,
        Writes::Events(events) => events,
    };
    let change = MembershipChange::decode(payload).unwrap_or_default();
    let field = events.time_field.as_ref().and_then(|field| change.fields.get(field));
    let told = change.event_time.as_ref().and_then(model::time::from_wire);
    let time = field.and_then(|text| read_time(text)).or(told);
    let time = time.unwrap_or_else(|| Timestamp::from_millisecond(written.as_millis()).unwrap_or_default());
    let action = if add { "entered" } else { "exited" };
    // An exit creates no user.
    let existing_only = !add || job.options.update_existing_only;
    let properties = [("audience", slug), ("action", action)];
    Some(Box::new(Clause::event(existing_only, &events.name, time, &properties)))
}

/// ISO 8601 with an offset, a date, which is its midnight in UTC, or seconds since 1970.
fn read_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    let midnight = text.parse::<Date>().ok()?.at(0, 0, 0, 0);
    TimeZone::UTC.to_timestamp(midnight).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_three_forms() {
        for (text, expected) in [
            ("2026-01-31T10:00:00Z", Some("2026-01-31T10:00:00Z")),
            (" 2026-01-31T12:00:00.5+02:00 ", Some("2026-01-31T10:00:00.5Z")),
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("1769853600", Some("2026-01-31T10:00:00Z")),
            ("yesterday", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            let expected = expected.map(|time| time.parse().unwrap());
            assert_eq!(read_time(text), expected, "{text:?}");
        }
    }
}
