//! One call to Braze.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Body, Certificate, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use crate::gate::Gate;
use crate::rate;
use crate::redact::redact;
use crate::response::Answer;
use crate::{End, Error, LookupError, RateHints, Refusal, Track, Verdict};

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
        let Some(authorization) = bearer(key) else {
            let refusal = Refusal::Unauthorized { status: None };
            return unanswered(refused(refusal, objects, "the key is no HTTP header".to_owned()));
        };
        let url = self.url(base, "/users/track");
        let gate = Gate::default();
        let request = self
            .http
            .post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Body::wrap(gate.body(track.body().clone(), may_send)));
        match request.send().await {
            Ok(response) => {
                let (status, headers, body) = receive(response).await;
                let rate = RateHints::read(&headers, Timestamp::now());
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
            Err(error) => {
                let message = redact(&chain(error), key);
                unanswered(if gate.close() {
                    refused(Refusal::NotSent, objects, message)
                } else {
                    End::Unknown { status: None, message }
                })
            }
        }
    }

    /// Calls `POST path` once, with a question that changes nothing: status and, if it arrived whole, the body of the answer.
    pub(crate) async fn post(
        &self,
        base: &Url,
        key: &SecretString,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Option<Vec<u8>>), LookupError> {
        let failed = |message: String| LookupError { status: None, message };
        let authorization = bearer(key).ok_or_else(|| failed("the key is no HTTP header".to_owned()))?;
        let request = self
            .http
            .post(self.url(base, path))
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let response = request
            .send()
            .await
            .map_err(|error| failed(redact(&chain(error), key)))?;
        let (status, _, body) = receive(response).await;
        Ok((status, body))
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
