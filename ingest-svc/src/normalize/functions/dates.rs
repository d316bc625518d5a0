//! Moments and their parts, all in UTC. What texts are moments is in [`dates`](super::super::dates).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

use super::super::dates::{parse_layout, todate, todate_in};
use super::super::expression::Arguments;
use super::prepare::literal;
use super::{Function, Kind, Prepared, Value, filled};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("todate", (1, 2), Kind::Date, |arguments| {
        Some(Value::Date(if arguments.len() == 1 {
            match arguments.get(0)? {
                Value::Date(date) => date,
                value => todate(&value.into_text()?, arguments.scope.now)?,
            }
        } else {
            parse_layout(&arguments.text(0)?, &arguments.text(1)?)?
        }))
    }),
    Function::new("todatein", (2, 2), Kind::Date, |arguments| {
        let Prepared::Zone(zone) = arguments.prepared else {
            return None;
        };
        todate_in(&arguments.text(0)?, zone, arguments.scope.now).map(Value::Date)
    })
    .prepared(|_, arguments| {
        let zone = literal(arguments, 1, "the zone of `todatein`")?;
        TimeZone::get(zone)
            .map(Prepared::Zone)
            .map_err(|_| format!("unknown zone `{zone}`: IANA names it like Europe/Lisbon"))
    }),
    Function::new("now", (0, 0), Kind::Date, |arguments| {
        Some(Value::Date(arguments.scope.now))
    }),
    Function::new("totimestamp", (1, 1), Kind::Int, |arguments| {
        Some(Value::Int(unix(moment(&arguments)?, 1)?))
    }),
    Function::new("epochms", (0, 1), Kind::Int, |arguments| {
        Some(Value::Int(unix(moment(&arguments)?, 1_000)?))
    }),
    Function::new("yy", (0, 1), Kind::Int, |arguments| {
        let year = i64::from(civil(&arguments)?.year());
        Some(Value::Int(if year >= 1900 { year % 100 } else { year }))
    }),
    Function::new("mm", (0, 1), Kind::Int, month),
    Function::new("monthofyear", (0, 1), Kind::Int, month),
    Function::new("yymm", (0, 1), Kind::Text, |arguments| {
        let date = civil(&arguments)?;
        Some(format!("{:02}{:02}", date.year() % 100, date.month()).into())
    }),
    Function::new("dayofweek", (0, 1), Kind::Int, |arguments| {
        Some(Value::Int(day_of_week(civil(&arguments)?)))
    }),
    Function::new("hourofday", (0, 1), Kind::Int, |arguments| {
        Some(Value::Int(civil(&arguments)?.hour().into()))
    }),
    Function::new("hourofweek", (0, 1), Kind::Int, |arguments| {
        let date = civil(&arguments)?;
        Some(Value::Int(day_of_week(date) * 24 + i64::from(date.hour())))
    }),
    Function::new("extract", (2, 2), Kind::Text, format_by_percent),
    Function::new("strftime", (2, 2), Kind::Text, format_by_percent),
    Function::new("seconds", (1, 1), Kind::Number, seconds),
    Function::new("unixtrunc", (1, 2), Kind::Text, unixtrunc),
];

/// Bytes of a format, at most.
const FORMAT_BYTES_MAX: usize = 1_000;

/// The moment of the argument; without one, that of the record.
fn moment(arguments: &Arguments<'_>) -> Option<Timestamp> {
    let now = arguments.scope.now;
    if arguments.len() == 0 {
        return Some(now);
    }
    arguments.get(0)?.into_date(now)
}

/// Its date and time in UTC.
fn civil(arguments: &Arguments<'_>) -> Option<DateTime> {
    moment(arguments).map(|moment| Offset::UTC.to_datetime(moment))
}

/// From 1, as Lytics' code has it; its page says that months run from 0.
fn month(arguments: Arguments<'_>) -> Option<Value<'_>> {
    Some(Value::Int(civil(&arguments)?.month().into()))
}

/// Sunday is 0.
fn day_of_week(date: DateTime) -> i64 {
    date.weekday().to_sunday_zero_offset().into()
}

/// `extract(x, "%Y-%m")`: by directives that begin with a percent sign, as `strftime` has them. An unknown one gives no
/// value.
fn format_by_percent(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let format = filled(&arguments, 1).filter(|format| format.len() <= FORMAT_BYTES_MAX)?;
    let moment = moment(&arguments)?.to_zoned_datetime(TimeZone::UTC);
    let text = BrokenDownTime::from(&moment).to_string(&*format).ok()?;
    Some(text.into())
}

/// `seconds(x)`: the Unix seconds of a date; else minutes and seconds, as `M12:15` or `00:45`, or seconds alone.
fn seconds(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let text = match arguments.get(0)? {
        number @ (Value::Int(_) | Value::Number(_)) => return number.into_number().map(Value::Number),
        Value::Text(text) => text,
        Value::Date(date) => return number(date),
        _ => return None,
    };
    if let Some(moment) = todate(&text, arguments.scope.now) {
        return number(moment);
    }
    let text = text.strip_prefix('M').unwrap_or(&text);
    let part = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    Some(Value::Number(match text.split_once(':') {
        Some((minutes, seconds)) => 60.0 * part(minutes)? + part(seconds)?,
        None => part(text)?,
    }))
}

fn number<'e>(moment: Timestamp) -> Option<Value<'e>> {
    Value::Int(unix(moment, 1)?).into_number().map(Value::Number)
}

/// Unix time, in so many units a second; what is begun before 1970 counts as a whole one.
fn unix(moment: Timestamp, per_second: i128) -> Option<i64> {
    let units = moment.as_nanosecond().div_euclid(1_000_000_000 / per_second);
    units.try_into().ok()
}

/// `unixtrunc(x [, unit])`: Unix time as a text. Without a unit in seconds; "s" or "seconds" with milliseconds behind a dot;
/// "sm" or "secondsmicro" with microseconds; "ms" or "milliseconds" in milliseconds.
fn unixtrunc(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let moment = moment(&arguments)?;
    let fraction = |units: i64, per_second: i64, digits: usize| {
        let sign = if units < 0 { "-" } else { "" };
        let (whole, part) = ((units / per_second).abs(), (units % per_second).abs());
        format!("{sign}{whole}.{part:0digits$}")
    };
    let unit = if arguments.len() == 2 {
        arguments.text(1)?
    } else {
        "".into()
    };
    Some(Value::from(match unit.to_ascii_lowercase().as_str() {
        "" if arguments.len() == 1 => unix(moment, 1)?.to_string(),
        "s" | "seconds" => fraction(unix(moment, 1_000)?, 1_000, 3),
        "sm" | "secondsmicro" => fraction(unix(moment, 1_000_000)?, 1_000_000, 6),
        "ms" | "milliseconds" => unix(moment, 1_000)?.to_string(),
        _ => return None,
    }))
}
