//! Values as Avro writes them → JSON.

use serde_json::Number;

use super::schema::{Schema, Type, TypeId};
use crate::files::ROW_BYTES_MAX;
use crate::source::rows::push_text;

/// Values within each other, at most: a type may contain itself.
const DEPTH_MAX: usize = 64;
/// Values of a row, at most, those within others counted: what takes no bytes could be there without end.
const ITEMS_MAX: u64 = 1_000_000;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on behind what there is.
    Cut,
    /// It is none.
    Bad(&'static str),
}

/// Bytes that are read from their beginning.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'b>(pub(super) &'b [u8]);

impl<'b> Cursor<'b> {
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'b [u8], Stop> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Stop::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of variable length, its sign in the lowest bit.
    pub(super) fn long(&mut self) -> Result<i64, Stop> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(Stop::Bad("a number is too long"))
    }

    pub(super) fn size(&mut self) -> Result<usize, Stop> {
        usize::try_from(self.long()?).map_err(|_| Stop::Bad("a size is negative"))
    }

    /// A text, or bytes, behind their size.
    pub(super) fn sized(&mut self) -> Result<&'b [u8], Stop> {
        let size = self.size()?;
        self.take(size)
    }
}

/// Reads the values of a block.
pub(super) struct Decoder<'s, 'b> {
    pub(super) schema: &'s Schema,
    pub(super) cursor: Cursor<'b>,
    /// Why the last value is not what was written.
    pub(super) unreadable: Option<String>,
    items: u64,
}

impl<'s, 'b> Decoder<'s, 'b> {
    pub(super) fn new(schema: &'s Schema, bytes: &'b [u8]) -> Self {
        Self {
            schema,
            cursor: Cursor(bytes),
            unreadable: None,
            items: 0,
        }
    }

    /// Writes the next value, as JSON.
    pub(super) fn value(&mut self, of: TypeId, json: &mut Vec<u8>) -> Result<(), Stop> {
        self.nested(of, json, 0)
    }

    fn nested(&mut self, of: TypeId, json: &mut Vec<u8>, depth: usize) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Bad("a value is nested too deep"));
        }
        self.count_one()?;
        match self.schema.of(of) {
            Type::Null => json.extend_from_slice(b"null"),
            Type::Boolean => json.extend_from_slice(match self.cursor.take(1)?[0] {
                0 => b"false".as_slice(),
                1 => b"true",
                _ => return Err(Stop::Bad("a truth value is none")),
            }),
            Type::Integer => json.extend_from_slice(self.cursor.long()?.to_string().as_bytes()),
            Type::Float => number(json, f32::from_le_bytes(self.array()?).to_string().parse().ok()),
            Type::Double => number(json, Some(f64::from_le_bytes(self.array()?))),
            Type::Bytes => bytes(json, self.cursor.sized()?),
            Type::Fixed(size) => bytes(json, self.cursor.take(*size)?),
            Type::Text => {
                let text = self.cursor.sized()?;
                if std::str::from_utf8(text).is_err() {
                    self.is_unreadable("it is not UTF-8".to_owned());
                }
                push_text(json, &String::from_utf8_lossy(text));
            }
            Type::Enum(symbols) => {
                let symbol = symbols.get(self.cursor.size()?);
                push_text(json, symbol.ok_or(Stop::Bad("a symbol is none of its type"))?);
            }
            Type::Union(options) => {
                let option = options.get(self.cursor.size()?);
                self.nested(
                    *option.ok_or(Stop::Bad("a value is of none of its types"))?,
                    json,
                    depth + 1,
                )?;
            }
            Type::List(of) => {
                json.push(b'[');
                self.items(json, |decoder, json| decoder.nested(*of, json, depth + 1))?;
                json.push(b']');
            }
            Type::Map(of) => {
                json.push(b'{');
                self.items(json, |decoder, json| {
                    push_text(json, &String::from_utf8_lossy(decoder.cursor.sized()?));
                    json.push(b':');
                    decoder.nested(*of, json, depth + 1)
                })?;
                json.push(b'}');
            }
            Type::Record(fields) => {
                for (place, field) in fields.iter().enumerate() {
                    json.push(if place == 0 { b'{' } else { b',' });
                    push_text(json, &field.name);
                    json.push(b':');
                    self.nested(field.of, json, depth + 1)?;
                }
                json.extend_from_slice(if fields.is_empty() { b"{}".as_slice() } else { b"}" });
            }
            Type::Named => return Err(Stop::Bad("a value is of a type without end")),
        }
        if json.len() > ROW_BYTES_MAX {
            self.is_unreadable(format!("the record is larger than {ROW_BYTES_MAX} bytes"));
            // The rest of it is read, to find its end.
            json.clear();
        }
        Ok(())
    }

    fn is_unreadable(&mut self, problem: String) {
        self.unreadable.get_or_insert(problem);
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.cursor.take(N)?.try_into().map_err(|_| Stop::Cut)
    }

    fn count_one(&mut self) -> Result<(), Stop> {
        self.items += 1;
        (self.items <= ITEMS_MAX)
            .then_some(())
            .ok_or(Stop::Bad("a row has too many items"))
    }

    /// Writes items in blocks, each behind their number; below zero it has the block's size behind it. The last has none.
    fn items(
        &mut self,
        json: &mut Vec<u8>,
        mut item: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut is_first = true;
        loop {
            let mut count = self.cursor.long()?;
            if count < 0 {
                count = count.saturating_neg();
                self.cursor.long()?;
            }
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    json.push(b',');
                }
                item(self, json)?;
            }
        }
    }
}

/// What is no number for JSON has no value.
fn number(json: &mut Vec<u8>, number: Option<f64>) {
    match number.and_then(Number::from_f64) {
        Some(number) => json.extend_from_slice(number.to_string().as_bytes()),
        None => json.extend_from_slice(b"null"),
    }
}

/// Each byte is a character, as the specification has it.
fn bytes(json: &mut Vec<u8>, bytes: &[u8]) {
    push_text(json, &bytes.iter().copied().map(char::from).collect::<String>());
}
