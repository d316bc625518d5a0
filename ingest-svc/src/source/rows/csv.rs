//! CSV: each row becomes a JSON object of texts, by the names of the header.

use std::borrow::Cow;

use bytes::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::dialect::{Dialect, push_text};
use crate::source::Raw;

/// Columns of a row, at most.
const COLUMNS_MAX: usize = 1_000;

/// The header of a CSV cannot be used, so none of its rows can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header of the CSV cannot be used: {0}; name the columns in the parameter `headers`")]
pub struct BadHeader(Cow<'static, str>);

/// How a CSV is to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvOptions {
    /// What stands between two columns.
    pub delimiter: u8,
    /// The names of the columns; `None` if the first row has them.
    pub headers: Option<Vec<String>>,
    /// What every row has besides its columns. Of one name, it counts and not the column.
    pub append: Map<String, Value>,
}

/// What stands between two columns, by what somebody calls it: a comma, `t` for a tab, `|` or `;`.
pub fn delimiter(word: &str) -> Option<u8> {
    match word {
        "," => Some(b','),
        "t" | "\t" => Some(b'\t'),
        "|" => Some(b'|'),
        ";" => Some(b';'),
        _ => None,
    }
}

/// Finds the rows in the pieces of a body.
pub struct Csv {
    reader: Reader,
    dialect: Dialect,
    row: Row,
    /// Each column's name as JSON with its colon; empty for a column without a name, which is left out.
    names: Option<Vec<Vec<u8>>>,
    /// The members that every row has, without braces.
    append: Vec<u8>,
}

/// The row so far.
struct Row {
    /// The line it begins on, from 1.
    line: u64,
    /// Its cells one behind the other, and where each ends.
    cells: Vec<u8>,
    cells_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    /// What is left of a row that is too large, and why it is.
    too_large: Option<Raw>,
}

impl Csv {
    /// As the Collect API takes it.
    pub fn new(options: &CsvOptions) -> Self {
        Self::in_dialect(options, Dialect::default())
    }

    pub fn in_dialect(options: &CsvOptions, dialect: Dialect) -> Self {
        let append = serde_json::to_vec(&options.append).unwrap_or_default();
        let headers = options.headers.as_ref();
        Self {
            reader: ReaderBuilder::new().delimiter(options.delimiter).build(),
            row: Row {
                line: 1,
                // One more than may be, so that a row of just the limit is told from one beyond it.
                cells: vec![0; dialect.row_bytes_max + 1],
                cells_len: 0,
                ends: vec![0; COLUMNS_MAX + 1],
                ends_len: 0,
                too_large: None,
            },
            names: headers.map(|names| names.iter().map(|name| member(name, &dialect)).collect()),
            append: append
                .get(1..append.len().saturating_sub(1))
                .unwrap_or_default()
                .to_vec(),
            dialect,
        }
    }

