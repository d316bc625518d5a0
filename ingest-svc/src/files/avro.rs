//! Avro's object container files: a schema, then blocks of rows, each of them compressed by itself.
//!
//! By the specification of Avro 1.12, with the writer's schema, in memory of a block. Our own, since the library for it undoes the
//! compression of a block whatever it grows to, and builds a tree of every value.

mod datum;
mod schema;

use std::io::Read;

use bytes::Bytes;
use flate2::read::DeflateDecoder;

use self::datum::{Cursor, Decoder, Stop};
use self::schema::{Schema, TypeId};
use super::braze::currents::{self, Event};
use super::{Kind, ROW_BYTES_MAX};
use crate::normalize::members::Object;
use crate::source::Raw;

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"Obj\x01";
/// Bytes of a file's header, at most.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a block, at most, before and after its compression is undone. Writers make them of 16 KB to 1 MB.
const BLOCK_BYTES_MAX: usize = 16 << 20;
/// Bytes of what stands behind each block.
const MARKER_BYTES: usize = 16;

/// Why a file goes no further; written for whoever has it.
type Problem = String;

/// Finds the rows in the pieces of a file.
pub(super) struct Avro {
    /// Its path, which may name the type of events.
    path: String,
    /// Whose it is, as far as that is known.
    kind: Option<Kind>,
    header: Option<Header>,
    /// What came, and how much of it is read; what is not is less than a block and a piece.
    held: Vec<u8>,
    done: usize,
    /// The present block, how far it is read, and the rows that are left in it.
    block: Vec<u8>,
    read: usize,
    left: u64,
    /// The number of the block.
    number: u64,
}

struct Header {
    schema: Schema,
    rows: TypeId,
    codec: Codec,
    marker: [u8; MARKER_BYTES],
    /// Of Currents.
    event_type: Option<String>,
}

#[derive(Clone, Copy)]
enum Codec {
    Null,
    Deflate,
    Snappy,
}

impl Avro {
    pub(super) fn new(path: &str, kind: Option<Kind>) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            header: None,
            held: Vec::new(),
            done: 0,
            block: Vec::new(),
            read: 0,
            left: 0,
            number: 0,
        }
    }

    /// The next row that ends within `input`, which is cut off up to there. `None` when all of it has been read.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Raw>, Problem> {
        loop {
            if self.left > 0 {
                self.left -= 1;
                return self.row().map(Some);
            }
            if self.advance()? {
                continue;
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.held.drain(..self.done);
            self.done = 0;
            self.held.extend_from_slice(std::mem::take(input));
        }
    }

    /// The file has ended.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match (&self.header, self.held.len() == self.done) {
            (None, _) => Err("it is cut off within its header".to_owned()),
            (Some(_), true) => Ok(()),
            (Some(_), false) => Err(format!("it is cut off within block {}", self.number + 1)),
        }
    }

    /// Reads the header, or the next block, if all of it is there.
    fn advance(&mut self) -> Result<bool, Problem> {
        let mut cursor = Cursor(&self.held[self.done..]);
        let found = match &self.header {
            None => header(&mut cursor, self.held.len()),
            Some(header) => block(&mut cursor, header).map(Found::Block),
        };
        let rest = cursor.0.len();
        match found {
            Err(Trouble::Cut) => return Ok(false),
            Err(Trouble::Bad(problem)) if self.header.is_none() => return Err(problem),
            Err(Trouble::Bad(problem)) => return Err(format!("block {}: {problem}", self.number + 1)),
            Ok(Found::Header(parts)) => self.header = Some(self.understood(parts)?),
            Ok(Found::Block((rows, bytes))) => {
                self.number += 1;
                (self.block, self.read, self.left) = (bytes, 0, rows);
            }
        }
        self.done = self.held.len() - rest;
        Ok(true)
    }

    fn understood(&self, parts: Parts) -> Result<Header, Problem> {
        let (schema, rows, name) = Schema::read(&parts.schema)?;
        let event_type = currents::event_type(&name, &self.path).filter(|_| self.kind != Some(Kind::Plain));
        if event_type.is_none() && self.kind == Some(Kind::Braze) {
            return Err(format!(
                "neither its path nor the name of its record, `{name}`, has a type of Currents"
            ));
        }
        Ok(Header {
            schema,
            rows,
            codec: parts.codec,
            marker: parts.marker,
            event_type,
        })
    }

    fn row(&mut self) -> Result<Raw, Problem> {
        let header = self.header.as_ref().ok_or("it has no header")?;
        let (row, read) = row(header, &self.block[self.read..]).map_err(|stop| match stop {
            Stop::Cut => format!("block {}: a row goes beyond its end", self.number),
            Stop::Bad(problem) => format!("block {}: {problem}", self.number),
        })?;
        if read == 0 && self.left > 0 {
            return Err(format!("block {}: its rows have no bytes", self.number));
        }
        self.read += read;
        if self.left == 0 && self.read < self.block.len() {
            return Err(format!("block {}: it goes on behind its rows", self.number));
        }
        Ok(row)
    }
}

