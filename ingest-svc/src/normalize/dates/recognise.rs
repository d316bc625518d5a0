//! The general recogniser: a date, perhaps a time, perhaps a zone, and nothing else.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cursor::Cursor;
use super::names::{is_weekday, month};
use super::{Parts, full_year, nanoseconds, on_the_day};

/// The moment that a text tells, if all of it is understood.
pub(super) fn moment(text: &str, in_zone: &TimeZone) -> Option<Timestamp> {
    let mut cursor = Cursor { rest: text };
    let mut parts = Parts::default();
    let date = date(&mut cursor, &mut parts)?;
    if time_follows(&mut cursor, date)? {
        time(&mut cursor, &mut parts)?;
        zone(&mut cursor, &mut parts);
    } else if date == Date::YearFirst {
        offset(&mut cursor, &mut parts);
    }
    if date == Date::WithoutYear {
        parts.year = cursor.attempt(|cursor| if cursor.blanks() { cursor.number(4, 4) } else { None })?;
        zone(&mut cursor, &mut parts);
    }
    if cursor.is_at_end() {
        parts.moment(in_zone)
    } else {
        None
    }
}

/// What kind of date was read: it decides what may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Date {
    /// `2015-11-03`: a `T` or an offset may follow directly.
    YearFirst,
    /// `03/Nov/2015`: a colon may stand before the time.
    DayFirst,
    MonthFirst,
    /// `151103`: only with a time.
    Log,
    /// `Nov 3` of `Nov 3 10:20:30 2015`: the year comes last.
    WithoutYear,
}

