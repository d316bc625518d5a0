//! Text → moment, as `todate` reads it.
//!
//! | Form | Examples |
//! |---|---|
//! | digits, by their number | `1982` · `19820101` · `1332151919` (Unix s) · 13 digits (ms) · `20140722105203` · 16 (µs) · 19 (ns) |
//! | year first, by `- / . :` | `1982-1-2` · `2014/04/08 22:05` · `2014.03.30` · `2014:04:08` · `2015-11` and `2015.11` (the first) |
//! | ISO 8601 | `2009-08-12T22:15:09.988-07:00` · `…T08:41-04` · `…,787` · `2021-11-03+08:00` · `…Z` |
//! | month first, by `/ .` | `3/31/2014` · `08.21.71` · `8/8/1965 1:00 PM` – never day first |
//! | month by name | `Mar 9, 2011 4:05:06 PM` · `nov. 3, 81` · `oct 7, '70` · `November 3rd, 1981` · `3 nov 1981` · `2015-Nov-03` · `13-Feb-03` · `03/Nov/2015:10:20:30 -0700` |
//! | mail and programs | `Mon, 02 Jan 2006 15:04:05 -0700` · `Monday, 02-Jan-06 15:04:05 MST` · `Mon Jan  2 15:04:05 2006` · `Fri Jul 03 2015 18:04:07 GMT+0100 (…)` · `2015-09-30 18:48:56.35 +0000 UTC` |
//! | other | `2015年11月03日` · `151103 10:20:30` |
//! | date arithmetic | `now-3d` · `now+1M` – more than three characters that begin with `now`, see [`arithmetic`] |
//!
//! * A text that is not wholly understood, a day that the month does not have and an hour 24 give no value.
//! * No zone means UTC. An offset shifts (`+0100`, `GMT+0100`, `PST-08`); a zone's name alone does not (`PST`), as in Go's
//!   `time`. Unlike there, `UTC+0100` shifts as well.
//! * Two-digit years: 69–99 are 19xx, 00–68 are 20xx.
//! * What lies before the year 1, behind 9999-12-30T22:00Z, or is Go's zero time, gives no value: neither the contract nor jiff
//!   could hold it.
//!
//! Written here because the crates that guess dates guess otherwise: dateparser reads a text without a zone as local time
//! and swaps day and month when the first reading fails, as dtparse does, so 31/12/1982 would be a date. jiff does the
//! calendar.

mod arithmetic;
mod cursor;
mod digits;
mod layout;
mod names;
mod recognise;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

pub(super) use layout::parse_layout;

/// The moment that a text tells; `now` is the anchor of date arithmetic.
pub(super) fn todate(text: &str, now: Timestamp) -> Option<Timestamp> {
    todate_in(text, &TimeZone::UTC, now)
}

/// The same, where a text that names no offset is in a zone.
pub(super) fn todate_in(text: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    match text.get(..3) {
        Some(first) if text.len() > 3 && first.eq_ignore_ascii_case("now") => arithmetic::apply(&text[3..], now),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => digits::moment(text, zone),
        _ => recognise::moment(text, zone),
    }
}

/// A moment in its parts, as read: nothing is checked yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: i32,
    nanosecond: i32,
    /// East of Greenwich; `None` if the text does not say.
    offset_seconds: Option<i32>,
}

impl Parts {
    fn date(year: i32, month: i32, day: i32) -> Self {
        Self {
            year,
            month,
            day,
            ..Self::default()
        }
    }

    /// The moment, if there is one. Without an offset it is in `zone`.
    fn moment(self, zone: &TimeZone) -> Option<Timestamp> {
        let civil = DateTime::new(
            self.year.try_into().ok()?,
            self.month.try_into().ok()?,
            self.day.try_into().ok()?,
            self.hour.try_into().ok()?,
            self.minute.try_into().ok()?,
            self.second.try_into().ok()?,
            self.nanosecond,
        );
        in_range(match self.offset_seconds {
            Some(seconds) => Offset::from_seconds(seconds).ok()?.to_timestamp(civil.ok()?).ok()?,
            // A time that the clocks skip or show twice is read as jiff and Temporal do.
            None => zone.to_ambiguous_timestamp(civil.ok()?).compatible().ok()?,
        })
    }
}

/// Keeps what a `google.protobuf.Timestamp` may hold, and of that not Go's zero time, which Lytics takes for no time. Its
/// upper bound is beyond jiff's.
fn in_range(moment: Timestamp) -> Option<Timestamp> {
    (moment > Timestamp::constant(-62_135_596_800, 0)).then_some(moment)
}

/// 69–99 are 19xx, 00–68 are 20xx.
fn full_year(two_digits: i32) -> i32 {
    if two_digits >= 69 {
        1900 + two_digits
    } else {
        2000 + two_digits
    }
}

/// The first nine digits of a fraction as nanoseconds.
fn nanoseconds(fraction: &str) -> Option<i32> {
    let digits = fraction.get(..fraction.len().min(9))?;
    let scale = 10_i32.pow(9 - u32::try_from(digits.len()).ok()?);
    Some(digits.parse::<i32>().ok()? * scale)
}

/// Hours of the twelve-hour clock to those of the day.
fn on_the_day(hour: i32, afternoon: bool) -> Option<i32> {
    match (hour, afternoon) {
        (12, false) => Some(0),
        (12, true) => Some(12),
        (0..12, true) => Some(hour + 12),
        (0..12, false) => Some(hour),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moments_that_the_contract_can_hold_are_given() {
        for text in [
            "0001-01-01",
            "0000",
            "00000101",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01",
        ] {
            assert_eq!(todate(text, Timestamp::UNIX_EPOCH), None, "{text}");
        }
        for text in ["0001-01-02", "9999-12-30 22:00:00.999"] {
            assert!(todate(text, Timestamp::UNIX_EPOCH).is_some(), "{text}");
        }
    }
}
