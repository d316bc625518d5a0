//! An event as the bytes of its message, without building that. The numbers are those of `profile_event.proto`.

use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint, message, uint64};

use super::super::kind::proto_timestamp;
use super::{Event, Field, Typed};

impl Event<'_> {
    /// What prost makes of [`message`](Event::message).
    pub(in super::super) fn encode(&self, bytes_expected: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes_expected);
        text(1, self.id.as_str(), &mut out);
        if self.account != 0 {
            uint64::encode(2, &self.account, &mut out);
        }
        text(3, self.stream, &mut out);
        if let Some(moment) = self.event_time {
            message::encode(4, &proto_timestamp(moment), &mut out);
        }
        message::encode(5, &proto_timestamp(self.receive_time), &mut out);
        text(6, self.mapping.alias(), &mut out);
        if self.mapping.version() != 0 {
            uint64::encode(7, &self.mapping.version(), &mut out);
        }
        for identity in &self.identities {
            begin(8, text_len(identity.field) + text_len(identity.value), &mut out);
            text(1, identity.field, &mut out);
            text(2, identity.value, &mut out);
        }
        for field in self.fields {
            encode_field(field, &mut out);
        }
        if let Some(activity) = &self.activity {
            message::encode(11, activity, &mut out);
        }
        out
    }
}

fn encode_field(field: &Field<'_>, out: &mut Vec<u8>) {
    let Field { column, value } = field;
    let value_bytes = match value {
        // One of the kinds is there even if it is empty.
        Typed::Text(text) => delimited_len(text.len()),
        Typed::Other(value) => value.encoded_len(),
    };
    let merge_operator = i32::from(column.merge_operator).unsigned_abs().into();
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
    if merge_operator != 0 {
        key_and_varint(3 << 3, merge_operator, out);
    }
}

/// A text; nothing if it is empty.
fn text(number: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        delimited(number, text, out);
    }
}

fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { delimited_len(text.len()) }
}

fn delimited(number: u8, text: &str, out: &mut Vec<u8>) {
    begin(number, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes of a field that holds so many.
fn delimited_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

/// What stands before a text or a message of so many bytes.
fn begin(number: u8, bytes: usize, out: &mut Vec<u8>) {
    const LENGTH_DELIMITED: u8 = 2;
    key_and_varint(number << 3 | LENGTH_DELIMITED, bytes as u64, out);
}

fn key_and_varint(key: u8, number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(byte @ ..0x80) => out.extend_from_slice(&[key, byte]),
        _ => {
            out.push(key);
            encode_varint(number, out);
        }
    }
}
