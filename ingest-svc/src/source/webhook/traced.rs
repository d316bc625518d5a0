//! Which requests have a span: those that bring a trace with them, and of the others so many a second. A span costs more than
//! mapping and publishing a record do, and nobody looks at ten thousand traces of one second.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, Method};
use tracing::Span;

use super::endpoint::Endpoint;

/// The header that names a sender's trace.
const TRACEPARENT: &str = "traceparent";

/// How many traces may begin here.
pub(super) struct Traced(Option<DefaultDirectRateLimiter>);

impl Traced {
    /// At most `per_second`; after a pause as many may begin at once.
    pub(super) fn new(per_second: u32) -> Self {
        Self(NonZeroU32::new(per_second).map(|per_second| RateLimiter::direct(Quota::per_second(per_second))))
    }

    /// The span of a request; disabled if it is to have none.
    pub(super) fn span(&self, endpoint: Endpoint, method: &Method, headers: &HeaderMap) -> Span {
        let begins = || self.0.as_ref().is_some_and(|limit| limit.check().is_ok());
        if !headers.contains_key(TRACEPARENT) && !begins() {
            return Span::none();
        }
        let span = tracing::info_span!(
            "collect",
            otel.name = format!("{method} {}", endpoint.route()),
            otel.kind = "server",
            http.request.method = method.as_str(),
            http.route = endpoint.route(),
            http.response.status_code = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            account = tracing::field::Empty,
        );
        runtime::trace::set_parent(&span, runtime::trace::from_headers(headers));
        span
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    fn recorded(traced: &Traced, headers: &HeaderMap, requests: usize) -> usize {
        let spans = (0..requests).map(|_| traced.span(Endpoint::Collector, &Method::POST, headers));
        spans.filter(|span| !span.is_none()).count()
    }

    #[test]
    fn so_many_traces_begin_and_a_senders_own_always_goes_on() {
        let mut sampled = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        sampled.insert(TRACEPARENT, parent.parse().unwrap());
        tracing::subscriber::with_default(Registry::default(), || {
            // An hour long is the time in which the second of these would be let in.
            let traced = Traced(Some(RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN))));
            assert_eq!(recorded(&traced, &sampled, 100), 100);
            assert_eq!(recorded(&traced, &HeaderMap::new(), 100), 1);
            let none = Traced::new(0);
            assert_eq!(recorded(&none, &HeaderMap::new(), 100), 0);
            assert_eq!(recorded(&none, &sampled, 100), 100);
        });
    }
}
