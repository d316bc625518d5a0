//! A time of day at which a job holds its changes.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proto::export::v1 as wire;

/// So many days ahead is looked for the next change: putting a clock forward may leave out a time, or a whole day.
const DAYS: i64 = 3;

/// Every day from `start` to `end`, as a clock in that zone shows it; over midnight if `end` is the earlier one. Where that clock is
/// put back a time comes twice, and where it is put forward perhaps not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietWindow {
    start: Time,
    end: Time,
    zone: TimeZone,
}

/// What is wrong with a window, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietError {
    /// The field of the contracts' `QuietWindow`.
    pub field: &'static str,
    /// What to give instead.
    pub problem: &'static str,
}

impl QuietWindow {
    /// A window from `start` to `end`.
    ///
    /// # Errors
    /// If these are one and the same.
    pub fn new(start: Time, end: Time, zone: TimeZone) -> Result<Self, QuietError> {
        if start == end {
            return Err(QuietError {
                field: "end",
                problem: "must not be the same as start; pause a job that is to send nothing at all",
            });
        }
        Ok(Self { start, end, zone })
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::QuietWindow {
        wire::QuietWindow {
            start: spell(self.start),
            end: spell(self.end),
            time_zone: self.zone.iana_name().unwrap_or("UTC").to_owned(),
        }
    }

    /// As the contracts write it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn from_wire(window: &wire::QuietWindow) -> Result<Self, QuietError> {
        let time = |field, text: &str| {
            let problem = "must be a time of day such as 22:00, or 22:00:30";
            parse(text).ok_or(QuietError { field, problem })
        };
        let (start, end) = (time("start", &window.start)?, time("end", &window.end)?);
        // Any other kind of name would not be read back.
        let zone = TimeZone::get(&window.time_zone)
            .ok()
            .filter(|zone| zone.iana_name().is_some());
        let zone = zone.ok_or(QuietError {
            field: "time_zone",
            problem: "must be the name of a time zone such as Europe/Berlin, or UTC",
        })?;
        Self::new(start, end, zone)
    }

    /// Whether it is quiet now.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        let time = self.zone.to_datetime(now).time();
        if self.start < self.end {
            self.start <= time && time < self.end
        } else {
            self.start <= time || time < self.end
        }
    }

    /// When that is otherwise for the first time after `now`.
    pub fn next_change(&self, now: Timestamp) -> Timestamp {
        let quiet = self.is_quiet(now);
        let today = self.zone.to_datetime(now).date();
        let days = (-1..=DAYS).filter_map(|days| today.checked_add(days.days()).ok());
        let times = days.flat_map(|day| [day.to_datetime(self.start), day.to_datetime(self.end)]);
        let both = times.flat_map(|time| {
            let time = self.zone.to_ambiguous_timestamp(time);
            [time.earlier(), time.later()]
        });
        let until = now.checked_add((24 * DAYS).hours()).unwrap_or(Timestamp::MAX);
        // Where the clock is put forward or back, it may jump over either.
        let jumps = self.zone.following(now).map(|jump| jump.timestamp());
        let jumps = jumps.take_while(|jump| *jump <= until);
        let changes = both.filter_map(Result::ok).chain(jumps);
        let changes = changes.filter(|time| *time > now && self.is_quiet(*time) != quiet);
        changes.min().unwrap_or(until)
    }
}

fn parse(text: &str) -> Option<Time> {
    let read = |format| Time::strptime(format, text).ok();
    read("%H:%M").or_else(|| read("%H:%M:%S"))
}

