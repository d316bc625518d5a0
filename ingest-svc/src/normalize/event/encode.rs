//! An event as the bytes of its message, without building that. The numbers are those of `profile_event.proto`.

use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use proto::profile::v1::MergeOperator;

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
        for identity in self.identities {
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

/// What stands around the values of a column, made once.
#[derive(Clone, Debug)]
pub(in super::super) struct Frame {
    name: Vec<u8>,
    /// What stands before a short text: three lengths of one byte, left open, and the name between the first two.
    head: Vec<u8>,
    /// The merge operator, if there is one; its number is below 128.
    tail: Option<[u8; 2]>,
}

impl Frame {
    /// Of a column's field.
    pub(in super::super) fn new(name: &str, merge_operator: MergeOperator) -> Self {
        let mut named = Vec::new();
        text(1, name, &mut named);
        let merge_operator = u8::try_from(i32::from(merge_operator)).unwrap_or_default();
        Self {
            head: [
                &[9 << 3 | DELIMITED, 0],
                &*named,
                &[2 << 3 | DELIMITED, 0, 1 << 3 | DELIMITED, 0],
            ]
            .concat(),
            name: named,
            tail: (merge_operator != 0).then_some([3 << 3, merge_operator]),
        }
    }

    fn tail(&self) -> &[u8] {
        self.tail.as_ref().map_or(&[], |tail| tail)
    }
}

fn encode_field(field: &Field<'_>, out: &mut Vec<u8>) {
    let Field { column, value } = field;
    let frame = &column.frame;
    if let Typed::Text(text) = value
        && encode_short(frame, text, out)
    {
        return;
    }
    let value_bytes = match value {
        // One of the kinds is there even if it is empty.
        Typed::Text(text) => delimited_len(text.len()),
        Typed::Other(value) => value.encoded_len(),
    };
    begin(
        9,
        frame.name.len() + delimited_len(value_bytes) + frame.tail().len(),
        out,
    );
    out.extend_from_slice(&frame.name);
    begin(2, value_bytes, out);
    match value {
        Typed::Text(text) => delimited(1, text, out),
        Typed::Other(value) => value.encode_raw(out),
    }
    out.extend_from_slice(frame.tail());
}

/// The same for what most fields are: a text so short that each length is one byte. Whether it is that.
fn encode_short(frame: &Frame, value: &str, out: &mut Vec<u8>) -> bool {
    let all = frame.head.len() - 2 + value.len() + frame.tail().len();
    let (Ok(all @ ..0x80), Ok(bytes)) = (u8::try_from(all), u8::try_from(value.len())) else {
        return false;
    };
    let begin = out.len();
    out.extend_from_slice(&frame.head);
    let end = out.len();
    (out[begin + 1], out[end - 3], out[end - 1]) = (all, 2 + bytes, bytes);
    out.extend_from_slice(value.as_bytes());
    if let Some(tail) = &frame.tail {
        out.extend_from_slice(tail);
    }
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
