//! One call to Braze.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Body, Certificate, RequestBuilder, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use crate::gate::Gate;
use crate::rate;
use crate::redact::redact;
use crate::response::Answer;
use crate::{End, Error, RateHints, Refusal, Track, Verdict};

/// Braze requires partners to name themselves in this form.
const USER_AGENT: &str = concat!("partner-Lytics-AudienceExport/", env!("CARGO_PKG_VERSION"));
/// A connection that was idle this long is not used again: it may be dead, and a call on a dead one ends unknown.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Bytes of an answer that we read; 75 errors are far below.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How a [`Client`] is built.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Replaces every instance's endpoint; for tests and local runs only. No proxy is used then.
    pub endpoint_override: Option<Url>,
    /// Certificate authorities in PEM that are trusted besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Limit of one call, from the wish for a connection to the last byte of the answer.
    pub timeout: Duration,
    /// Limit of establishing a connection; part of `timeout`.
    pub connect_timeout: Duration,
    /// How long the kernel keeps sending bytes that nobody acknowledges.
    pub tcp_user_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            endpoint_override: None,
            ca: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            tcp_user_timeout: Duration::from_secs(5),
        }
    }
}

/// A pool of connections to Braze; cheap to clone. It never repeats a call and follows no redirect.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint_override: Option<Url>,
}

/// An answer as it came; without a body if that did not arrive whole.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) rate: RateHints,
    pub(crate) body: Option<Vec<u8>>,
}

/// No answer came.
pub(crate) struct Unanswered {
    pub(crate) why: NoAnswer,
    /// For operators, without our key.
    pub(crate) message: String,
}

/// How far a call came that has no answer.
pub(crate) enum NoAnswer {
    /// The key is no HTTP header.
    NoKey,
    /// Its body never left this process.
    NotSent,
    /// Braze may have got it.
    Lost,
}

/// One finished call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub end: End,
    /// The HTTP status of the answer; `None` without one.
    pub status: Option<u16>,
    /// What the answer's headers say about the rate limit; empty without an answer.
    pub rate: RateHints,
}

impl Client {
    /// Sets up the pool; opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Setup`] if the HTTP stack cannot be set up, or `ca` is no PEM.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .tcp_user_timeout(options.tcp_user_timeout)
            // One request per connection at a time, whatever else in the program has HTTP/2 compiled in: a connection that
            // breaks leaves one call unknown, and `Gate` knows of each whether it left.
            .http1_only()
            .pool_idle_timeout(IDLE_MAX)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        if options.endpoint_override.is_some() {
            builder = builder.no_proxy();
        }
        if let Some(ca) = &options.ca {
            let ca = Certificate::from_pem_bundle(ca).map_err(Error::Setup)?;
            builder = builder.tls_certs_merge(ca);
        }
        let http = builder.build().map_err(Error::Setup)?;
        Ok(Self {
            http,
            endpoint_override: options.endpoint_override,
        })
    }

    /// What time it is at the instance at `base`, to the second: any answer has a `Date`. No key is sent.
    ///
    /// # Errors
    /// Why there is no time, for operators.
    pub async fn server_time(&self, base: &Url) -> Result<Timestamp, String> {
        let url = self.endpoint_override.as_ref().unwrap_or(base).clone();
        let response = self.http.get(url).send().await.map_err(chain)?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        date.and_then(rate::http_date)
            .ok_or_else(|| "the answer has no Date".to_owned())
    }

    /// Calls `POST /users/track` of the instance at `base` (see [`endpoint`](crate::endpoint)) once. Whoever drops the
    /// future before it is done must treat the call as [`End::Unknown`].
    pub async fn track(&self, base: &Url, key: &SecretString, track: &Track) -> Attempt {
        self.track_while(base, key, track, || true).await
    }

    /// As [`Client::track`], but refused as [`Refusal::NotSent`] if `may_send` says no when the connection takes the body: the
    /// last moment at which the caller's right to call can be looked at.
    pub async fn track_while(
        &self,
        base: &Url,
        key: &SecretString,
        track: &Track,
        may_send: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Attempt {
        let (counts, objects) = (track.counts(), track.objects());
        let url = self.url(base, "/users/track");
        let body = Some((track.body().clone(), may_send));
        match self.call(self.http.post(url), key, body).await {
            Ok(Answered { status, rate, body }) => {
                let code = status.as_u16();
                let end = Answer {
                    status,
                    rate,
                    body: body.as_deref(),
                    counts,
                    key,
                }
                .end();
                Attempt {
                    end,
                    status: Some(code),
                    rate,
                }
            }
            Err(Unanswered { why, message }) => unanswered(match why {
                NoAnswer::NoKey => refused(Refusal::Unauthorized { status: None }, objects, message),
                NoAnswer::NotSent => refused(Refusal::NotSent, objects, message),
                NoAnswer::Lost => End::Unknown { status: None, message },
            }),
        }
    }

    /// Calls `POST path` once, or `GET path` without a body.
    pub(crate) async fn ask(
        &self,
        base: &Url,
        key: &SecretString,
        path: &str,
        body: Option<String>,
    ) -> Result<Answered, Unanswered> {
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.url(base, path);
        url.set_query(query);
        let request = if body.is_some() {
            self.http.post(url)
        } else {
            self.http.get(url)
        };
        let body = body.map(|body| (Bytes::from(body), || true));
        self.call(request, key, body).await
    }

    async fn call(
        &self,
        mut request: RequestBuilder,
        key: &SecretString,
        body: Option<(Bytes, impl Fn() -> bool + Send + Sync + 'static)>,
    ) -> Result<Answered, Unanswered> {
        let authorization = bearer(key).ok_or_else(|| Unanswered {
            why: NoAnswer::NoKey,
            message: "the key is no HTTP header".to_owned(),
        })?;
        let gate = Gate::default();
        let has_body = body.is_some();
        if let Some((bytes, may_send)) = body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(Body::wrap(gate.body(bytes, may_send)));
        }
        match request.header(AUTHORIZATION, authorization).send().await {
            Ok(response) => {
                let (status, headers, body) = receive(response).await;
                let rate = RateHints::read(&headers, Timestamp::now());
                Ok(Answered { status, rate, body })
            }
            Err(error) => Err(Unanswered {
                // Without a body there is nothing to know it by.
                why: if gate.close() && has_body {
                    NoAnswer::NotSent
                } else {
                    NoAnswer::Lost
                },
                message: redact(&chain(error), key),
            }),
        }
    }

    fn url(&self, base: &Url, path: &str) -> Url {
        let mut url = self.endpoint_override.as_ref().unwrap_or(base).clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        url
    }
}

fn bearer(key: &SecretString) -> Option<HeaderValue> {
    let key = key.expose_secret();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The whole answer; without a body if it broke off, took too long, or is longer than any answer of Braze's.
async fn receive(mut response: reqwest::Response) -> (StatusCode, HeaderMap, Option<Vec<u8>>) {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(None) => return (status, headers, Some(body)),
            Ok(Some(_)) | Err(_) => return (status, headers, None),
        }
    }
}

fn refused(refusal: Refusal, objects: usize, message: String) -> End {
    End::Refused {
        refusal,
        verdicts: vec![Verdict::Retry { message: None }; objects],
        split: false,
        message,
    }
}

fn unanswered(end: End) -> Attempt {
    Attempt {
        end,
        status: None,
        rate: RateHints::default(),
    }
}

/// The error and all its causes in one line; the address is known from the instance.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        write!(text, ": {error}").expect("a String takes every text");
        cause = error.source();
    }
    text
}
