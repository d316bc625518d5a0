//! Date arithmetic: `now-3d`, `now+1M`, `now1h`.
//!
//! A sign, which may be left out for plus, a whole number, and one unit: `y` years, `M` months, `w` weeks, `d` days,
//! `h` hours, `m` minutes, `s` seconds. Steps of years and months overflow into the next month, as Go's `AddDate` does:
//! 31 January and a month is 3 March, or 2 March in a leap year. Days are 24 hours, since everything is in UTC.
//!
//! The anchor is the record's time. Lytics' page says so too; its code takes the wall clock, which would make a record
//! mean something else when it is read again.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::in_range;

/// Applies what follows `now` in a text.
pub(super) fn apply(step: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = step.chars().next_back()?;
    let amount = &step[..step.len() - unit.len_utf8()];
    let unsigned = amount.strip_prefix(['+', '-']).unwrap_or(amount);
    if !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: i64 = amount.parse().ok()?;
    let seconds = |each: i64| {
        let span = SignedDuration::from_secs(amount.checked_mul(each)?);
        now.checked_add(span).ok()
    };
    let moment = match unit {
        'y' => add_months(now, amount.checked_mul(12)?)?,
        'M' => add_months(now, amount)?,
        'w' => seconds(7 * 86_400)?,
        'd' => seconds(86_400)?,
        'h' => seconds(3_600)?,
        'm' => seconds(60)?,
        's' => seconds(1)?,
        _ => return None,
    };
    in_range(moment)
}

/// Steps by months; a day that the month does not have counts on into the next one.
fn add_months(now: Timestamp, months: i64) -> Option<Timestamp> {
    let civil = Offset::UTC.to_datetime(now);
    let month = i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1;
    let month = month.checked_add(months)?;
    let first = Date::new(
        month.div_euclid(12).try_into().ok()?,
        (month.rem_euclid(12) + 1).try_into().ok()?,
        1,
    )
    .ok()?;
    let date = first
        .checked_add(SignedDuration::from_hours(24 * i64::from(civil.day() - 1)))
        .ok()?;
    Offset::UTC.to_timestamp(DateTime::from_parts(date, civil.time())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(now: &str, step: &str) -> Option<String> {
        apply(step, now.parse().unwrap()).map(|moment| moment.to_string())
    }

    #[test]
    fn every_unit_steps_from_the_records_time() {
        let now = "2015-03-10T12:00:00.5Z";
        for (step, moment) in [
            ("-3d", "2015-03-07T12:00:00.5Z"),
            ("+1w", "2015-03-17T12:00:00.5Z"),
            ("2h", "2015-03-10T14:00:00.5Z"),
            ("-90m", "2015-03-10T10:30:00.5Z"),
            ("+1s", "2015-03-10T12:00:01.5Z"),
            ("-3M", "2014-12-10T12:00:00.5Z"),
            ("+1y", "2016-03-10T12:00:00.5Z"),
        ] {
            assert_eq!(from(now, step).as_deref(), Some(moment), "{step}");
        }
    }

    #[test]
    fn months_and_years_overflow_into_the_next_month() {
        assert_eq!(from("2015-01-31T00:00:00Z", "+1M").unwrap(), "2015-03-03T00:00:00Z");
        assert_eq!(from("2016-01-31T00:00:00Z", "+1M").unwrap(), "2016-03-02T00:00:00Z");
        assert_eq!(from("2016-02-29T00:00:00Z", "-1y").unwrap(), "2015-03-01T00:00:00Z");
    }

    #[test]
    fn what_is_not_a_step_or_leaves_the_calendar_gives_no_value() {
        for step in [
            "",
            "d",
            "-d",
            "3",
            "3D",
            "--3d",
            "+-3d",
            "3 d",
            " -3d",
            "1.5d",
            "3dd",
            "9000y",
            "-9223372036854775808y",
            "99999999999999999999d",
            "9223372036854775807w",
            "3é",
            "é",
        ] {
            assert_eq!(from("2015-03-10T12:00:00Z", step), None, "{step}");
        }
    }
}
