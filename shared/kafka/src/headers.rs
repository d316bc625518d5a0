//! Header names, and W3C trace context in headers.

use std::borrow::Cow;

use bytes::Bytes;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

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
/// Value of [`CONTENT_TYPE`] for bytes of which nobody has said what they are.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The headers of a record that carries a proto message: content type, message type and, if there is a span in `context`,
/// its `traceparent`.
pub fn standard(message_type: &'static str, context: &Context) -> Vec<(Cow<'static, str>, Bytes)> {
    let mut headers = vec![
        (CONTENT_TYPE.into(), Bytes::from_static(PROTOBUF.as_bytes())),
        (MESSAGE_TYPE.into(), Bytes::from_static(message_type.as_bytes())),
    ];
    inject(context, &mut headers);
    headers
}

/// Adds `traceparent` of the span in `context`, if there is one.
pub fn inject(context: &Context, headers: &mut Vec<(Cow<'static, str>, Bytes)>) {
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        let value = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), flags.to_u8());
        headers.push((TRACEPARENT.into(), value.into()));
    }
}

/// The remote span that a `traceparent` value names; an empty context if there is none or it is not well-formed.
pub fn extract(traceparent: Option<&[u8]>) -> Context {
    match traceparent.and_then(parse) {
        Some(span) => Context::new().with_remote_span_context(span),
        None => Context::new(),
    }
}

/// `version-trace_id-parent_id-flags` in lower-case hex; later versions may have more after the flags.
fn parse(value: &[u8]) -> Option<SpanContext> {
    let mut parts = std::str::from_utf8(value).ok()?.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span_id = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    span.is_valid().then_some(span)
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let well_formed = text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_survives_the_way_through_headers() {
        let context = extract(Some(VALUE.as_bytes()));
        assert!(context.span().span_context().is_remote());
        let headers = standard("lytics.profile.v1.ProfileEvent", &context);
        assert_eq!(
            headers,
            [
                (Cow::from(CONTENT_TYPE), Bytes::from(PROTOBUF)),
                (Cow::from(MESSAGE_TYPE), Bytes::from("lytics.profile.v1.ProfileEvent")),
                (Cow::from(TRACEPARENT), Bytes::from(VALUE)),
            ]
        );
    }

    #[test]
    fn without_a_span_there_is_no_traceparent() {
        assert_eq!(standard("m", &Context::new()).len(), 2);
    }

    #[test]
    fn what_is_not_well_formed_names_no_span() {
        for value in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(
                !extract(Some(value.as_bytes())).span().span_context().is_valid(),
                "{value}"
            );
        }
        assert!(!extract(None).span().span_context().is_valid());
        assert!(!extract(Some(b"\xff")).span().span_context().is_valid());
    }

    #[test]
    fn a_later_version_may_say_more() {
        let value = VALUE.replacen("00", "01", 1) + "-more";
        assert!(extract(Some(value.as_bytes())).span().span_context().is_valid());
    }
}
