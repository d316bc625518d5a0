//! Reads the rows of a file in their order.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Map;
use tokio::io::AsyncRead;

use super::avro::Avro;
use super::braze::{dashboard, segment};
use super::format::{Compression, Kind, What, is_tsv, without_compression};
use super::unpack::{PIECE_BYTES, SourceFailed, Unpacked, invalid};
use super::zip::is_passed_over;
use super::{Fault, Options, Place, ROW_BYTES_MAX, Row};
use crate::source::Raw;
use crate::source::growth::{GROWTH_MAX, is_bomb};
use crate::source::rows::{Csv, CsvOptions, Dialect, Lines, Rows};

/// Of so many bytes of a file it shows what it is, a byte order mark and blanks in front of them included.
const BEGINNING_BYTES: usize = 512;

/// What finds rows in the pieces of a file.
enum Parser {
    Rows(Rows),
    Avro(Box<Avro>),
}

impl Parser {
    /// The next row that ends within `input`, which is cut off up to there. `None` when all of it has been read.
    fn next(&mut self, input: &mut &[u8]) -> io::Result<Option<Raw>> {
        match self {
            Self::Rows(rows) => rows.next(input).map_err(|error| invalid(error.to_string())),
            Self::Avro(avro) => avro.next(input).map_err(invalid),
        }
    }

    /// The row that the end of the file ends, if there is one.
    fn end(&mut self) -> io::Result<Option<Raw>> {
        match self {
            Self::Rows(rows) => rows.end().map_err(|error| invalid(error.to_string())),
            Self::Avro(avro) => avro.end().map_err(invalid).map(|()| None),
        }
    }
}

/// A file whose rows are read one after the other. After a [`Fault`] there are no more.
pub struct Reader {
    file: Unpacked,
    /// Its name, without what its compression has added.
    name: String,
    options: Options,
    /// Finds the rows of the present member.
    rows: Option<Parser>,
    /// They are lines of a segment export.
    is_segment: bool,
    member: Option<Arc<str>>,
    piece: Box<[u8]>,
    unread: Range<usize>,
    /// The number of the last row.
    number: u64,
    /// It goes no further.
    is_over: bool,
    /// Bytes of the file so far, and what became of them.
    received: Arc<AtomicU64>,
    grown: u64,
}

impl Reader {
    /// Begins to read a file of this name.
    ///
    /// # Errors
    /// When its compression is not what its name says, or the source fails.
    pub async fn open(
        source: impl AsyncRead + Send + Unpin + 'static,
        name: &str,
        options: Options,
    ) -> Result<Self, Fault> {
        let (given, named) = (options.format.compression, Compression::of_name(name));
        let opened = Unpacked::open(Box::new(source), given, named).await;
        let beginning = Place { rows: 0, member: None };
        let (file, received) = opened.map_err(|error| fault(error, beginning))?;
        Ok(Self {
            file,
            name: without_compression(name).to_owned(),
            options,
            rows: None,
            is_segment: false,
            member: None,
            piece: vec![0; PIECE_BYTES].into(),
            unread: 0..0,
            number: 0,
            is_over: false,
            received,
            grown: 0,
        })
    }

