//! Digits only: what they mean is told by how many there are.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Parts, in_range};

/// The moment that a text of digits tells; other lengths than these mean nothing.
pub(super) fn moment(digits: &str, zone: &TimeZone) -> Option<Timestamp> {
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i32>().ok();
    let unix = |per_second: i128| {
        let nanoseconds = digits.parse::<i128>().ok()? * (1_000_000_000 / per_second);
        in_range(Timestamp::from_nanosecond(nanoseconds).ok()?)
    };
    match digits.len() {
        4 => Parts::date(part(0, 4)?, 1, 1).moment(zone),
        8 => Parts::date(part(0, 4)?, part(4, 6)?, part(6, 8)?).moment(zone),
        10 => unix(1),
        13 => unix(1_000),
        14 => {
            let date = Parts::date(part(0, 4)?, part(4, 6)?, part(6, 8)?);
            Parts {
                hour: part(8, 10)?,
                minute: part(10, 12)?,
                second: part(12, 14)?,
                ..date
            }
            .moment(zone)
        }
        16 => unix(1_000_000),
        19 => unix(1_000_000_000),
        _ => None,
    }
}
