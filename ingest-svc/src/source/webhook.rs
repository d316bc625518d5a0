//! `POST /c/{account}/{stream}`: the endpoint that Braze's webhooks post to.
//!
//! Braze drops a message for good after any 4xx except 408 and 429, and retries after 408, 429 and 5xx. So a request that is
//! itself in order is answered 200 or 503 and nothing else, and 200 only after Kafka has acknowledged all of it.

mod admission;
mod envelope;
mod listener;
mod parameters;
mod receive;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use control::{AuthError, Directory};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use model::{AccountNumber, AccountRef, Role};
use secrecy::ExposeSecret;
use tracing::{Instrument, Span};

use self::admission::{Admission, Admitted};
pub(crate) use self::envelope::RETRY_AFTER;
use self::envelope::{REJECTED_LISTED_MAX, Rejected, Summary, failure, success};
pub(crate) use self::listener::Listener;
use self::parameters::Parameters;
use crate::config;
use crate::metrics;
use crate::publish::{self, Outcome, Publish, Refusal};
use crate::source::{Origin, Source, body};

/// Who may send data.
pub(crate) const SENDERS: [Role; 3] = [Role::Admin, Role::DataManager, Role::DataWrite];

/// Records published before the next of the same body are looked at: with the bytes, what one request takes of the producer's queue.
const WINDOW_RECORDS: usize = 1_000;
const WINDOW_BYTES: usize = 4 << 20;

/// The endpoint. Answers 503 until [`Webhook::open`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhook {
    parts: Arc<OnceLock<Parts>>,
    admission: Admission,
    limits: Arc<Limits>,
}

struct Parts {
    directory: Directory,
    publish: Publish,
}

struct Limits {
    body_bytes_max: usize,
    records_max: usize,
    body_timeout: Duration,
}

/// An answer other than 200, with what the sender reads.
type Refused = (StatusCode, String);

impl Webhook {
    pub(crate) fn new(config: &config::Http) -> Self {
        Self {
            parts: Arc::default(),
            admission: Admission::new(config.requests_max, config.held_bytes_max),
            limits: Arc::new(Limits {
                body_bytes_max: config.body_bytes_max,
                records_max: config.records_max,
                body_timeout: config.body_timeout,
            }),
        }
    }

