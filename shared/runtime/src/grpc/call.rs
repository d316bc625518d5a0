//! What every call passes on its way in: its span, its deadline, its count.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use super::deadline;
use crate::trace;

/// Calls answered, by service, method and status code.
pub(super) const CALLS_TOTAL: &str = "grpc_server_calls_total";
/// How long calls took, from their headers to their last byte.
pub(super) const CALL_SECONDS: &str = "grpc_server_call_seconds";

/// Label for what the server does not have, so that callers cannot invent labels.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone)]
pub(super) struct CallLayer {
    services: Arc<HashSet<&'static str>>,
    deadline_max: Duration,
    calls: TaskTracker,
}

impl CallLayer {
    /// `calls` is told of every call, from its headers to its last byte.
    pub(super) fn new(services: &[&'static str], deadline_max: Duration, calls: TaskTracker) -> Self {
        metrics::describe_counter!(CALLS_TOTAL, "gRPC calls answered, by service, method and status code");
        metrics::describe_histogram!(CALL_SECONDS, metrics::Unit::Seconds, "Duration of gRPC calls");
        Self {
            services: Arc::new(services.iter().copied().collect()),
            deadline_max,
            calls,
        }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct CallService<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call::begin(&self.layer, &request);
        let span = call.span.clone();
        let limit = deadline::of(request.headers()).map_or(self.layer.deadline_max, |d| d.min(self.layer.deadline_max));
        let answer = span.in_scope(|| self.inner.call(request));
        let timed = async move {
            let response = match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
                Ok(Ok(answer)) => answer?,
                // Left alone it would take the connection's other calls with it. The panic hook has printed it.
                Ok(Err(_panic)) => Status::internal("the server panicked in this call").into_http(),
                Err(_elapsed) => Status::deadline_exceeded(format!("not answered within {limit:?}")).into_http(),
            };
            Ok(call.watch(response))
        };
        Box::pin(timed.instrument(span))
    }
}

/// One call, counted when it ends, however it ends.
struct Call {
    span: Span,
    service: String,
    method: String,
    began: Instant,
    code: Option<Code>,
    _in_flight: TaskTrackerToken,
}

impl Call {
    fn begin(layer: &CallLayer, request: &Request<Body>) -> Self {
        let path = request.uri().path().trim_start_matches('/');
        let (service, method) = match path.split_once('/') {
            Some((service, method)) if layer.services.contains(service) => (service, method),
            _ => (UNKNOWN, UNKNOWN),
        };
        let span = tracing::info_span!(
            "grpc",
            otel.name = %format_args!("{service}/{method}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
        );
        trace::set_parent(&span, trace::from_headers(request.headers()));
        Self {
            span,
            service: service.to_owned(),
            method: method.to_owned(),
            began: Instant::now(),
            code: None,
            _in_flight: layer.calls.token(),
        }
    }

    /// The status is in the headers when there is nothing else to say, else in the trailers.
    fn watch(mut self, response: Response<Body>) -> Response<Body> {
        self.note(response.headers());
        let (parts, body) = response.into_parts();
        let watched = body.map_frame(move |frame| {
            if let Some(trailers) = frame.trailers_ref() {
                self.note(trailers);
            }
            frame
        });
        Response::from_parts(parts, Body::new(watched))
    }

    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = Some(status.code());
            if matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss) {
                self.span.record("otel.status_code", "ERROR");
                let (service, method) = (&self.service, &self.method);
                tracing::error!(parent: &self.span, error = status.message(), "{service}/{method} failed");
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // No status was sent: the caller went away first.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.span.record("rpc.grpc.status_code", code as i32);
        // A method that does not exist is spelled by the caller, too.
        let method = if code == Code::Unimplemented {
            UNKNOWN
        } else {
            &self.method
        };
        let labels = [("service", self.service.clone()), ("method", method.to_owned())];
        metrics::histogram!(CALL_SECONDS, &labels).record(self.began.elapsed());
        let [service, method] = labels;
        metrics::counter!(CALLS_TOTAL, &[service, method, ("code", format!("{code:?}"))]).increment(1);
    }
}

#[cfg(test)]
mod tests;
