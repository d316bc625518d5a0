//! English names of months and weekdays.

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// How a name may be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `January`
    Long,
    /// `Jan`
    Short,
}

impl Spelling {
    fn of(self, name: &'static str) -> &'static str {
        match self {
            Self::Long => name,
            Self::Short => &name[..3],
        }
    }
}

/// The month, from 1, of a whole word in any case; `sept` is September too.
pub(super) fn month(word: &str) -> Option<i32> {
    let is_named = |name: &str| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(&name[..3]);
    let place = MONTHS.iter().position(|name| is_named(name));
    let place = place.or_else(|| word.eq_ignore_ascii_case("sept").then_some(8))?;
    i32::try_from(place + 1).ok()
}

/// Whether a whole word, in any case, is a weekday.
pub(super) fn is_weekday(word: &str) -> bool {
    WEEKDAYS
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(&name[..3]))
}

/// The month, from 1, that `text` begins with, and the rest.
pub(super) fn strip_month(text: &str, spelling: Spelling) -> Option<(i32, &str)> {
    let (place, rest) = strip(text, &MONTHS, spelling)?;
    Some((i32::try_from(place + 1).ok()?, rest))
}

/// What follows the weekday that `text` begins with.
pub(super) fn strip_weekday(text: &str, spelling: Spelling) -> Option<&str> {
    strip(text, &WEEKDAYS, spelling).map(|(_, rest)| rest)
}

fn strip<'t>(text: &'t str, names: &[&'static str], spelling: Spelling) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(place, name)| {
        let name = spelling.of(name);
        let (start, rest) = text.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some((place, rest))
    })
}