    /// The control table and the producer are there: requests are taken from now on.
    pub(crate) fn open(&self, directory: Directory, publish: Publish) {
        // A second call would change nothing; there is none.
        let _already_open = self.parts.set(Parts { directory, publish }).is_err();
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route(
                "/c/{account}/{stream}",
                post(answer).fallback(async || failure(StatusCode::METHOD_NOT_ALLOWED, "POST is expected here")),
            )
            .fallback(async || {
                failure(
                    StatusCode::NOT_FOUND,
                    "nothing here; records go to /c/{account}/{stream}",
                )
            })
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

async fn answer(
    State(webhook): State<Webhook>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let started = tokio::time::Instant::now();
    let (http::request::Parts { uri, headers, .. }, body) = request.into_parts();
    let span = tracing::info_span!(
        "POST /c/{account}/{stream}",
        otel.kind = "server",
        http.request.method = "POST",
        http.route = "/c/{account}/{stream}",
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        account = tracing::field::Empty,
    );
    runtime::trace::set_parent(&span, runtime::trace::from_headers(&headers));
    let parameters = Parameters::read(&uri, &headers);
    let request = Request { parameters, headers };
    let outcome = match path {
        Ok(Path((account, stream))) => {
            webhook
                .take(&account, stream, request, body)
                .instrument(span.clone())
                .await
        }
        Err(_) => Err((StatusCode::BAD_REQUEST, "the path is not UTF-8".to_owned())),
    };
    let response = match outcome {
        Ok(summary) => success(summary),
        Err((status, message)) => failure(status, &message),
    };
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    ::metrics::counter!(metrics::REQUESTS, "status" => status.as_str().to_owned()).increment(1);
    ::metrics::histogram!(metrics::REQUEST_SECONDS).record(started.elapsed());
    response
}

struct Request {
    parameters: Parameters,
    headers: HeaderMap,
}

impl Webhook {
    async fn take(&self, account: &str, stream: String, request: Request, body: Body) -> Result<Summary, Refused> {
        let (received, limits) = (Timestamp::now(), &*self.limits);
        let mut body = body;
        let read = async {
            let (parts, account, mut admitted) = self.admit(account, &request)?;
            let bytes = receive::body(&mut body, &mut admitted, limits.body_bytes_max, limits.body_timeout).await?;
            Ok((parts, account, admitted, bytes))
        };
        let (parts, account, _admitted, body) = match read.await {
            Ok(read) => read,
            Err(refused @ (StatusCode::REQUEST_TIMEOUT, _)) => return Err(refused),
            Err(refused) => {
                // A sender that is still writing would otherwise see a reset connection instead of the answer.
                receive::discard(&mut body, &request.headers, limits.body_bytes_max, limits.body_timeout).await;
                return Err(refused);
            }
        };
        Span::current().record("account", account.get());
        let origin = Origin {
            account,
            stream,
            source: Source::Webhook,
        };
        let Request { parameters, .. } = request;
        let work = Work {
            parts,
            origin: &origin,
            received,
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
    fn admit(&self, account: &str, request: &Request) -> Result<(&Parts, AccountNumber, Admitted), Refused> {
        let Some(mut admitted) = self.admission.enter() else {
            return Err(busy("requests"));
        };
        let parts = self.parts.get().ok_or_else(|| unavailable("starting"))?;
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

impl Parts {
    /// The account, if the token may send data to it. Nothing that was not read from a fresh table is a reason to refuse for good.
    fn authorize(&self, account: &str, parameters: &Parameters) -> Result<AccountNumber, Refused> {
        if !self.directory.is_fresh() {
            return Err(unavailable("tokens cannot be checked now; send it again later"));
        }
        let token = parameters.token.as_ref().map_or("", |token| token.expose_secret());
        let caller = self
            .directory
            .authenticate(token, Timestamp::now())
            .map_err(|error| match error {
                AuthError::Unavailable => unavailable(&error.to_string()),
                AuthError::Missing | AuthError::Unknown | AuthError::Expired => {
                    (StatusCode::UNAUTHORIZED, format!("Not authorized: {error}"))
                }
            })?;
        let unknown = || (StatusCode::NOT_FOUND, format!("account {account:?} does not exist"));
        let named: AccountRef = account.parse().map_err(|_| unknown())?;
        let number = match self.directory.account(named) {
            Ok(account) => account.number,
            Err(control::Error::NotFound(_)) => return Err(unknown()),
            Err(error) => return Err(unavailable(&error.to_string())),
        };
        let allowed = caller.require(number, &SENDERS);
        allowed.map_err(|error| (StatusCode::FORBIDDEN, format!("Not permitted: {error}")))?;
        Ok(number)
    }
}

/// One body on its way to Kafka.
struct Work<'a> {
    parts: &'a Parts,
    origin: &'a Origin,
    received: Timestamp,
    dryrun: bool,
}

impl Work<'_> {
    /// How many events were published, and which records were refused, by position.
    async fn body(&self, body: &Bytes, records_max: usize) -> Result<(usize, Vec<(usize, Refusal)>), Refused> {
        let records = match body::records(body, records_max) {
            Ok(records) => records,
            Err(error @ body::BodyError::TooMany { .. }) => {
                ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "records").increment(1);
                return Err((StatusCode::PAYLOAD_TOO_LARGE, error.to_string()));
            }
            Err(error) => {
                let refusal = Refusal::Body(error.to_string());
                if !self.dryrun {
                    let keep = self
                        .parts
                        .publish
                        .refused_body(self.origin, body.clone(), refusal, self.received);
                    keep.await.map_err(unacknowledged)?;
                }
                return Err((StatusCode::BAD_REQUEST, error.to_string()));
            }
        };
        let records: Vec<Bytes> = records
            .into_iter()
            .map(|record| body.slice_ref(record.get().as_bytes()))
            .collect();
        let (mut published, mut refusals) = (0, Vec::new());
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (window, later) = rest.split_at(window(rest));
            let first = records.len() - rest.len();
            for (index, outcome) in (first..).zip(self.window(window).await?) {
                match outcome {
                    Outcome::Published { .. } => published += 1,
                    Outcome::Rejected(refusal) => refusals.push((index, refusal)),
                }
            }
            rest = later;
        }
        Ok((published, refusals))
    }

    async fn window(&self, records: &[Bytes]) -> Result<Vec<Outcome>, Refused> {
        if self.dryrun {
            let outcomes = records
                .iter()
                .map(|record| match publish::event(self.origin, record, self.received) {
                    Ok(normalized) => Outcome::Published {
                        event_id: normalized.event.event_id,
                    },
                    Err(refusal) => Outcome::Rejected(refusal),
                });
            return Ok(outcomes.collect());
        }
        let write = self.parts.publish.records(self.origin, records.to_vec(), self.received);
        write.await.map_err(unacknowledged)
    }
}

/// How many of the next records are published together: at least one.
fn window(records: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(WINDOW_RECORDS).take_while(|record| {
        bytes += record.len();
        bytes <= WINDOW_BYTES
    });
    fits.count().max(1)
}

fn unacknowledged(_: kafka::Error) -> Refused {
    unavailable("not stored; send it again later")
}

fn busy(bound: &'static str) -> Refused {
    ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => bound).increment(1);
    unavailable("too much at once; send it again later")
}

fn unavailable(message: &str) -> Refused {
    (StatusCode::SERVICE_UNAVAILABLE, message.to_owned())
}
