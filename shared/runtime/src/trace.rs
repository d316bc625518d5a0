//! W3C trace context between HTTP headers, gRPC metadata and spans.
//!
//! Reading and writing work in every process; that a span takes part in a trace needs [`crate::telemetry::init`],
//! with or without a collector to send spans to.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// The context of the current span. Asking for it starts the span: its parent is fixed from then on.
pub fn current() -> Context {
    Span::current().context()
}

/// The same; outside of any span that of a trace of its own which nobody records, so that what is written on all the same can be
/// told apart by it.
pub fn current_or_new() -> Context {
    if !Span::current().is_none() {
        return current();
    }
    let ids = RandomIdGenerator::default();
    let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
    let unsampled = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
    Context::new().with_remote_span_context(unsampled)
}

/// The context that a caller sent in HTTP headers; without a trace if it sent none or a broken one.
pub fn from_headers(headers: &HeaderMap) -> Context {
    W3C.extract_with_context(&Context::new(), &Carrier(headers))
}

/// Writes `traceparent` (and `tracestate`) into HTTP headers; nothing if `context` has no trace.
pub fn inject_headers(context: &Context, headers: &mut HeaderMap) {
    W3C.inject_context(context, &mut CarrierMut(headers));
}

/// The context that a caller sent in gRPC metadata; without a trace if it sent none or a broken one.
pub fn from_metadata(metadata: &MetadataMap) -> Context {
    from_headers(metadata.as_ref())
}

/// Writes `traceparent` (and `tracestate`) into gRPC metadata; nothing if `context` has no trace.
pub fn inject_metadata(context: &Context, metadata: &mut MetadataMap) {
    inject_headers(context, metadata.as_mut());
}

/// Makes `parent` the parent of `span`, which must not have been entered yet. Nothing happens if `parent` holds no
/// trace: the span then keeps the parent it was made with.
pub fn set_parent(span: &Span, parent: Context) {
    if !parent.span().span_context().is_valid() {
        return;
    }
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!(%error, "the span is not recorded");
    }
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct CarrierMut<'a>(&'a mut HeaderMap);

impl Injector for CarrierMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // Tracestate is empty in most traces, and an empty header is noise.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_survives_headers_and_metadata() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(PARENT));
        headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
        let mut metadata = MetadataMap::new();
        inject_metadata(&from_headers(&headers), &mut metadata);
        let mut again = HeaderMap::new();
        inject_headers(&from_metadata(&metadata), &mut again);
        assert_eq!(again, headers);
    }

    #[test]
    fn no_trace_and_a_broken_trace_write_nothing() {
        let mut headers = HeaderMap::new();
        inject_headers(&from_headers(&headers), &mut headers);
        assert!(headers.is_empty());
        headers.insert("traceparent", HeaderValue::from_static("nonsense"));
        assert!(!from_headers(&headers).span().span_context().is_valid());
    }
}