fn spell(time: Time) -> String {
    let format = if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(start: &str, end: &str, time_zone: &str) -> Result<QuietWindow, QuietError> {
        QuietWindow::from_wire(&wire::QuietWindow {
            start: start.to_owned(),
            end: end.to_owned(),
            time_zone: time_zone.to_owned(),
        })
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_window_ends_in_the_morning_by_the_clock_of_its_zone_in_summer_and_in_winter() {
        let night = window("22:00", "06:00", "Europe/Berlin").unwrap();
        for (now, quiet, next) in [
            ("2026-07-01T19:59:59Z", false, "2026-07-01T20:00:00Z"),
            ("2026-07-01T20:00:00Z", true, "2026-07-02T04:00:00Z"),
            ("2026-07-02T03:59:59Z", true, "2026-07-02T04:00:00Z"),
            ("2026-07-02T04:00:00Z", false, "2026-07-02T20:00:00Z"),
            ("2026-12-01T20:00:00Z", false, "2026-12-01T21:00:00Z"),
            // The nights in which the clock is put forward, and back.
            ("2026-03-28T22:00:00Z", true, "2026-03-29T04:00:00Z"),
            ("2026-10-24T22:00:00Z", true, "2026-10-25T05:00:00Z"),
        ] {
            assert_eq!(
                (night.is_quiet(at(now)), night.next_change(at(now))),
                (quiet, at(next)),
                "{now}"
            );
        }
    }

    #[test]
    fn a_time_that_comes_twice_is_quiet_twice_and_one_that_does_not_come_is_not() {
        let half_past_two = window("02:15", "02:45", "Europe/Berlin").unwrap();
        // 02:00 to 03:00 does not come on 29 March.
        assert_eq!(
            half_past_two.next_change(at("2026-03-28T12:00:00Z")),
            at("2026-03-30T00:15:00Z")
        );
        let mut now = at("2026-10-24T12:00:00Z");
        let mut changes = Vec::new();
        for _ in 0..4 {
            now = half_past_two.next_change(now);
            changes.push(now.to_string());
        }
        let twice = [
            "2026-10-25T00:15:00Z",
            "2026-10-25T00:45:00Z",
            "2026-10-25T01:15:00Z",
            "2026-10-25T01:45:00Z",
        ];
        assert_eq!(changes, twice);
    }

    #[test]
    fn what_is_no_window_names_the_field() {
        let field = |start, end, zone| window(start, end, zone).map_err(|error| error.field).err();
        assert_eq!(field("22:00", "06:00", "UTC"), None);
        for bad in ["", "22", "24:00", "22:60", "10 pm", "22:00:00.5"] {
            assert_eq!(field(bad, "06:00", "UTC"), Some("start"), "{bad}");
        }
        assert_eq!(field("22:00", "6 am", "UTC"), Some("end"));
        assert_eq!(field("22:00", "22:00:00", "UTC"), Some("end"));
        for bad in ["", "Berlin", "+01:00", "CET-1CEST"] {
            assert_eq!(field("22:00", "06:00", bad), Some("time_zone"), "{bad}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_given() {
        for (start, end, zone) in [("22:00", "06:00:30", "America/New_York"), ("00:00", "23:59", "UTC")] {
            let window = window(start, end, zone).unwrap();
            let written = window.to_wire();
            assert_eq!(
                (&*written.start, &*written.end, &*written.time_zone),
                (start, end, zone)
            );
            assert_eq!(QuietWindow::from_wire(&written), Ok(window));
        }
    }

    proptest! {
        /// Proves: wherever and whenever, nothing changes before the next change, and it does then. Looked at minute by minute, as
        /// times are given, by what the clock on the wall shows.
        #[test]
        fn it_stays_as_it_is_until_the_next_change_and_not_longer(
            minutes in (0..1_440i64, 1..1_440i64),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca",
            ]),
            // Within a day of a change of the clock, if the zone has any; Apia left out a day at the end of 2011.
            hours in -48..48i64,
            year in prop::sample::select(vec![2011i64, 2024, 2026]),
        ) {
            let clock = |minute: i64| {
                let minute = i8::try_from(minute % 60).unwrap();
                move |hour: i64| Time::constant(i8::try_from(hour % 24).unwrap(), minute, 0, 0)
            };
            let (start, end) = (minutes.0, minutes.0 + minutes.1);
            let (start, end) = (clock(start)(start / 60), clock(end)(end / 60));
            let zone = TimeZone::get(zone).unwrap();
            let window = QuietWindow::new(start, end, zone.clone()).unwrap();
            let year: Timestamp = format!("{year}-06-30T12:00:00Z").parse().unwrap();
            let jump = zone.following(year).next().map_or(year, |jump| jump.timestamp());
            let now = jump + hours.hours();
            let shown = |time: Timestamp| {
                let shown = zone.to_datetime(time).time();
                let (since_start, length) = (start.until(shown).unwrap(), start.until(end).unwrap());
                let minutes = |span: jiff::Span| span.total(jiff::Unit::Second).unwrap().rem_euclid(86_400.0);
                minutes(since_start) < minutes(length)
            };
            let next = window.next_change(now);
            prop_assert!(next > now && next <= now + 72.hours());
            prop_assert_eq!(window.is_quiet(now), shown(now));
            let mut time = now;
            while time < next {
                prop_assert_eq!(shown(time), shown(now), "at {}", time);
                time += 1.minutes();
            }
            prop_assert_ne!(shown(next), shown(now), "at {}", next);
        }
    }
}
