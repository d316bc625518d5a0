//! `POST /c/{account}/{stream}`: the endpoint that Braze's webhooks post to.
//!
//! Braze drops a message for good after any 4xx except 408 and 429, and retries after 408, 429 and 5xx. So a request that is
//! itself in order is answered 200 or 503 and nothing else, and 200 only after Kafka has acknowledged all of it.

mod admission;
mod authorize;
mod envelope;
mod parameters;
mod receive;
mod refused;
mod work;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use control::Directory;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use model::{AccountNumber, Role};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

pub(crate) use self::admission::Admission;
use self::admission::Admitted;
pub(crate) use self::envelope::RETRY_AFTER;
use self::envelope::{REJECTED_LISTED_MAX, Rejected, Summary, failure, success};
use self::parameters::Parameters;
use self::refused::{Refusals, Refused, busy};
use self::work::Work;
use crate::config;
use crate::metrics;
use crate::publish::Publish;
use crate::source::{Origin, STREAM_BYTES_MAX, Source};

/// Who may send data.
pub(crate) const SENDERS: [Role; 3] = [Role::Admin, Role::DataManager, Role::DataWrite];

/// Where records go.
const ROUTE: &str = "/c/{account}/{stream}";

/// The endpoint. Answers 503 until [`Webhook::open`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhook {
    parts: Arc<OnceLock<Parts>>,
    admission: Admission,
    limits: Arc<Limits>,
    refusals: Arc<Refusals>,
    /// Bodies that are read away behind an answer; each holds a connection, so those are their bound.
    discarded: TaskTracker,
}

struct Parts {
    directory: Directory,
    publish: Publish,
}

struct Limits {
    body_bytes_max: usize,
    records_max: usize,
    body_timeout: Duration,
    /// For the request as a whole: its body, and what becomes of it.
    timeout: Duration,
}

impl Webhook {
    /// `ack_timeout` is what publishing may take on top of the body.
    pub(crate) fn new(config: &config::Http, ack_timeout: Duration) -> Self {
        Self {
            parts: Arc::default(),
            admission: Admission::new(config.requests_max, config.held_bytes_max),
            limits: Arc::new(Limits {
                body_bytes_max: config.body_bytes_max,
                records_max: config.records_max,
                body_timeout: config.body_timeout,
                timeout: config.body_timeout + ack_timeout,
            }),
            refusals: Arc::new(Refusals::new()),
            discarded: TaskTracker::new(),
        }
    }

    /// The bound of bytes held, to be shared with other ways in.
    pub(crate) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// The control table and the producer are there: requests are taken from now on.
    pub(crate) fn open(&self, directory: Directory, publish: Publish) {
        // A second call would change nothing; there is none.
        let _already_open = self.parts.set(Parts { directory, publish }).is_err();
    }

    pub(crate) fn router(self) -> Router {
        let records = || post(answer).fallback(not_a_post);
        Router::new()
            .route(ROUTE, records())
            .route("/c/{account}/{stream}/", records())
            .fallback(nothing_here)
            .with_state(self)
    }

    /// Reports how full the bounds are; about once a second.
    pub(crate) fn report(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
        for (name, value) in [
            (metrics::REQUESTS_IN_PROGRESS, self.admission.requests()),
            (metrics::HELD_BYTES, self.admission.bytes()),
        ] {
            ::metrics::gauge!(name).set(value as f64);
        }
    }
}

async fn not_a_post(State(webhook): State<Webhook>, request: axum::extract::Request) -> Response {
    let refused = Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        reason: "method",
        message: "POST is expected here".to_owned(),
    };
    let (http::request::Parts { headers, .. }, body) = request.into_parts();
    webhook.refuse(("", ""), &refused, &headers, body)
}

async fn nothing_here(State(webhook): State<Webhook>, request: axum::extract::Request) -> Response {
    let refused = Refused {
        status: StatusCode::NOT_FOUND,
        reason: "path",
        message: format!("nothing here; records go to {ROUTE}"),
    };
    let (http::request::Parts { headers, .. }, body) = request.into_parts();
    webhook.refuse(("", ""), &refused, &headers, body)
}

