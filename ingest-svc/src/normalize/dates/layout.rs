//! Dates by a layout in the style of Go: the layout is how the moment 2 January 2006 15:04:05, a Monday, zone −0700 MST,
//! would be written.
//!
//! | Part | Written as |
//! |---|---|
//! | year | `2006` `06` |
//! | month | `01` `1` `Jan` `January` |
//! | day | `02` `2` `_2` (may be padded with a blank), of the year `002` `__2` |
//! | weekday | `Mon` `Monday` (read and not checked) |
//! | hour | `15`, of half a day `03` `3` with `PM` or `pm` |
//! | minute, second | `04` `4`, `05` `5` |
//! | fraction | `.000` `,000` exactly as many digits; `.999` `,999` any number of them, or none |
//! | zone | `-0700` `-07:00` `-07` `-070000` `-07:00:00`; the same with `Z` for `-` also read a plain Z; `MST` a name |
//!
//! Anything else stands for itself; one blank stands for any number of them. A fraction behind the seconds is read even if
//! the layout has none. A layout without month or day means the first.

mod element;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cursor::Cursor;
use super::names::{Spelling, strip_month, strip_weekday};
use super::{Parts, full_year, nanoseconds, on_the_day};
use element::{Element, Zone, split};

/// The moment that `text` tells, read by a layout; all of the text must fit.
pub(in super::super) fn parse_layout(layout: &str, text: &str) -> Option<Timestamp> {
    let mut reader = Reader {
        cursor: Cursor { rest: text },
        parts: Parts {
            month: 1,
            day: 1,
            ..Parts::default()
        },
        afternoon: None,
        day_of_year: None,
    };
    let mut layout = layout;
    loop {
        let (literal, element, rest) = split(layout);
        reader.literal(literal)?;
        layout = rest;
        match element {
            Some(element) => reader.element(element, layout)?,
            None => break,
        }
    }
    if reader.cursor.is_at_end() {
        reader.moment()
    } else {
        None
    }
}

struct Reader<'t> {
    cursor: Cursor<'t>,
    parts: Parts,
    afternoon: Option<bool>,
    day_of_year: Option<i32>,
}

impl Reader<'_> {
    fn moment(mut self) -> Option<Timestamp> {
        if let Some(afternoon) = self.afternoon {
            // As in Go, PM with an hour of the whole day changes nothing.
            self.parts.hour = on_the_day(self.parts.hour, afternoon).or(Some(self.parts.hour))?;
        }
        if let Some(day) = self.day_of_year {
            let year = self.parts.year.try_into().ok()?;
            let date = jiff::civil::Date::new(year, 1, 1)
                .ok()?
                .with()
                .day_of_year(day.try_into().ok()?)
                .build()
                .ok()?;
            (self.parts.month, self.parts.day) = (date.month().into(), date.day().into());
        }
        self.parts.moment(&TimeZone::UTC)
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        let mut literal = literal;
        while let Some(expected) = literal.chars().next() {
            if expected == ' ' {
                let blank = self.cursor.rest.starts_with(' ') || self.cursor.is_at_end();
                self.cursor.rest = self.cursor.rest.trim_start_matches(' ');
                literal = literal.trim_start_matches(' ');
                blank.then_some(())?;
            } else {
                self.cursor.take(expected).then_some(())?;
                literal = &literal[expected.len_utf8()..];
            }
        }
        Some(())
    }

    fn element(&mut self, element: Element, layout_rest: &str) -> Option<()> {
        let parts = &mut self.parts;
        match element {
            Element::LongYear => parts.year = digits(&mut self.cursor, 4, 4)?,
            Element::Year => parts.year = full_year(digits(&mut self.cursor, 2, 2)?),
            Element::MonthName(spelling) => {
                (parts.month, self.cursor.rest) = strip_month(self.cursor.rest, spelling)?;
            }
            Element::Weekday(spelling) => self.cursor.rest = strip_weekday(self.cursor.rest, spelling)?,
            Element::Month { least } => parts.month = digits(&mut self.cursor, least, 2)?,
            Element::Day { least } => parts.day = digits(&mut self.cursor, least, 2)?,
            Element::PaddedDay => {
                self.cursor.take(' ');
                parts.day = digits(&mut self.cursor, 1, 2)?;
            }
            Element::DayOfYear { padded } => {
                let blanks = if padded {
                    self.cursor
                        .rest
                        .bytes()
                        .take(2)
                        .take_while(|byte| *byte == b' ')
                        .count()
                } else {
                    0
                };
                self.cursor.rest = &self.cursor.rest[blanks..];
                self.day_of_year = Some(digits(&mut self.cursor, 3 - blanks, 3 - blanks)?);
            }
            Element::Hour => parts.hour = digits(&mut self.cursor, 1, 2)?,
            Element::HalfDayHour { least } => {
                parts.hour = digits(&mut self.cursor, least, 2).filter(|hour| *hour <= 12)?
            }
            Element::Minute { least } => parts.minute = digits(&mut self.cursor, least, 2)?,
            Element::Second { least } => {
                parts.second = digits(&mut self.cursor, least, 2)?;
                if !matches!(split(layout_rest), ("", Some(Element::Fraction { .. }), _)) {
                    parts.nanosecond = self
                        .cursor
                        .attempt(|cursor| fraction(cursor, 1, usize::MAX))
                        .unwrap_or_default();
                }
            }
            Element::Fraction { digits, exact: true } => parts.nanosecond = fraction(&mut self.cursor, digits, digits)?,
            Element::Fraction { exact: false, .. } => {
                parts.nanosecond = self.cursor.attempt(|cursor| fraction(cursor, 1, 9)).unwrap_or_default();
            }
            Element::Half { lower } => {
                let (am, pm) = if lower { ("am", "pm") } else { ("AM", "PM") };
                let afternoon = self.cursor.rest.starts_with(pm);
                (afternoon || self.cursor.rest.starts_with(am)).then_some(())?;
                self.cursor.skip(am);
                self.afternoon = Some(afternoon);
            }
            Element::Zone(zone) => parts.offset_seconds = Some(offset(&mut self.cursor, zone)?),
            Element::ZoneName => parts.offset_seconds = Some(zone_name(&mut self.cursor)?),
        }
        Some(())
    }
}

