//! What a change of membership says as an event or a purchase.

use braze::{Clause, Purchase, PurchaseError};
use control::{ExportJob, Purchases, Source, Writes};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost::Message;
use proto::membership::v1::MembershipChange;

use crate::clock::Time;

/// What the object of a change says that is no value of an attribute. `written`: when its record was, if that says no time. It goes by
/// nothing else, so a record that is read again says the same again.
///
/// # Errors
/// What its fields do not say, for people.
pub(super) fn of(job: &ExportJob, slug: &str, add: bool, payload: &[u8], written: Time) -> Result<Clause, String> {
    let change = MembershipChange::decode(payload).unwrap_or_default();
    let action = if add { "entered" } else { "exited" };
    // An exit creates no user.
    let existing_only = !add || job.options.update_existing_only;
    let properties = [("audience", slug), ("action", action)];
    match &job.options.writes {
        Writes::Attribute => Err("the job writes an attribute".to_owned()),
        Writes::Events(events) => {
            let time = time(&change, events.time_field.as_deref(), written);
            Ok(Clause::event(existing_only, &events.name, time, &properties))
        }
        Writes::Purchases(purchases) => {
            let time = time(&change, purchases.time_field.as_deref(), written);
            let purchase = purchase(&change, purchases)?;
            Ok(Clause::purchase(existing_only, &purchase, time, &properties))
        }
    }
}

fn purchase(change: &MembershipChange, purchases: &Purchases) -> Result<Purchase, String> {
    let Purchases {
        product_id,
        price,
        currency,
        quantity,
        ..
    } = purchases;
    let value = |source: &Source| match source {
        Source::Constant(value) => value.clone(),
        Source::Field(name) => change.fields.get(name).cloned().unwrap_or_default(),
    };
    let read = Purchase::read(&value(product_id), &value(price), &value(currency), &value(quantity));
    read.map_err(|error| {
        let source = match error {
            PurchaseError::ProductId => product_id,
            PurchaseError::Price => price,
            PurchaseError::Currency => currency,
            PurchaseError::Quantity => quantity,
        };
        match source {
            Source::Constant(value) => format!("{error}, and {value:?} is none"),
            Source::Field(name) => format!("{error}, and the change has none in {name}"),
        }
    })
}

/// When it happened: what the field says, or the change itself, or its record.
fn time(change: &MembershipChange, field: Option<&str>, written: Time) -> Timestamp {
    let named = field.and_then(|field| change.fields.get(field));
    let told = change.event_time.as_ref().and_then(model::time::from_wire);
    let time = named.and_then(|text| read_time(text)).or(told);
    time.unwrap_or_else(|| Timestamp::from_millisecond(written.as_millis()).unwrap_or_default())
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
