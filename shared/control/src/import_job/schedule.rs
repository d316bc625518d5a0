//! When a job looks for files.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proto::imports::v1 as wire;
use wire::import_schedule::Schedule;

/// So many days ahead is looked for the next time of a daily schedule: it comes within the second, but where the zone leaves out a day.
const DAYS: i64 = 3;

/// When a job looks for files that are new or have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSchedule {
    /// So long after the last look.
    Every(Duration),
    /// Every day when a clock in the zone shows that time: the first time, if the clock is put back over it; if it is put forward over
    /// it, at the first moment behind.
    Daily {
        /// Hour and minute.
        time: Time,
        /// One that has a name.
        zone: TimeZone,
    },
}

/// What is wrong with a schedule, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleError {
    /// The field of the contracts' `ImportSchedule`; empty is all of it.
    pub field: &'static str,
    /// What to give instead.
    pub problem: &'static str,
}

impl ImportSchedule {
    /// The shortest time between two looks.
    pub const EVERY_MIN: Duration = Duration::from_secs(60);
    /// The longest time between two looks.
    pub const EVERY_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

    /// The first time after `after`, which is the last look.
    pub fn next(&self, after: Timestamp) -> Timestamp {
        match self {
            Self::Every(every) => later(after, *every),
            Self::Daily { time, zone } => {
                let today = zone.to_datetime(after).date();
                let days = (-1..=DAYS).filter_map(|days| today.checked_add(days.days()).ok());
                let times = days.filter_map(|day| moment(zone, day, *time));
                let next = times.filter(|time| *time > after).min();
                next.unwrap_or_else(|| later(after, Duration::from_secs(24 * 60 * 60)))
            }
        }
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::ImportSchedule {
        let schedule = match self {
            Self::Every(every) => prost_types::Duration::try_from(*every).ok().map(Schedule::Every),
            Self::Daily { time, zone } => Some(Schedule::Daily(wire::DailyTime {
                time: time.strftime("%H:%M").to_string(),
                time_zone: zone.iana_name().unwrap_or("UTC").to_owned(),
            })),
        };
        wire::ImportSchedule { schedule }
    }

    /// As the contracts write it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_wire(schedule: &wire::ImportSchedule) -> Result<Self, Vec<ScheduleError>> {
        let error = |field, problem| ScheduleError { field, problem };
        match &schedule.schedule {
            None => Err(vec![error(
                "",
                "must have every or daily; leave it out for a job that looks once",
            )]),
            Some(Schedule::Every(every)) => Duration::try_from(*every)
                .ok()
                .filter(|every| (Self::EVERY_MIN..=Self::EVERY_MAX).contains(every))
                .map(Self::Every)
                .ok_or_else(|| vec![error("every", "must be from 1 minute to 31 days")]),
            Some(Schedule::Daily(daily)) => {
                let time = Time::strptime("%H:%M", &daily.time).ok();
                let time = time.filter(|time| time.strftime("%H:%M").to_string() == daily.time);
                // Any other kind of name would not be read back.
                let zone = TimeZone::get(&daily.time_zone).ok();
                let zone = zone.filter(|zone| zone.iana_name().is_some());
                match (time, zone) {
                    (Some(time), Some(zone)) => Ok(Self::Daily { time, zone }),
                    (time, zone) => {
                        let time = time
                            .is_none()
                            .then(|| error("daily.time", "must be a time of day such as 06:30"));
                        let problem = "must be the name of a time zone such as Europe/Berlin, or UTC";
                        let zone = zone.is_none().then(|| error("daily.time_zone", problem));
                        Err(time.into_iter().chain(zone).collect())
                    }
                }
            }
        }
    }
}

fn later(after: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    after.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// When a clock shows that time on that day, or is behind it for the first time.
fn moment(zone: &TimeZone, day: Date, time: Time) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(day.to_datetime(time));
    let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let earlier = ambiguous.earlier().ok()?;
    if is_gap {
        // By the clock as it goes after the gap, that time lies before it.
        return Some(zone.following(earlier).next()?.timestamp());
    }
    Some(earlier)
}

#[cfg(test)]
mod tests;