/// A row, and how many bytes it has.
fn row(header: &Header, bytes: &[u8]) -> Result<(Raw, usize), Stop> {
    let mut decoder = Decoder::new(&header.schema, bytes);
    let mut event = header.event_type.as_deref().map(Event::new);
    let mut flat = Object::default();
    let (mut json, mut unusable, mut size) = (Vec::new(), None, 0);
    for field in header.schema.fields(header.rows) {
        json.clear();
        decoder.value(field.of, &mut json)?;
        size += json.len();
        let name = &field.name;
        if let Some(problem) = decoder.unreadable.take() {
            unusable.get_or_insert(format!("field `{name}`: {problem}"));
            continue;
        }
        if size > ROW_BYTES_MAX {
            unusable.get_or_insert(format!(
                "field `{name}`: the record is larger than {ROW_BYTES_MAX} bytes"
            ));
            continue;
        }
        let value = std::str::from_utf8(&json).unwrap_or("null");
        match &mut event {
            Some(event) => event.push(name, value),
            None => flat.push(name, value),
        }
    }
    let json = event.map_or_else(|| flat.finish(), Event::finish);
    let json = if json.is_empty() { "{}".to_owned() } else { json };
    let json = Bytes::from(json);
    Ok((Raw { json, unusable }, bytes.len() - decoder.cursor.0.len()))
}

enum Found {
    Header(Parts),
    /// How many rows it has, and their bytes.
    Block((u64, Vec<u8>)),
}

struct Parts {
    schema: Vec<u8>,
    codec: Codec,
    marker: [u8; MARKER_BYTES],
}

/// Why there is no header, or no block.
enum Trouble {
    /// It goes on behind what there is.
    Cut,
    Bad(Problem),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cut => Self::Cut,
            Stop::Bad(problem) => Self::Bad(problem.to_owned()),
        }
    }
}

fn bad(problem: impl Into<String>) -> Trouble {
    Trouble::Bad(problem.into())
}

fn header(cursor: &mut Cursor<'_>, held: usize) -> Result<Found, Trouble> {
    match parts(cursor) {
        Err(Trouble::Cut) if held > HEADER_BYTES_MAX => Err(bad("its header is too large")),
        parts => parts.map(Found::Header),
    }
}

fn parts(cursor: &mut Cursor<'_>) -> Result<Parts, Trouble> {
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(bad("it does not begin as an Avro file"));
    }
    let (mut schema, mut codec) = (None, Codec::Null);
    loop {
        let mut count = cursor.long()?;
        if count == 0 {
            break;
        }
        if count < 0 {
            count = count.saturating_neg();
            cursor.long()?;
        }
        for _ in 0..count {
            match (cursor.sized()?, cursor.sized()?) {
                (b"avro.schema", json) => schema = Some(json.to_vec()),
                (b"avro.codec", b"null") => codec = Codec::Null,
                (b"avro.codec", b"deflate") => codec = Codec::Deflate,
                (b"avro.codec", b"snappy") => codec = Codec::Snappy,
                (b"avro.codec", other) => {
                    let other = String::from_utf8_lossy(other);
                    return Err(bad(format!("its codec {other} is none of null, deflate and snappy")));
                }
                _ => {}
            }
        }
    }
    let mut marker = [0; MARKER_BYTES];
    marker.copy_from_slice(cursor.take(MARKER_BYTES)?);
    let schema = schema.ok_or_else(|| bad("it has no schema"))?;
    Ok(Parts { schema, codec, marker })
}

fn block(cursor: &mut Cursor<'_>, header: &Header) -> Result<(u64, Vec<u8>), Trouble> {
    let rows = u64::try_from(cursor.long()?).map_err(|_| bad("its number of rows is negative"))?;
    let size = cursor.size()?;
    if size > BLOCK_BYTES_MAX {
        return Err(bad(format!("it is larger than {BLOCK_BYTES_MAX} bytes")));
    }
    let packed = cursor.take(size)?;
    if cursor.take(MARKER_BYTES)? != header.marker {
        return Err(bad("what must stand behind it does not"));
    }
    let bytes = unpacked(packed, header.codec)?;
    if rows == 0 && !bytes.is_empty() {
        return Err(bad("it goes on behind its rows"));
    }
    Ok((rows, bytes))
}

fn unpacked(packed: &[u8], codec: Codec) -> Result<Vec<u8>, Trouble> {
    let too_large = || bad(format!("it becomes larger than {BLOCK_BYTES_MAX} bytes"));
    match codec {
        Codec::Null => Ok(packed.to_vec()),
        Codec::Deflate => {
            let mut bytes = Vec::new();
            let decoder = DeflateDecoder::new(packed);
            let read = decoder.take(BLOCK_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
            match read {
                Ok(size) if size <= BLOCK_BYTES_MAX => Ok(bytes),
                Ok(_) => Err(too_large()),
                Err(_) => Err(bad("it is not deflated as it should be")),
            }
        }
        Codec::Snappy => {
            let broken = || bad("it is not compressed with snappy as it should be");
            let (packed, checksum) = packed.split_last_chunk::<4>().ok_or_else(broken)?;
            if snap::raw::decompress_len(packed).map_err(|_| broken())? > BLOCK_BYTES_MAX {
                return Err(too_large());
            }
            let bytes = snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| broken())?;
            let is_whole = crc32fast::hash(&bytes) == u32::from_be_bytes(*checksum);
            is_whole
                .then_some(bytes)
                .ok_or_else(|| bad("it is not what its checksum says"))
        }
    }
}
