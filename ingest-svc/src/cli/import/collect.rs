//! The Collect API, as its clients call it.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::Import;
use super::batch::{Batch, Body};
use super::progress::Progress;

/// How long the service may take for a request: twice what it waits for Kafka.
const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a request is sent again if the answer does not say, doubled each time, and at most.
const WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often in a row a request is sent again: some ten minutes.
const TRIES_MAX: u32 = 17;

/// A client of the service.
pub(super) struct Collect {
    http: Client,
    /// Up to the endpoint.
    base: Url,
    stream: String,
    token: Option<HeaderValue>,
}

/// An answer.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    message: String,
    data: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    message_count: u64,
    rejected_count: u64,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    reason: String,
}

impl Collect {
    pub(super) fn new(import: &Import, token: Option<SecretString>) -> anyhow::Result<Self> {
        let mut base = import.url.clone();
        {
            let mut query = base.query_pairs_mut();
            query.append_pair("account_id", &import.account.to_string());
            if import.dry_run {
                query.append_pair("dryrun", "true");
            }
            if let Some(field) = &import.timestamp_field {
                query.append_pair("timestamp_field", field);
            }
        }
        let mut http = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            // A proxy of the environment would get the token, and could not reach this machine.
            http = http.no_proxy();
        }
        let http = http.build()?;
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            http,
            base,
            stream: import.stream.clone(),
            token: token
                .transpose()
                .context("the token is none: it has a line break in it")?,
        })
    }

    /// Sends what is in the batch, if there is something; then `next` is the row behind it.
    pub(super) async fn post(&self, batch: &mut Batch, progress: &Progress, next: &Cell<u64>) -> anyhow::Result<()> {
        let Some(behind) = batch.next() else { return Ok(()) };
        if let Some(body) = batch.take(progress) {
            let summary = self.send(&body, progress).await?;
            for Rejected { index, reason } in summary.rejected {
                let row = body.rows.get(index).copied().unwrap_or_default();
                progress.reject(row, &reason);
            }
            progress.took(summary.message_count, summary.rejected_count);
        }
        next.set(behind);
        Ok(())
    }

    /// Sends a request until it is answered for good.
    async fn send(&self, body: &Body, progress: &Progress) -> anyhow::Result<Summary> {
        let mut url = self.base.clone();
        let mut path = url
            .path_segments_mut()
            .map_err(|()| anyhow!("{} is no address", self.base))?;
        path.pop_if_empty().extend(["collect", body.endpoint, &self.stream]);
        drop(path);
        let (mut tries, mut pause) = (0, WAIT);
        loop {
            let mut request = self.http.post(url.clone()).body(body.bytes.clone());
            if let Some(token) = &self.token {
                request = request.header(AUTHORIZATION, token);
            }
            let (problem, wait) = match request.send().await {
                Ok(response) if is_for_now(response.status()) => {
                    let wait = retry_after(&response).unwrap_or(pause).min(WAIT_MAX);
                    (refusal(response).await, wait)
                }
                Ok(response) if response.status().is_success() => match response.bytes().await {
                    Ok(answer) => return summary(&answer),
                    Err(error) => {
                        let error = anyhow::Error::new(error.without_url());
                        (error.context("the answer breaks off"), pause)
                    }
                },
                Ok(response) => return Err(refusal(response).await),
                Err(error) => {
                    let error = anyhow::Error::new(error.without_url());
                    let error = error.context("is the service running? --url names its HTTP address");
                    if !progress.has_begun() {
                        return Err(error);
                    }
                    (error, pause)
                }
            };
            tries += 1;
            if tries > TRIES_MAX {
                bail!(problem.context("it has been tried for too long"));
            }
            progress.waits(&problem);
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(WAIT_MAX);
        }
    }
}

fn summary(answer: &[u8]) -> anyhow::Result<Summary> {
    let answer: Envelope = serde_json::from_slice(answer).context("the answer is none of ingest-svc")?;
    answer.data.context("the answer has no counts")
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the same request may be taken later: too many, too slow, or the service cannot store it now.
fn is_for_now(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    match response.json::<Envelope>().await {
        Ok(answer) => anyhow!("{}: {}", status.as_u16(), answer.message),
        Err(_) => anyhow!("{status}"),
    }
}
