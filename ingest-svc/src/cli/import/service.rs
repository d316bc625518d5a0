//! What the commands that speak HTTP with the service have in common.

use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

/// How long the service may take for a request: twice what it waits for Kafka.
const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a request is sent again if the answer does not say, doubled each time, and at most.
const WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often in a row a request is sent again: some ten minutes.
const TRIES_MAX: u32 = 17;

/// A client for the service at that address.
pub(super) fn client(address: &Url) -> anyhow::Result<Client> {
    let mut http = Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(address) {
        // A proxy of the environment would get the token, and could not reach this machine.
        http = http.no_proxy();
    }
    Ok(http.build()?)
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The header that has the token.
pub(super) fn authorization(token: Option<SecretString>) -> anyhow::Result<Option<HeaderValue>> {
    let header = token.map(|token| {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
        value.set_sensitive(true);
        anyhow::Ok(value)
    });
    header
        .transpose()
        .context("the token is none: it has a line break in it")
}

/// Waits between tries of one thing.
pub(super) struct Waits {
    tries: u32,
    pause: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { tries: 0, pause: WAIT }
    }
}

impl Waits {
    /// How long to wait now: as the answer says, else longer each time.
    ///
    /// # Errors
    /// The problem, when it has been tried for too long.
    pub(super) fn next(&mut self, problem: anyhow::Error, after: Option<Duration>) -> anyhow::Result<Duration> {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return Err(problem.context("it has been tried for too long"));
        }
        let wait = after.unwrap_or(self.pause).min(WAIT_MAX);
        self.pause = (self.pause * 2).min(WAIT_MAX);
        Ok(wait)
    }
}

/// Whether the same request may be taken later: too many, too slow, or the service cannot store it now.
pub(super) fn is_for_now(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Why a request was refused, in the service's words.
pub(super) async fn refusal(response: Response) -> anyhow::Error {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let status = response.status();
    match response.json::<Refusal>().await {
        Ok(refusal) => anyhow!("{}: {}", status.as_u16(), refusal.message),
        Err(_) => anyhow!("{status}"),
    }
}
