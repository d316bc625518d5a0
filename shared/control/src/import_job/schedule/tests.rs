use proptest::prelude::*;

use super::*;

fn daily(time: &str, zone: &str) -> ImportSchedule {
    ImportSchedule::from_wire(&wire::ImportSchedule {
        schedule: Some(Schedule::Daily(wire::DailyTime {
            time: time.to_owned(),
            time_zone: zone.to_owned(),
        })),
    })
    .unwrap()
}

fn every(seconds: i64) -> wire::ImportSchedule {
    let every = prost_types::Duration { seconds, nanos: 0 };
    wire::ImportSchedule {
        schedule: Some(Schedule::Every(every)),
    }
}

fn next(schedule: &ImportSchedule, after: &str) -> String {
    schedule.next(after.parse().unwrap()).to_string()
}

#[test]
fn every_is_so_long_after_the_last_look() {
    let schedule = ImportSchedule::from_wire(&every(90)).unwrap();
    assert_eq!(next(&schedule, "2026-03-01T00:00:00Z"), "2026-03-01T00:01:30Z");
    assert_eq!(schedule.next(Timestamp::MAX), Timestamp::MAX);
}

#[test]
fn every_is_from_a_minute_to_31_days() {
    for (seconds, is_good) in [
        (59, false),
        (60, true),
        (2_678_400, true),
        (2_678_401, false),
        (-60, false),
    ] {
        assert_eq!(ImportSchedule::from_wire(&every(seconds)).is_ok(), is_good, "{seconds}");
    }
}

#[test]
fn daily_is_the_next_time_that_the_clock_shows_it() {
    let schedule = daily("06:30", "Europe/Berlin");
    assert_eq!(next(&schedule, "2026-01-10T05:29:59Z"), "2026-01-10T05:30:00Z");
    assert_eq!(next(&schedule, "2026-01-10T05:30:00Z"), "2026-01-11T05:30:00Z");
    assert_eq!(
        next(&daily("00:00", "Pacific/Auckland"), "2026-01-10T12:00:00Z"),
        "2026-01-11T11:00:00Z"
    );
}

#[test]
fn where_the_clock_is_put_forward_it_is_the_first_moment_behind() {
    for time in ["02:00", "02:30", "02:59"] {
        let schedule = daily(time, "Europe/Berlin");
        assert_eq!(
            next(&schedule, "2026-03-28T12:00:00Z"),
            "2026-03-29T01:00:00Z",
            "{time}"
        );
    }
    // There was no 30 December.
    let schedule = daily("08:00", "Pacific/Apia");
    assert_eq!(next(&schedule, "2011-12-30T00:00:00Z"), "2011-12-30T10:00:00Z");
    assert_eq!(next(&schedule, "2011-12-30T10:00:00Z"), "2011-12-30T18:00:00Z");
}

#[test]
fn where_the_clock_is_put_back_it_is_once() {
    let schedule = daily("02:30", "Europe/Berlin");
    assert_eq!(next(&schedule, "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next(&schedule, "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    let fields = |schedule| {
        let wire = wire::ImportSchedule { schedule };
        let errors = ImportSchedule::from_wire(&wire).unwrap_err();
        errors.iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(None), [""]);
    assert_eq!(fields(every(1).schedule), ["every"]);
    for (time, zone, wrong) in [
        ("6:30", "UTC", vec!["daily.time"]),
        ("24:00", "UTC", vec!["daily.time"]),
        ("06:30:00", "UTC", vec!["daily.time"]),
        ("06:30", "CEST5", vec!["daily.time_zone"]),
        ("", "", vec!["daily.time", "daily.time_zone"]),
    ] {
        let (time, time_zone) = (time.to_owned(), zone.to_owned());
        assert_eq!(
            fields(Some(Schedule::Daily(wire::DailyTime { time, time_zone }))),
            wrong
        );
    }
}

proptest! {
    #[test]
    fn a_daily_time_comes_once_a_day_and_shows_that_time_unless_it_was_left_out(
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo",
        ]),
        after in 0_i64..2_500_000_000,
        hour in 0_i8..24,
        minute in 0_i8..60,
    ) {
        let time = Time::constant(hour, minute, 0, 0);
        let schedule = daily(&time.strftime("%H:%M").to_string(), zone);
        prop_assert_eq!(&ImportSchedule::from_wire(&schedule.to_wire()).unwrap(), &schedule);
        let zone = TimeZone::get(zone).unwrap();
        let mut last = Timestamp::from_second(after).unwrap();
        for look in 0..4 {
            let next = schedule.next(last);
            prop_assert!(next > last);
            // Nothing between is as good.
            prop_assert_eq!(schedule.next(next - 1.nanosecond()), next);
            let shown = zone.to_datetime(next);
            let behind_a_jump = zone.preceding(next + 1.nanosecond()).next().is_some_and(|jump| jump.timestamp() == next);
            prop_assert!(shown.time() == time || behind_a_jump, "{}", shown);
            let days = zone.to_datetime(last).date().until(shown.date()).unwrap().get_days();
            if look > 0 {
                // The day that a zone leaves out is looked at when it would have begun.
                prop_assert!((0..=2).contains(&days), "{} {}", last, next);
                prop_assert!(days > 0 || behind_a_jump || zone.preceding(next).next().is_some_and(|jump| jump.timestamp() == last), "{} {}", last, next);
            }
            last = next;
        }
    }
}
