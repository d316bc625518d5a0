//! Header names, and W3C trace context in headers.

use std::borrow::Cow;

use bytes::Bytes;
use opentelemetry::Context;

/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// What the value is encoded as.
pub const CONTENT_TYPE: &str = "content-type";
/// Full proto name of the value's message.
pub const MESSAGE_TYPE: &str = "message-type";
/// Which mutation of a [`Table`](crate::Table) wrote the record.
pub const MUTATION_ID: &str = "mutation-id";
/// Value of [`CONTENT_TYPE`] for every contract of ours.
pub const PROTOBUF: &str = "application/protobuf";

/// The headers of a record that carries a proto message: content type, message type and, when `context` is traced, its
/// `traceparent`.
pub fn standard(message_type: &'static str, context: &Context) -> Vec<(Cow<'static, str>, Bytes)> {
    let _ = (message_type, context);
    unimplemented!()
}

/// Adds `traceparent` of the span in `context`, if there is one.
pub fn inject(context: &Context, headers: &mut Vec<(Cow<'static, str>, Bytes)>) {
    let _ = (context, headers);
    unimplemented!()
}

/// The remote span that a `traceparent` value names; an empty context if it names none.
pub fn extract(traceparent: Option<&[u8]>) -> Context {
    let _ = traceparent;
    unimplemented!()
}