/// The next digits, at least and at most so many; what follows may be a digit too.
fn digits(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Option<i32> {
    let found = cursor.peek_digits();
    let taken = found
        .get(..found.len().min(most))
        .filter(|taken| taken.len() >= least)?;
    cursor.skip(taken);
    taken.parse().ok()
}

fn fraction(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Option<i32> {
    if !(cursor.take('.') || cursor.take(',')) {
        return None;
    }
    let found = cursor.peek_digits();
    let taken = found
        .get(..found.len().min(most))
        .filter(|taken| taken.len() >= least)?;
    cursor.skip(taken);
    nanoseconds(taken)
}

/// Seconds east of Greenwich.
fn offset(cursor: &mut Cursor<'_>, zone: Zone) -> Option<i32> {
    if zone.or_z && cursor.take('Z') {
        return Some(0);
    }
    let sign = if cursor.take('-') {
        -1
    } else {
        cursor.take('+').then_some(1)?
    };
    let mut seconds = 0;
    for (part, unit) in [3_600, 60, 1].into_iter().enumerate().take(zone.parts) {
        if part > 0 && zone.colons {
            cursor.take(':').then_some(())?;
        }
        let number = digits(cursor, 2, 2).filter(|number| *number <= if part == 0 { 24 } else { 59 })?;
        seconds += number * unit;
    }
    Some(sign * seconds)
}

/// A zone's name says nothing about the offset, but for `GMT+3`.
fn zone_name(cursor: &mut Cursor<'_>) -> Option<i32> {
    let letters = cursor.rest.bytes().take_while(u8::is_ascii_uppercase).count();
    let name = cursor
        .rest
        .get(..letters)
        .filter(|name| (3..=5).contains(&name.len()))?;
    cursor.skip(name);
    let hours = cursor.attempt(|cursor| {
        let sign = if cursor.take('-') {
            -1
        } else {
            cursor.take('+').then_some(1)?
        };
        digits(cursor, 1, 2)
            .filter(|hours| *hours < 24)
            .map(|hours| sign * hours)
    });
    match hours {
        Some(_) if name != "GMT" => None,
        hours => Some(hours.unwrap_or_default() * 3_600),
    }
}
