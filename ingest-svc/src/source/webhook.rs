//! The endpoints of the Collect API: `/c/{account}/{stream}`, which Braze's webhooks post to, and `/collect/…`.
//!
//! Braze drops a message for good after any 4xx except 408 and 429, and retries after 408, 429 and 5xx. So a request that is
//! itself in order is answered 200, 429 or 503 and nothing else, and 200 only after Kafka has acknowledged all of it.

mod admission;
mod authorize;
mod callback;
mod chunks;
mod endpoint;
mod envelope;
mod inflate;
mod parameters;
mod receive;
mod refused;
mod routes;
mod stream;
mod take;
mod tally;
mod throttle;
mod traced;
mod uploads;
mod work;

use std::str::Utf8Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use control::Directory;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::Role;
use runtime::http1::Peer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub(crate) use self::admission::Admission;
use self::endpoint::Endpoint;
pub(crate) use self::envelope::{RETRY_AFTER, THROTTLED_RETRY_AFTER};
use self::envelope::{failure, success};
use self::parameters::Parameters;
use self::refused::{Refusals, Refused};
use self::routes::Names;
pub(crate) use self::routes::Routes;
use self::take::Request;
pub(crate) use self::throttle::{Permit, Throttle, Throttled};
use self::traced::Traced;
use crate::config;
use crate::imports::callback::Callbacks;
use crate::mappings::Mappings;
use crate::metrics;
use crate::publish::Publish;
use crate::uploads::Uploads;

/// Who may send data.
pub(crate) const SENDERS: [Role; 3] = [Role::Admin, Role::DataManager, Role::DataWrite];

/// The endpoints. They answer 503 until [`Webhook::open`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhook {
    parts: Arc<OnceLock<Parts>>,
    /// Who takes Braze's calls that an export is ready; nobody without keys.
    callbacks: Arc<OnceLock<Callbacks>>,
    admission: Admission,
    /// Uploads in bulk have a bound of their own: they never take a webhook's slot, nor the other way round.
    bulk: Admission,
    /// The same for uploads of files, each of which holds a part.
    files: Admission,
    throttle: Throttle,
    traced: Arc<Traced>,
    limits: Arc<Limits>,
    refusals: Arc<Refusals>,
    /// Bodies that are read away behind an answer, each of which holds a connection, and pieces of files, of which there are so many:
    /// both go on when their connection ends.
    behind: TaskTracker,
    drain: CancellationToken,
}

struct Parts {
    directory: Directory,
    mappings: Mappings,
    publish: Publish,
    /// The same for uploads in bulk.
    publish_bulk: Publish,
    /// Where uploaded files are kept; `None` if nowhere.
    uploads: Option<Uploads>,
}

struct Limits {
    body_bytes_max: usize,
    records_max: usize,
    body_timeout: Duration,
    /// For the request as a whole: its body, and what becomes of it.
    timeout: Duration,
}

impl Webhook {
    /// `uploads_max` is how many files may be uploaded at once, `ack_timeout` what publishing may take on top of the body. Uploads end
    /// with `drain`.
    pub(crate) fn new(
        config: &config::Http,
        uploads_max: usize,
        ack_timeout: Duration,
        drain: CancellationToken,
    ) -> Self {
        let admission = Admission::new(config.requests_max, config.held_bytes_max);
        Self {
            parts: Arc::default(),
            callbacks: Arc::default(),
            bulk: admission.beside(config.bulk_max),
            files: admission.beside(uploads_max),
            admission,
            throttle: Throttle::new(config.token_requests_per_second, config.token_requests_max),
            traced: Arc::new(Traced::new(config.traces_per_second)),
            limits: Arc::new(Limits {
                body_bytes_max: config.body_bytes_max,
                records_max: config.records_max,
                body_timeout: config.body_timeout,
                timeout: config.body_timeout + ack_timeout,
            }),
            refusals: Arc::new(Refusals::new()),
            behind: TaskTracker::new(),
            drain,
        }
    }

    /// The bound of bytes held, to be shared with other ways in.
    pub(crate) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// The limits of each token, to be shared with other ways in.
    pub(crate) fn throttle(&self) -> Throttle {
        self.throttle.clone()
    }

    /// The control table and the producers, that of uploads in bulk last, are there: requests are taken from now on.
    pub(crate) fn open(
        &self,
        directory: Directory,
        mappings: Mappings,
        publish: Publish,
        publish_bulk: Publish,
        uploads: Option<Uploads>,
    ) {
        // A second call would change nothing; there is none.
        let parts = Parts {
            directory,
            mappings,
            publish,
            publish_bulk,
            uploads,
        };
        let _already_open = self.parts.set(parts).is_err();
    }

    /// Braze's calls that an export is ready are taken, too, as soon as all else is. To be said before [`Webhook::open`].
    pub(crate) fn take_callbacks(&self, callbacks: Callbacks) {
        // As there, a second call would change nothing.
        let _already_taken = self.callbacks.set(callbacks).is_err();
    }

    /// Reports how full the bounds are; about once a second.
    pub(crate) fn report(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
        for (name, value) in [
            (metrics::REQUESTS_IN_PROGRESS, self.admission.requests()),
            (metrics::BULK_IN_PROGRESS, self.bulk.requests()),
            (metrics::UPLOADS_IN_PROGRESS, self.files.requests()),
            (metrics::HELD_BYTES, self.admission.bytes()),
            (metrics::TOKENS_IN_USE, self.throttle.sweep()),
        ] {
            ::metrics::gauge!(name).set(value as f64);
        }
    }

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
            self.behind.spawn(discard);
        }
        self.counted(failure(refused.status, &refused.message))
    }
}

fn nothing_here(webhook: &Webhook, headers: &HeaderMap, body: Body) -> Response {
    let [collector, json, bulk] = Endpoint::ALL.map(Endpoint::route);
    let refused = Refused {
        status: StatusCode::NOT_FOUND,
        reason: "path",
        message: format!("nothing here; records go to {collector}, {json} or {bulk}"),
    };
    webhook.refuse(("", ""), &refused, headers, body)
}

async fn answer(
    endpoint: Endpoint,
    webhook: &Webhook,
    names: Result<Names<'_>, Utf8Error>,
    request: &http::request::Parts,
    mut body: Body,
) -> Response {
    let started = Instant::now();
    let (method, headers) = (&request.method, &request.headers);
    if !endpoint.takes(method) {
        let refused = Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            reason: "method",
            message: format!("this method is not for records; send them by {}", endpoint.methods()),
        };
        let mut response = webhook.refuse(("", ""), &refused, headers, body);
        let allow = HeaderValue::from_static(endpoint.methods());
        response.headers_mut().insert(header::ALLOW, allow);
        return response;
    }
    let span = webhook.traced.span(endpoint, method, headers);
    let response = match names {
        Ok(Names { account, stream }) => {
            let parameters = Parameters::read(&request.uri, headers);
            let account = account.as_deref().or(parameters.account_id.as_deref());
            let request = Request {
                endpoint,
                method,
                account,
                stream: &stream,
                parameters: &parameters,
                headers,
                peer: request.extensions.get::<Peer>().map(|Peer(peer)| peer.ip()),
                deadline: started + webhook.limits.timeout,
            };
            let taken = webhook.take(request, &mut body).instrument(span.clone()).await;
            match taken {
                Ok(summary) => webhook.counted(success(summary)),
                Err(refused) => webhook.refuse((account.unwrap_or_default(), &stream), &refused, headers, body),
            }
        }
        Err(_) => {
            let refused = Refused::path("the path is not UTF-8".to_owned());
            webhook.refuse(("", ""), &refused, headers, body)
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