async fn answer(
    State(webhook): State<Webhook>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let started = Instant::now();
    let (http::request::Parts { uri, headers, .. }, mut body) = request.into_parts();
    let span = tracing::info_span!(
        "POST /c/{account}/{stream}",
        otel.kind = "server",
        http.request.method = "POST",
        http.route = ROUTE,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        account = tracing::field::Empty,
    );
    runtime::trace::set_parent(&span, runtime::trace::from_headers(&headers));
    let request = Request {
        parameters: Parameters::read(&uri, &headers),
        headers: &headers,
        deadline: started + webhook.limits.timeout,
    };
    let response = match path {
        Ok(Path((account, stream))) => {
            let take = webhook.take(&account, &stream, request, &mut body);
            match take.instrument(span.clone()).await {
                Ok(summary) => webhook.counted(success(summary)),
                Err(refused) => webhook.refuse((&account, &stream), &refused, &headers, body),
            }
        }
        Err(_) => {
            let refused = Refused::path("the path is not UTF-8".to_owned());
            webhook.refuse(("", ""), &refused, &headers, body)
        }
    };
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    ::metrics::histogram!(metrics::REQUEST_SECONDS).record(started.elapsed());
    response
}

struct Request<'a> {
    parameters: Parameters,
    headers: &'a HeaderMap,
    deadline: Instant,
}

impl Webhook {
    /// The answer, counted.
    fn counted(&self, response: Response) -> Response {
        let status = response.status().as_str().to_owned();
        ::metrics::counter!(metrics::REQUESTS, "status" => status).increment(1);
        response
    }

    /// The answer to a refused request, whose body is read away behind it. Unless the sender asked first whether to go on
    /// (`Expect: 100-continue`): then it is not writing, and reading would tell it to begin. Or was too late already.
    fn refuse(&self, path: (&str, &str), refused: &Refused, headers: &HeaderMap, body: Body) -> Response {
        self.refusals.note(path, refused);
        let expects = headers.contains_key(header::EXPECT);
        if !expects && !body.is_end_stream() && refused.status != StatusCode::REQUEST_TIMEOUT {
            let limits = &*self.limits;
            let discard = receive::discard(body, limits.body_bytes_max, limits.body_timeout);
            self.discarded.spawn(discard);
        }
        self.counted(failure(refused.status, &refused.message))
    }

    async fn take(
        &self,
        account: &str,
        stream: &str,
        request: Request<'_>,
        body: &mut Body,
    ) -> Result<Summary, Refused> {
        let (received, limits) = (Timestamp::now(), &*self.limits);
        if stream.len() > STREAM_BYTES_MAX {
            let message = format!("the stream's name is longer than {STREAM_BYTES_MAX} bytes");
            return Err(Refused::path(message));
        }
        let (parts, account, mut admitted) = self.admit(account, &request)?;
        let body = receive::body(body, &mut admitted, limits.body_bytes_max, limits.body_timeout).await?;
        Span::current().record("account", account.get());
        let origin = Origin {
            account,
            stream: stream.to_owned(),
            source: Source::Webhook,
            content_type: content_type(request.headers),
            timestamp_field: Some(request.parameters.timestamp_field.clone()).filter(|field| !field.is_empty()),
        };
        let Request {
            parameters, deadline, ..
        } = request;
        let work = Work {
            publish: &parts.publish,
            origin: &origin,
            received,
            deadline,
            dryrun: parameters.dryrun,
        };
        let (message_count, refusals) = work.body(&body, limits.records_max).await?;
        let rejected_count = refusals.len();
        let listed = refusals.into_iter().take(REJECTED_LISTED_MAX);
        Ok(Summary {
            message_count,
            rejected_count,
            content_type: "application/json",
            droperrors: parameters.droperrors,
            dryrun: parameters.dryrun,
            timestamp_field: parameters.timestamp_field,
            filename: parameters.filename,
            rejected: listed
                .map(|(index, refusal)| Rejected {
                    index,
                    reason: refusal.to_string(),
                })
                .collect(),
        })
    }

    /// Everything that can be said before the body is read.
    fn admit(&self, account: &str, request: &Request<'_>) -> Result<(&Parts, AccountNumber, Admitted), Refused> {
        let Some(mut admitted) = self.admission.enter() else {
            return Err(busy("requests"));
        };
        let parts = self.parts.get();
        let parts = parts.ok_or_else(|| Refused::unavailable("starting", "starting"))?;
        let account = parts.authorize(account, &request.parameters)?;
        let declared = request.headers.get(header::CONTENT_LENGTH);
        let declared = declared
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
            .unwrap_or(0);
        let max = self.limits.body_bytes_max;
        match usize::try_from(declared).ok().filter(|declared| *declared <= max) {
            None => Err(receive::too_large(max)),
            Some(declared) if !admitted.reserve(declared) => Err(busy("held_bytes")),
            Some(_) => Ok((parts, account, admitted)),
        }
    }
}

/// What the sender says the body is.
fn content_type(headers: &HeaderMap) -> Option<Bytes> {
    let value = headers.get(header::CONTENT_TYPE)?;
    Some(Bytes::copy_from_slice(value.as_bytes()))
}