    /// See [`Rows::next`](super::Rows::next).
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Raw>, BadHeader> {
        // No input at all would tell the reader that the body has ended.
        while !input.is_empty() {
            if self.read(input) == ReadRecordResult::Record
                && let Some(raw) = self.record()?
            {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }

    /// See [`Rows::end`](super::Rows::end).
    pub fn end(&mut self) -> Result<Option<Raw>, BadHeader> {
        loop {
            match self.read(&mut [].as_slice()) {
                ReadRecordResult::Record => return self.record(),
                ReadRecordResult::End | ReadRecordResult::InputEmpty => return Ok(None),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            }
        }
    }

    fn read(&mut self, input: &mut &[u8]) -> ReadRecordResult {
        let row = &mut self.row;
        let (cells, ends) = (&mut row.cells[row.cells_len..], &mut row.ends[row.ends_len..]);
        let (result, read, written, ended) = self.reader.read_record(input, cells, ends);
        *input = &input[read..];
        row.cells_len += written;
        row.ends_len += ended;
        if matches!(result, ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull) {
            row.is_too_large(self.dialect.row_bytes_max);
        }
        result
    }

    /// The row that has just ended, unless it was the header.
    fn record(&mut self) -> Result<Option<Raw>, BadHeader> {
        let (row, bytes_max) = (&mut self.row, self.dialect.row_bytes_max);
        if row.cells_len > bytes_max || row.ends_len > COLUMNS_MAX {
            row.is_too_large(bytes_max);
        }
        let raw = match (row.too_large.take(), &self.names) {
            (Some(_), None) => return Err(BadHeader("it is too large".into())),
            (Some(raw), Some(_)) => Some(raw),
            (None, None) => {
                self.names = Some(row.names(&self.dialect)?);
                None
            }
            (None, Some(names)) => Some(row.raw(names, &self.append, &self.dialect)),
        };
        (row.cells_len, row.ends_len, row.line) = (0, 0, self.reader.line());
        Ok(raw)
    }
}

impl Row {
    /// The cells that have ended, each unless it is not UTF-8.
    fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let cells = starts.zip(&self.ends[..self.ends_len]);
        cells.map(|(start, end)| std::str::from_utf8(self.cells.get(*start..*end)?).ok())
    }

    /// The names of the columns, if this is the header.
    fn names(&self, dialect: &Dialect) -> Result<Vec<Vec<u8>>, BadHeader> {
        let names: Option<Vec<_>> = self.cells().collect();
        let names = names.ok_or(BadHeader("it is not UTF-8".into()))?;
        let is_there = |wanted: &&String| names.iter().any(|name| name.trim() == wanted.trim());
        if let Some(wanted) = dialect.keep.iter().find(|wanted| !is_there(wanted)) {
            return Err(BadHeader(
                format!("it has no column `{wanted}`, which is to be kept").into(),
            ));
        }
        let members = names.iter().map(|name| match is_taken(name, &names, dialect) {
            true => Vec::new(),
            false => member(name, dialect),
        });
        Ok(members.collect())
    }

    fn raw(&self, names: &[Vec<u8>], append: &[u8], dialect: &Dialect) -> Raw {
        if self.ends_len != names.len() {
            let (found, named) = (self.ends_len, names.len());
            return self.unusable(format!(
                "the row does not have as many columns ({found}) as are named ({named})"
            ));
        }
        let mut json =
            Vec::with_capacity(names.iter().map(Vec::len).sum::<usize>() + self.cells_len * 5 / 4 + append.len());
        for (column, (name, cell)) in names.iter().zip(self.cells()).enumerate() {
            let Some(cell) = cell else {
                let name = String::from_utf8_lossy(name);
                let name = name.trim_end_matches(':');
                return self.unusable(format!("the row is not UTF-8 in column {} {name}", column + 1));
            };
            if !name.is_empty() {
                json.push(if json.is_empty() { b'{' } else { b',' });
                json.extend_from_slice(name);
                (dialect.cell)(&mut json, cell);
            }
        }
        if !append.is_empty() || json.is_empty() {
            json.push(if json.is_empty() { b'{' } else { b',' });
            json.extend_from_slice(append);
        }
        json.push(b'}');
        Bytes::from(json).into()
    }

    /// Makes room for the rest of a row that is read to its end, but not kept.
    fn is_too_large(&mut self, bytes_max: usize) {
        if self.too_large.is_none() {
            let problem = if self.ends_len > COLUMNS_MAX {
                format!("the row has more than {COLUMNS_MAX} columns")
            } else {
                format!("the row is larger than {bytes_max} bytes; is a quote missing?")
            };
            self.too_large = Some(self.unusable(problem));
        }
        (self.cells_len, self.ends_len) = (0, 0);
    }

    /// What there is of a row that cannot be used: a list of its cells.
    fn unusable(&self, problem: String) -> Raw {
        let starts = std::iter::once(0).chain(self.ends[..self.ends_len].iter().copied());
        let ends = self.ends[..self.ends_len].iter().copied().chain([self.cells_len]);
        let cells = starts.zip(ends).filter_map(|(start, end)| self.cells.get(start..end));
        let mut cells: Vec<_> = cells.map(String::from_utf8_lossy).collect();
        if cells.last().is_some_and(|rest| rest.is_empty()) {
            cells.pop();
        }
        Raw {
            json: serde_json::to_vec(&cells).unwrap_or_default().into(),
            unusable: Some(format!("line {}: {problem}", self.line)),
        }
    }
}

/// Whether another column is given this one's name by the dialect: that is the sender's own, and counts.
fn is_taken(column: &str, columns: &[&str], dialect: &Dialect) -> bool {
    let column = column.trim();
    let mut others = columns.iter().map(|other| other.trim());
    others.any(|other| !other.eq_ignore_ascii_case(column) && (dialect.name)(other) == column)
}

/// A member's name and its colon; nothing if it has no name, or is not to be kept.
fn member(name: &str, dialect: &Dialect) -> Vec<u8> {
    let mut member = Vec::new();
    let name = name.trim();
    let is_kept = dialect.keep.is_empty() || dialect.keep.iter().any(|kept| kept.trim() == name);
    if !name.is_empty() && is_kept {
        push_text(&mut member, (dialect.name)(name));
        member.push(b':');
    }
    member
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{RECORD_BYTES_MAX, Rows, read};
    use super::*;

    fn options() -> CsvOptions {
        CsvOptions {
            delimiter: b',',
            headers: None,
            append: Map::new(),
        }
    }

    fn rows(options: &CsvOptions, body: &[u8], piece: usize) -> Result<Vec<Result<String, String>>, BadHeader> {
        read(Rows::Csv(Box::new(Csv::new(options))), body, piece)
    }

    fn texts(options: &CsvOptions, body: &str) -> Vec<String> {
        let rows = rows(options, body.as_bytes(), body.len()).unwrap();
        rows.into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn a_row_is_an_object_by_the_names_of_the_header_however_the_body_is_cut() {
        let body = "\u{feff}id, city ,\r\n1,\"Vila \"\"Nova\"\"\nde Gaia\",x\r\n\r\n2,\u{c9}vora\\,\n3,,";
        let expected = [
            r#"{"id":"1","city":"Vila \"Nova\"\nde Gaia"}"#,
            r#"{"id":"2","city":"Évora\\"}"#,
            r#"{"id":"3","city":""}"#,
        ];
        // The first piece holds the whole byte order mark.
        for piece in 3..=body.len() {
            let rows = rows(&options(), body.as_bytes(), piece).unwrap();
            let texts: Vec<_> = rows.into_iter().map(Result::unwrap).collect();
            assert_eq!(texts, expected, "{piece}");
        }
    }

    #[test]
    fn names_may_be_given_and_the_delimiter_and_what_every_row_has() {
        let given = CsvOptions {
            delimiter: b'\t',
            headers: Some(vec!["id".to_owned(), "plan".to_owned()]),
            append: json!({"plan": "gold", "n": [1, 2]}).as_object().unwrap().clone(),
        };
        let expected: Value = json!({"id": "1,2", "plan": "gold", "n": [1, 2]});
        let row = &texts(&given, "1,2\tfree\n")[0];
        assert_eq!(serde_json::from_str::<Value>(row).unwrap(), expected, "{row}");
        assert_eq!(texts(&options(), "\u{20}\nx\n"), ["{}"], "a column without a name");
    }

    #[test]
    fn a_row_that_cannot_be_used_is_told_with_its_line_and_the_next_is_read() {
        let large = "x".repeat(RECORD_BYTES_MAX - 1);
        let wide = ",".repeat(COLUMNS_MAX);
        let body = [
            b"a,b\n1\n1,2,3\n1,\xff\n\xc3,\xa9\n".to_vec(),
            format!("{large},y\n{large},yz\n{large}{large},\"\n\"\n{wide}\n7,8").into_bytes(),
        ]
        .concat();
        for piece in [5, 1_000, body.len()] {
            let rows = rows(&options(), &body, piece).unwrap();
            let told: Vec<_> = rows
                .iter()
                .map(|row| row.as_ref().map_or_else(String::as_str, |_| ""))
                .collect();
            let too_large = |line| format!("line {line}: the row is larger than 16384 bytes; is a quote missing?");
            assert_eq!(
                told,
                [
                    "line 2: the row does not have as many columns (1) as are named (2)",
                    "line 3: the row does not have as many columns (3) as are named (2)",
                    "line 4: the row is not UTF-8 in column 2 \"b\"",
                    "line 5: the row is not UTF-8 in column 1 \"a\"",
                    "",
                    &too_large(7),
                    &too_large(8),
                    "line 10: the row has more than 1000 columns",
                    ""
                ],
                "{piece}"
            );
        }
    }

    #[test]
    fn of_a_row_that_cannot_be_used_its_cells_are_kept_up_to_the_limit() {
        let mut csv = Csv::new(&options());
        let body = format!("a,b\n1,\"2\n\",\u{e9}\nx,{}\n", "y".repeat(100_000));
        let mut input = body.as_bytes();
        let kept = |csv: &mut Csv, input: &mut &[u8]| csv.next(input).unwrap().unwrap().json;
        assert_eq!(kept(&mut csv, &mut input), "[\"1\",\"2\\n\",\"\u{e9}\"]");
        let cut = kept(&mut csv, &mut input);
        assert!(cut.starts_with(b"[\"x\",\"yyy") && cut.len() < RECORD_BYTES_MAX + 10);
    }

    #[test]
    fn a_header_that_cannot_be_used_is_the_end() {
        let large = "x,".repeat(10_000);
        for body in [b"a,\xff\n1,2\n".as_slice(), large.as_bytes()] {
            assert!(rows(&options(), body, 1_000).is_err());
        }
        assert_eq!(rows(&options(), b"", 1), Ok(Vec::new()));
        assert_eq!(rows(&options(), b"a,b\n", 1), Ok(Vec::new()));
    }
}
