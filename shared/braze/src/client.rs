//! One call to Braze, and how it ended.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::{Error, RateHints, Track, Verdict};

/// How a [`Client`] is built.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Replaces every instance's endpoint; for tests and local runs only. No proxy is used then.
    pub endpoint_override: Option<Url>,
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
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            tcp_user_timeout: Duration::from_secs(5),
        }
    }
}

/// A pool of connections to Braze; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {}

/// One finished call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub end: End,
    /// What the answer's headers say about the rate limit; empty without an answer.
    pub rate: RateHints,
}

/// How a call ended. `verdicts` has one entry per object of the request, in order. `split` means that Braze refused
/// something without saying which object: send the retried objects again in smaller requests, down to one, where the refusal
/// names its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Braze has queued the request; single objects may still be refused.
    Accepted { verdicts: Vec<Verdict>, split: bool },
    /// Nothing of it was or will be applied.
    Refused {
        refusal: Refusal,
        verdicts: Vec<Verdict>,
        split: bool,
        /** For operators; Braze's words without our key. */
        message: String,
    },
    /// It may still be applied, now or later: timeout, connection lost after the body was handed to it, 5xx, unreadable 2xx.
    Unknown {
        /** 5xx */
        status: Option<u16>,
        message: String,
    },
}

/// Why nothing of a request was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The body never left this process: no connection, or no name resolved.
    NotSent,
    /// 401, 403, or a key that cannot be sent: the authorization is broken. Stop until it is changed.
    Unauthorized { status: Option<u16> },
    /// 429. Freeze the budget for `retry_after`, else back off (from 1 s, doubled, full jitter, at most 60 s).
    RateLimited { retry_after: Option<Duration> },
    /// 413, or a 400 that says so.
    TooLarge,
    /// 400 "Max Input Length Exceeded": use fewer objects per request from now on.
    TooManyObjects,
    /// 400 in which every object is refused, by name in `verdicts`.
    Objects,
    /// 400 about the request as a whole.
    Malformed,
    /// Anything else, such as 404 (wrong address), 415 or a redirect. Stop.
    Other { status: u16 },
}

impl Client {
    /// # Errors
    /// [`Error::Setup`] if the HTTP stack cannot be set up.
    pub fn new(_options: ClientOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Calls `POST /users/track` once, without retries. Dropping the future leaves the call *unknown*.
    pub async fn track(&self, _base: &Url, _key: &SecretString, _track: &Track) -> Attempt {
        unimplemented!()
    }
}
