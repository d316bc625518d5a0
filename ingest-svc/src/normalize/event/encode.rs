//! An event as the bytes of its message, without building that. The numbers are those of `profile_event.proto`.

use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::super::kind::proto_timestamp;
use super::{Event, Field, Typed};

/// What most events have room in.
const MOST_BYTES: usize = 1024;
/// What a text or a message has behind its number.
const DELIMITED: u8 = 2;

impl Event<'_> {
    /// What prost makes of [`message`](Event::message).
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MOST_BYTES);
        begin(1, self.id.digits().len(), &mut out);
        out.extend_from_slice(self.id.digits());
        number(2, self.account, &mut out);
        text(3, self.stream, &mut out);
        if let Some(moment) = self.event_time {
            message(4, &proto_timestamp(moment), &mut out);
        }
        message(5, &proto_timestamp(self.receive_time), &mut out);
        text(6, self.mapping.alias(), &mut out);
        number(7, self.mapping.version(), &mut out);
        for identity in &self.identities {
            begin(8, text_len(identity.field) + text_len(identity.value), &mut out);
            text(1, identity.field, &mut out);
            text(2, identity.value, &mut out);
        }
        for field in self.fields {
            encode_field(field, &mut out);
        }
        if let Some(activity) = &self.activity {
            message(11, &**activity, &mut out);
        }
        out
    }
}

fn encode_field(field: &Field<'_>, out: &mut Vec<u8>) {
    let Field { column, value } = field;
    let merge_operator = i32::from(column.merge_operator).unsigned_abs().into();
    if let Typed::Text(text) = value
        && encode_short(&column.field, text, merge_operator, out)
    {
        return;
    }
    let value_bytes = match value {
        // One of the kinds is there even if it is empty.
        Typed::Text(text) => delimited_len(text.len()),
        Typed::Other(value) => value.encoded_len(),
    };
    let merge_bytes = if merge_operator == 0 {
        0
    } else {
        1 + encoded_len_varint(merge_operator)
    };
    begin(
        9,
        text_len(&column.field) + delimited_len(value_bytes) + merge_bytes,
        out,
    );
    text(1, &column.field, out);
    begin(2, value_bytes, out);
    match value {
        Typed::Text(text) => delimited(1, text, out),
        Typed::Other(value) => value.encode_raw(out),
    }
    number(3, merge_operator, out);
}

/// The same for what most fields are: a text so short that each length and number is one byte. Whether it is that.
fn encode_short(name: &str, value: &str, merge_operator: u64, out: &mut Vec<u8>) -> bool {
    let all = 8 + name.len() + value.len();
    let Ok(all @ 9..0x80) = u8::try_from(all) else {
        return false;
    };
    let Ok(name_bytes @ 1..) = u8::try_from(name.len()) else {
        return false;
    };
    let Ok(merge_operator @ 1..0x80) = u8::try_from(merge_operator) else {
        return false;
    };
    let value_bytes = all - 8 - name_bytes;
    out.extend_from_slice(&[9 << 3 | DELIMITED, all, 1 << 3 | DELIMITED, name_bytes]);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&[2 << 3 | DELIMITED, 2 + value_bytes, 1 << 3 | DELIMITED, value_bytes]);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(&[3 << 3, merge_operator]);
    true
}

fn message(number: u8, message: &impl Message, out: &mut Vec<u8>) {
    begin(number, message.encoded_len(), out);
    message.encode_raw(out);
}

/// A number; nothing if it is 0.
fn number(number: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        key_and_varint(number << 3, value, out);
    }
}

/// A text; nothing if it is empty.
#[inline(always)]
fn text(number: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        delimited(number, text, out);
    }
}

#[inline(always)]
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { delimited_len(text.len()) }
}

#[inline(always)]
fn delimited(number: u8, text: &str, out: &mut Vec<u8>) {
    begin(number, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes of a field that holds so many.
#[inline(always)]
fn delimited_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

/// What stands before a text or a message of so many bytes.
#[inline(always)]
fn begin(number: u8, bytes: usize, out: &mut Vec<u8>) {
    key_and_varint(number << 3 | DELIMITED, bytes as u64, out);
}

#[inline(always)]
fn key_and_varint(key: u8, number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(byte @ ..0x80) => out.extend_from_slice(&[key, byte]),
        _ => {
            out.push(key);
            encode_varint(number, out);
        }
    }
}
