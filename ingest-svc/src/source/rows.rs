//! Records out of a body that is read as it arrives, CSV or a JSON object a line, in memory that does not grow with it.

mod csv;
mod dialect;
mod lines;

pub use csv::{BadHeader, Csv, CsvOptions, delimiter};
pub use dialect::Dialect;
pub(crate) use dialect::push_text;
pub use lines::Lines;

use super::Raw;

/// Bytes of a record that is read as it arrives, at most: Lytics' limit for a record of a batch.
pub const RECORD_BYTES_MAX: usize = 16 << 10;

/// Finds the records in the pieces of a body.
pub enum Rows {
    /// A header, then a record a row.
    Csv(Box<Csv>),
    /// A record a line.
    Lines(Lines),
}

impl Rows {
    /// The next record that ends within `input`, which is cut off up to there. `None` when all of it has been read.
    ///
    /// # Errors
    /// When the header of a CSV cannot be used.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Raw>, BadHeader> {
        match self {
            Self::Csv(csv) => csv.next(input),
            Self::Lines(lines) => Ok(lines.next(input)),
        }
    }

    /// The record that the end of the body ends, if there is one.
    ///
    /// # Errors
    /// When the header of a CSV cannot be used.
    pub fn end(&mut self) -> Result<Option<Raw>, BadHeader> {
        match self {
            Self::Csv(csv) => csv.end(),
            Self::Lines(lines) => Ok(lines.end()),
        }
    }
}

/// All records of a body that comes in pieces of `piece` bytes: as text, or why it is none.
#[cfg(test)]
fn read(mut rows: Rows, body: &[u8], piece: usize) -> Result<Vec<Result<String, String>>, BadHeader> {
    let text = |raw: Raw| match raw.unusable {
        None => Ok(String::from_utf8(raw.json.to_vec()).unwrap()),
        Some(problem) => Err(problem),
    };
    let mut found = Vec::new();
    for mut input in body.chunks(piece) {
        while let Some(raw) = rows.next(&mut input)? {
            found.push(text(raw));
        }
    }
    found.extend(rows.end()?.map(text));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn csv(headers: bool) -> Rows {
        Rows::Csv(Box::new(Csv::new(&CsvOptions {
            delimiter: b',',
            headers: headers.then(|| vec!["a".to_owned(), "b".to_owned()]),
            append: Map::new(),
        })))
    }

    /// Bytes that mean something to a CSV or to JSON, and any others.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(b",,\"\"\n\n\r\\{}x \xc3\xa9".to_vec());
        prop::collection::vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..200)
    }

    proptest! {
        #[test]
        fn whatever_comes_and_however_it_is_cut_the_same_records_are_found_and_each_is_json(
            body in bodies(),
            piece in 1_usize..20,
            headers: bool,
        ) {
            let whole = read(csv(headers), &body, body.len().max(1));
            prop_assert_eq!(&read(csv(headers), &body, piece), &whole);
            for row in whole.into_iter().flatten().flatten() {
                prop_assert!(serde_json::from_str::<Map<String, serde_json::Value>>(&row).is_ok(), "{row}");
            }
            let lines = |piece| {
                let mut lines = Rows::Lines(Lines::default());
                let mut found = Vec::new();
                for mut input in body.chunks(piece) {
                    while let Ok(Some(raw)) = lines.next(&mut input) {
                        found.push(raw.json);
                    }
                }
                found.extend(lines.end().ok().flatten().map(|raw| raw.json));
                found
            };
            prop_assert_eq!(lines(piece), lines(body.len().max(1)));
        }
    }
}
