//! The order of files: by when they were last modified, then by the date in their names, then by their keys.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Found;

/// What files are sorted by.
pub(super) fn of(file: &Found) -> (Timestamp, Option<Timestamp>, &str) {
    (file.modified, date(&file.key), &file.key)
}

/// The last date in a file's name: `YYYYMMDD`, perhaps with the time of the day behind it, or Unix time in seconds or milliseconds.
fn date(key: &str) -> Option<Timestamp> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let numbers = name.split(|char: char| !char.is_ascii_digit());
    numbers.rev().find_map(of_digits)
}

fn of_digits(digits: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let part = |from: usize| i8::try_from(number(from..from + 2)?).ok();
    let day = || Date::new(number(0..4)?, part(4)?, part(6)?).ok();
    let civil = match digits.len() {
        8 => day()?.at(0, 0, 0, 0),
        14 => {
            let [hour, minute, second] = [part(8)?, part(10)?, part(12)?];
            let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
            day()?.to_datetime(time)
        }
        10 => return Timestamp::from_second(digits.parse().ok()?).ok(),
        13 => return Timestamp::from_millisecond(digits.parse().ok()?).ok(),
        _ => return None,
    };
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_in_a_name_is_a_day_or_unix_time() {
        for (key, expected) in [
            ("20200101/users_20260701.csv", Some("2026-07-01T00:00:00Z")),
            ("users-20260701123059.csv.gz", Some("2026-07-01T12:30:59Z")),
            ("users_1782864000.json", Some("2026-07-01T00:00:00Z")),
            ("users_1782864000000.json", Some("2026-07-01T00:00:00Z")),
            ("20250101_to_20260701.csv", Some("2026-07-01T00:00:00Z")),
            ("20260701_part_2.csv", Some("2026-07-01T00:00:00Z")),
            ("users_20261301.csv", None),
            ("users_20260701250000.csv", None),
            ("users.csv", None),
            ("20260701/users.csv", None),
        ] {
            let expected = expected.map(|time| time.parse::<Timestamp>().unwrap());
            assert_eq!(date(key), expected, "{key}");
        }
    }
}
