//! From the bytes of a body to its records: what it is, JSON as it was written, a form as the object that its fields make.

mod form;
mod json;

use bytes::Bytes;

pub(crate) use self::form::record_of_fields;
use super::Raw;

/// JSON has none, but some editors and clients put one in front.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Bytes of the byte order mark.
pub(crate) const MARK_BYTES: usize = BYTE_ORDER_MARK.len();

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON object, or an array of objects.
    Json,
    /// Several JSON objects one behind the other, usually one a line.
    Lines,
    /// Fields of a form or of a query string.
    Form,
    /// A header, then a record a row.
    Csv,
}

impl Kind {
    /// What a body that is read as a whole is. JSON is known by how it begins, whatever the sender says; a form by having a `=`,
    /// unless the sender says that it is something else. A CSV, which must be said to be one, is not read as a whole.
    pub fn of(content_type: Option<&[u8]>, body: &[u8]) -> Self {
        let said = content_type.map(essence);
        let is_form = || {
            let may_be = said.is_none_or(|said| is_one_of(said, &["application/x-www-form-urlencoded", "text/plain"]));
            may_be && body.contains(&b'=')
        };
        match first(body) {
            Some(b'{' | b'[') => Self::Json,
            _ if is_form() => Self::Form,
            _ => Self::Json,
        }
    }

    /// What a body that is read as it arrives is, by its beginning: a CSV, unless it begins as JSON and is not said to be a CSV.
    /// `None` if the beginning is too short to tell.
    pub fn of_rows(content_type: Option<&[u8]>, beginning: &[u8]) -> Option<Self> {
        if BYTE_ORDER_MARK.starts_with(beginning) {
            // Perhaps the rest of the mark is still to come.
            return None;
        }
        match first(beginning) {
            _ if is_said_to_be_csv(content_type) => Some(Self::Csv),
            Some(b'{') => Some(Self::Lines),
            Some(b'[') => Some(Self::Json),
            first => first.map(|_| Self::Csv),
        }
    }

    /// Its media type, in the answer and on what is kept of it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Csv => "application/csv",
        }
    }
}

/// Whether the sender says that the body is a CSV.
pub(crate) fn is_said_to_be_csv(content_type: Option<&[u8]>) -> bool {
    let said = content_type.map(essence);
    said.is_some_and(|said| is_one_of(said, &["application/csv", "text/csv"]))
}

fn is_one_of(essence: &[u8], types: &[&str]) -> bool {
    types.iter().any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}

/// A media type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|byte| *byte == b';');
    content_type[..end.unwrap_or(content_type.len())].trim_ascii()
}

/// The first byte that is neither blank nor the byte order mark.
fn first(body: &[u8]) -> Option<u8> {
    without_mark(body).trim_ascii_start().first().copied()
}

/// The body behind its byte order mark, if it has one.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Why a body holds no records.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, with where and why. The message quotes nothing of the body.
    #[error("broken JSON: {0}")]
    Broken(serde_json::Error),
    /// JSON, but neither an object nor an array.
    #[error("a JSON object or an array of objects is expected")]
    NotRecords,
    /// More records than a request may hold.
    #[error("the body holds {records} records, a request may hold at most {records_max}")]
    TooMany {
        /// How many it holds.
        records: usize,
        /// How many it may hold.
        records_max: usize,
    },
    /// More fields than a form may have.
    #[error("the form has more than {0} fields")]
    TooManyFields(usize),
}

/// The records of a body that is no CSV, and what it turned out to be.
///
/// # Errors
/// When the body holds no records, or more than `records_max`.
pub fn records(kind: Kind, body: &Bytes, records_max: usize) -> Result<(Kind, Vec<Raw>), BodyError> {
    if kind == Kind::Form {
        let record = record_of_fields(form_urlencoded::parse(body.trim_ascii()))?;
        return Ok((kind, vec![record.into()]));
    }
    let values = json::values(body, records_max)?;
    let is_array = first(body) == Some(b'[');
    let kind = if is_array || values.len() == 1 {
        Kind::Json
    } else {
        Kind::Lines
    };
    let records = values
        .into_iter()
        .map(|value| body.slice_ref(value.get().as_bytes()).into());
    Ok((kind, records.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_by_its_beginning_whatever_the_sender_says() {
        let form = "application/x-www-form-urlencoded";
        for (content_type, body, kind) in [
            (None, " {\"a\":\"b=c\"}", Kind::Json),
            (Some(form), "{\"a\":1}", Kind::Json),
            (Some("Application/JSON; charset=utf-8"), "\u{feff} [1]", Kind::Json),
            (None, "a=1&b=2", Kind::Form),
            (Some(form), "a=1", Kind::Form),
            (Some("text/plain;charset=UTF-8"), "a=1", Kind::Form),
            (Some("application/json"), "a=1", Kind::Json),
            (None, "a", Kind::Json),
            (None, "", Kind::Json),
        ] {
            let found = Kind::of(content_type.map(str::as_bytes), body.as_bytes());
            assert_eq!(found, kind, "{content_type:?} {body}");
        }
    }

    #[test]
    fn rows_are_csv_unless_they_begin_as_json_and_too_short_a_beginning_does_not_tell() {
        for (content_type, beginning, kind) in [
            (None, "a,b", Some(Kind::Csv)),
            (None, "\r\n {", Some(Kind::Lines)),
            (None, "\u{feff}{", Some(Kind::Lines)),
            (Some("application/x-ndjson"), "[", Some(Kind::Json)),
            (Some("Text/CSV ; header=present"), "{", Some(Kind::Csv)),
            (Some("application/csv"), "\n", Some(Kind::Csv)),
            (Some("application/csv"), "", None),
            (None, " \n", None),
            (None, "", None),
            (None, "\u{feff}", None),
        ] {
            let found = Kind::of_rows(content_type.map(str::as_bytes), beginning.as_bytes());
            assert_eq!(found, kind, "{content_type:?} {beginning:?}");
        }
        assert_eq!(Kind::of_rows(None, b"\xef\xbb"), None, "half a byte order mark");
    }

    #[test]
    fn what_json_turned_out_to_be_is_told_with_its_records() {
        let kind = |body: &'static str| records(Kind::Json, &body.into(), 10).unwrap().0;
        assert_eq!(
            (kind("{}"), kind("[{},{}]"), kind("{}\n{}")),
            (Kind::Json, Kind::Json, Kind::Lines)
        );
    }
}