    /// The next row that is wanted; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub async fn next(&mut self) -> Result<Option<Row>, Fault> {
        while !self.is_over {
            let raw = self.raw().await;
            self.is_over = !matches!(raw, Ok(Some(_)));
            let raw = raw.map_err(|error| fault(error, self.place()))?;
            let Some(raw) = raw else { break };
            self.number += 1;
            if self.number >= self.options.from_row {
                return Ok(Some(Row {
                    number: self.number,
                    member: self.member.clone(),
                    records: match self.is_segment {
                        true => segment::records(raw),
                        false => vec![raw],
                    },
                }));
            }
        }
        Ok(None)
    }

    fn place(&self) -> Place {
        Place {
            rows: self.number,
            member: self.member.clone(),
        }
    }

    async fn raw(&mut self) -> io::Result<Option<Raw>> {
        loop {
            let Some(rows) = &mut self.rows else {
                if !self.begin().await? {
                    return Ok(None);
                }
                continue;
            };
            let mut input = &self.piece[self.unread.clone()];
            let found = rows.next(&mut input);
            self.unread.start = self.unread.end - input.len();
            if let Some(raw) = found? {
                return Ok(Some(raw));
            }
            if self.fill().await? {
                continue;
            }
            let last = self.rows.take().and_then(|mut rows| rows.end().transpose());
            if let Some(raw) = last {
                return raw.map(Some);
            }
        }
    }

    /// Begins with the next file in this one; whether there is one.
    async fn begin(&mut self) -> io::Result<bool> {
        self.unread = 0..0;
        loop {
            let Some(member) = self.file.next_member().await? else {
                return Ok(false);
            };
            self.member = member;
            if !self.member.as_deref().is_some_and(is_passed_over) {
                break;
            }
            while self.fill().await? {
                self.unread = 0..0;
            }
        }
        while self.unread.len() < BEGINNING_BYTES && self.fill().await? {}
        let name = self.member.as_deref().unwrap_or(&self.name);
        let what = self.options.format.what.or(What::of_name(name));
        let what = what.unwrap_or_else(|| What::of_beginning(&self.piece[self.unread.clone()]));
        let kind = self.options.format.kind.or_else(|| Kind::of_path(&self.name));
        let is_brazes = kind == Some(Kind::Braze);
        let parser = match what {
            What::Csv => Parser::Rows(self.csv(is_tsv(name), is_brazes)?),
            What::Lines => Parser::Rows(Rows::Lines(Lines::new(ROW_BYTES_MAX))),
            What::Avro => Parser::Avro(Box::new(Avro::new(&self.name, kind))),
        };
        self.rows = Some(parser);
        // Of Currents Braze writes no lines.
        let is_export = self.options.format.kind.is_some() || Kind::is_segment_export(&self.name);
        self.is_segment = is_brazes && is_export && what == What::Lines;
        Ok(true)
    }

    fn csv(&self, is_tsv: bool, is_brazes: bool) -> io::Result<Rows> {
        let Options { headers, columns, .. } = &self.options;
        let is_named = |column: &&String| headers.as_ref().is_none_or(|names| names.contains(column));
        if let Some(missing) = columns.iter().find(|column| !is_named(column)) {
            return Err(invalid(format!(
                "`{missing}` is to be kept, but is no column that is named"
            )));
        }
        let options = CsvOptions {
            delimiter: self.options.delimiter.unwrap_or(if is_tsv { b'\t' } else { b',' }),
            headers: headers.clone(),
            append: Map::new(),
        };
        let plain = Dialect {
            row_bytes_max: ROW_BYTES_MAX,
            keep: columns.clone(),
            ..Dialect::default()
        };
        let dialect = match is_brazes {
            true => Dialect {
                name: dashboard::name,
                cell: dashboard::cell,
                ..plain
            },
            false => plain,
        };
        Ok(Rows::Csv(Box::new(Csv::in_dialect(&options, dialect))))
    }

    /// Reads the next piece of the present member behind what is unread; whether there is one.
    async fn fill(&mut self) -> io::Result<bool> {
        // A piece that is there already costs no wait; others have their turn all the same.
        tokio::task::consume_budget().await;
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        let read = self.file.read(&mut self.piece[self.unread.end..]).await?;
        self.unread.end += read;
        self.grown += read as u64;
        if is_bomb(self.received.load(Ordering::Relaxed), self.grown) {
            return Err(invalid(format!(
                "it is compressed more than {GROWTH_MAX} times, as no records are"
            )));
        }
        Ok(read > 0)
    }
}

fn fault(error: io::Error, place: Place) -> Fault {
    match SourceFailed::of(error) {
        Ok(source) => Fault::Source { place, source },
        Err(error) => Fault::Broken {
            place,
            problem: match error.kind() {
                io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
                _ => error.to_string(),
            },
        },
    }
}