fn date(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<Date> {
    if cursor.word(|word| is_weekday(word).then_some(())).is_some() {
        cursor.take('.');
        cursor.take(',');
        cursor.blanks();
    }
    match cursor.peek_digits().len() {
        0 => month_name_first(cursor, parts),
        1 | 2 => cursor
            .attempt(|cursor| day_first(cursor, parts))
            .or_else(|| month_first(cursor, parts)),
        4 => year_first(cursor, parts),
        6 => {
            let digits = cursor.peek_digits();
            cursor.skip(digits);
            let number: i32 = digits.parse().ok()?;
            (parts.year, parts.month, parts.day) = (full_year(number / 10_000), number / 100 % 100, number % 100);
            Some(Date::Log)
        }
        _ => None,
    }
}

/// `2015-11-03`, `2015/11/3`, `2015.11.03`, `2015:11:03`, `2015-11`, `2015.11`, `2015-Nov-03`, `2015年11月03日`.
fn year_first(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<Date> {
    parts.year = cursor.number(4, 4)?;
    let separator = cursor.peek().filter(|c| matches!(c, '-' | '/' | '.' | ':' | '年'))?;
    cursor.take(separator);
    if separator == '年' {
        parts.month = cursor.number(1, 2).filter(|_| cursor.take('月'))?;
        parts.day = cursor.number(1, 2).filter(|_| cursor.take('日'))?;
        return Some(Date::YearFirst);
    }
    parts.month = cursor.word(month).or_else(|| cursor.number(1, 2))?;
    parts.day = match cursor.attempt(|cursor| {
        if cursor.take(separator) {
            cursor.number(1, 2)
        } else {
            None
        }
    }) {
        Some(day) => day,
        None if matches!(separator, '-' | '.') && cursor.is_at_end() => 1,
        None => return None,
    };
    Some(Date::YearFirst)
}

/// `3/31/2014`, `03.31.14`: the month is always first.
fn month_first(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<Date> {
    parts.month = cursor.number(1, 2)?;
    let separator = cursor.peek().filter(|c| matches!(c, '/' | '.'))?;
    cursor.take(separator);
    parts.day = cursor.number(1, 2).filter(|_| cursor.take(separator))?;
    parts.year = year(cursor)?;
    Some(Date::MonthFirst)
}

/// `3 nov 1981`, `3rd November, 1981`, `13-Feb-03`, `03/Nov/2015`.
fn day_first(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<Date> {
    parts.day = cursor.number(1, 2)?;
    ordinal(cursor);
    let separator = cursor.peek().filter(|c| matches!(c, '-' | '/' | ' '))?;
    skip_separator(cursor, separator);
    parts.month = cursor.word(month)?;
    if separator == ' ' {
        cursor.take('.');
        cursor.take(',');
    }
    if !skip_separator(cursor, separator) {
        return None;
    }
    parts.year = year(cursor)?;
    Some(Date::DayFirst)
}

/// `Mar 9, 2011`, `nov. 3, 81`, `oct 7, '70`, `November 3rd 1981`, and `Nov 3` of `Nov 3 10:20:30 2015`.
fn month_name_first(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<Date> {
    parts.month = cursor.word(month)?;
    cursor.take('.');
    if !cursor.blanks() {
        return None;
    }
    parts.day = cursor.number(1, 2)?;
    ordinal(cursor);
    let year = cursor.attempt(|cursor| {
        let comma = cursor.take(',');
        let year = if cursor.blanks() || comma {
            year(cursor)?
        } else {
            return None;
        };
        (cursor.peek() != Some(':')).then_some(year)
    });
    parts.year = year.unwrap_or_default();
    Some(if year.is_some() {
        Date::MonthFirst
    } else {
        Date::WithoutYear
    })
}

/// Four digits, or two with or without an apostrophe.
fn year(cursor: &mut Cursor<'_>) -> Option<i32> {
    let short = cursor.take('\'') || cursor.peek_digits().len() == 2;
    if short {
        cursor.number(2, 2).map(full_year)
    } else {
        cursor.number(4, 4)
    }
}

fn ordinal(cursor: &mut Cursor<'_>) {
    let is_ordinal = |word: &str| {
        ["st", "nd", "rd", "th"]
            .iter()
            .any(|suffix| word.eq_ignore_ascii_case(suffix))
    };
    cursor.word(|word| is_ordinal(word).then_some(()));
}

fn skip_separator(cursor: &mut Cursor<'_>, separator: char) -> bool {
    if separator == ' ' {
        cursor.blanks()
    } else {
        cursor.take(separator)
    }
}

/// Passes over what stands between a date and a time. `None` if a time must follow and does not.
fn time_follows(cursor: &mut Cursor<'_>, date: Date) -> Option<bool> {
    let found = cursor.attempt(|cursor| {
        let direct = match date {
            Date::YearFirst => cursor.take('T') || cursor.take('t'),
            Date::DayFirst => cursor.take(':'),
            _ => false,
        };
        if !direct {
            cursor.take(',');
            if !cursor.blanks() {
                return None;
            }
            if cursor
                .word(|word| word.eq_ignore_ascii_case("at").then_some(()))
                .is_some()
            {
                cursor.blanks();
            }
        }
        matches!(cursor.peek_digits().len(), 1 | 2).then_some(())
    });
    match date {
        Date::Log | Date::WithoutYear if found.is_none() => None,
        _ => Some(found.is_some()),
    }
}

/// `15:04`, `15:04:05.123`, `15:04:05,123`, `3:04:05 PM`, `3pm`.
fn time(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<()> {
    parts.hour = cursor.number(1, 2)?;
    let minutes = cursor.take(':');
    if minutes {
        parts.minute = cursor.number(1, 2)?;
        if cursor.take(':') {
            parts.second = cursor.number(1, 2)?;
            parts.nanosecond = cursor.attempt(fraction).unwrap_or_default();
        }
    }
    let half = cursor.attempt(|cursor| {
        cursor.blanks();
        cursor.word(|word| match word {
            _ if word.eq_ignore_ascii_case("am") => Some(false),
            _ if word.eq_ignore_ascii_case("pm") => Some(true),
            _ => None,
        })
    });
    match half {
        Some(afternoon) => parts.hour = on_the_day(parts.hour, afternoon)?,
        None if !minutes => return None,
        None => {}
    }
    Some(())
}

/// What follows the seconds behind a dot, a comma or a colon.
fn fraction(cursor: &mut Cursor<'_>) -> Option<i32> {
    let separator = cursor.peek().filter(|c| matches!(c, '.' | ',' | ':'))?;
    cursor.take(separator);
    let digits = cursor.peek_digits();
    cursor.skip(digits);
    nanoseconds(digits)
}

/// Any of: an offset, a zone's name with or without one, a remark in parentheses, Go's monotonic clock. What is not there
/// is not read. The first offset counts.
fn zone(cursor: &mut Cursor<'_>, parts: &mut Parts) {
    let mut known = offset(cursor, parts);
    while cursor.attempt(|cursor| zone_part(cursor, parts, &mut known)).is_some() {}
}

fn zone_part(cursor: &mut Cursor<'_>, parts: &mut Parts, known: &mut bool) -> Option<()> {
    cursor.blanks();
    let mut further = Parts::default();
    let has_offset = match cursor.peek()? {
        '(' => {
            cursor.rest = cursor.rest.split_once(')')?.1;
            false
        }
        'm' => {
            cursor.rest = cursor
                .rest
                .strip_prefix("m=")?
                .trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            false
        }
        '+' | '-' | 'Z' | 'z' => offset(cursor, &mut further).then_some(true)?,
        _ => {
            let name = cursor.word(|word| is_zone_name(word).then(|| word.to_ascii_uppercase()))?;
            // Another zone's name alone says nothing; an offset behind it counts.
            if matches!(name.as_str(), "UTC" | "GMT") {
                parts.offset_seconds.get_or_insert(0);
            }
            offset(cursor, &mut further)
        }
    };
    if has_offset && !*known {
        parts.offset_seconds = further.offset_seconds;
        *known = true;
    }
    Some(())
}

fn is_zone_name(word: &str) -> bool {
    let usual = (3..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase());
    usual || word.eq_ignore_ascii_case("utc") || word.eq_ignore_ascii_case("gmt")
}

/// `Z`, `+08`, `+0800`, `+08:00`, right here; whether it was there.
fn offset(cursor: &mut Cursor<'_>, parts: &mut Parts) -> bool {
    let seconds = cursor.attempt(|cursor| {
        if cursor
            .word(|word| word.eq_ignore_ascii_case("z").then_some(()))
            .is_some()
        {
            return Some(0);
        }
        let sign = if cursor.take('-') {
            -1
        } else if cursor.take('+') {
            1
        } else {
            return None;
        };
        let (hours, minutes) = match cursor.peek_digits().len() {
            4 => cursor.number(4, 4).map(|number| (number / 100, number % 100))?,
            _ => {
                let hours = cursor.number(2, 2)?;
                let minutes = cursor.attempt(|cursor| if cursor.take(':') { cursor.number(2, 2) } else { None });
                (hours, minutes.unwrap_or_default())
            }
        };
        (hours <= 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
    });
    parts.offset_seconds = seconds.or(parts.offset_seconds);
    seconds.is_some()
}
