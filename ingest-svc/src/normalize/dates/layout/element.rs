//! The elements of a layout, and where the next one is.

use super::Spelling;

/// One part of a moment, as a layout writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    LongYear,
    Year,
    MonthName(Spelling),
    Month { least: usize },
    Weekday(Spelling),
    Day { least: usize },
    PaddedDay,
    DayOfYear { padded: bool },
    Hour,
    HalfDayHour { least: usize },
    Minute { least: usize },
    Second { least: usize },
    Fraction { digits: usize, exact: bool },
    Half { lower: bool },
    Zone(Zone),
    ZoneName,
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// A plain `Z` may stand for UTC.
    pub(super) or_z: bool,
    /// Hours; hours and minutes; hours, minutes and seconds.
    pub(super) parts: usize,
    pub(super) colons: bool,
}

/// Spellings that mean one thing wherever they stand; where two fit, the earlier wins.
const FIXED: [(&str, Element); 25] = [
    ("January", Element::MonthName(Spelling::Long)),
    ("Monday", Element::Weekday(Spelling::Long)),
    ("MST", Element::ZoneName),
    ("2006", Element::LongYear),
    ("002", Element::DayOfYear { padded: false }),
    ("__2", Element::DayOfYear { padded: true }),
    ("01", Element::Month { least: 2 }),
    ("02", Element::Day { least: 2 }),
    ("03", Element::HalfDayHour { least: 2 }),
    ("04", Element::Minute { least: 2 }),
    ("05", Element::Second { least: 2 }),
    ("06", Element::Year),
    ("15", Element::Hour),
    ("1", Element::Month { least: 1 }),
    ("2", Element::Day { least: 1 }),
    ("3", Element::HalfDayHour { least: 1 }),
    ("4", Element::Minute { least: 1 }),
    ("5", Element::Second { least: 1 }),
    ("PM", Element::Half { lower: false }),
    ("pm", Element::Half { lower: true }),
    (
        "070000",
        Element::Zone(Zone {
            or_z: false,
            parts: 3,
            colons: false,
        }),
    ),
    (
        "07:00:00",
        Element::Zone(Zone {
            or_z: false,
            parts: 3,
            colons: true,
        }),
    ),
    (
        "0700",
        Element::Zone(Zone {
            or_z: false,
            parts: 2,
            colons: false,
        }),
    ),
    (
        "07:00",
        Element::Zone(Zone {
            or_z: false,
            parts: 2,
            colons: true,
        }),
    ),
    (
        "07",
        Element::Zone(Zone {
            or_z: false,
            parts: 1,
            colons: false,
        }),
    ),
];

/// Splits a layout at its first element: what stands before, the element, what stands behind.
pub(super) fn split(layout: &str) -> (&str, Option<Element>, &str) {
    for (at, _) in layout.char_indices() {
        if let Some((element, length)) = element(&layout[at..]) {
            return (&layout[..at], Some(element), &layout[at + length..]);
        }
    }
    (layout, None, "")
}

/// The element that a layout begins with, and its length.
fn element(layout: &str) -> Option<(Element, usize)> {
    let fixed = |text: &str, zone: bool| {
        let mut known = FIXED
            .iter()
            .filter(|(_, element)| matches!(element, Element::Zone(_)) == zone);
        known
            .find(|(spelling, _)| text.starts_with(spelling))
            .map(|(spelling, element)| (*element, spelling.len()))
    };
    let short_name =
        |name: &str| layout.starts_with(name) && !layout[3..].starts_with(|c: char| c.is_ascii_lowercase());
    match layout.as_bytes().first()? {
        // "_2006" is an underscore and a year.
        b'_' if layout.starts_with("_2") && !layout.starts_with("_2006") => Some((Element::PaddedDay, 2)),
        sign @ (b'-' | b'Z') => match fixed(&layout[1..], true)? {
            (Element::Zone(zone), length) => Some((
                Element::Zone(Zone {
                    or_z: *sign == b'Z',
                    ..zone
                }),
                length + 1,
            )),
            _ => None,
        },
        b'.' | b',' => {
            let digit = layout.as_bytes().get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
            let digits = layout.bytes().skip(1).take_while(|byte| byte == digit).count();
            let ends = !layout[digits + 1..].starts_with(|c: char| c.is_ascii_digit());
            ends.then_some((
                Element::Fraction {
                    digits,
                    exact: *digit == b'0',
                },
                digits + 1,
            ))
        }
        _ => fixed(layout, false)
            .or_else(|| short_name("Jan").then_some((Element::MonthName(Spelling::Short), 3)))
            .or_else(|| short_name("Mon").then_some((Element::Weekday(Spelling::Short), 3))),
    }
}
