//! The Collect API, as its clients call it.

use std::cell::Cell;

use anyhow::{Context, anyhow};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::Import;
use super::batch::{Batch, Body};
use super::progress::Progress;
use super::service::{Waits, authorization, client, is_for_now, refusal, retry_after};

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
    pub(super) fn new(url: &Url, import: &Import, token: Option<SecretString>) -> anyhow::Result<Self> {
        let mut base = url.clone();
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
        Ok(Self {
            http: client(&base)?,
            base,
            stream: import.stream.clone(),
            token: authorization(token)?,
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
        let mut waits = Waits::default();
        loop {
            let mut request = self.http.post(url.clone()).body(body.bytes.clone());
            if let Some(token) = &self.token {
                request = request.header(AUTHORIZATION, token);
            }
            let (problem, after) = match request.send().await {
                Ok(response) if is_for_now(response.status()) => {
                    let after = retry_after(&response);
                    (refusal(response).await, after)
                }
                Ok(response) if response.status().is_success() => match response.bytes().await {
                    Ok(answer) => return summary(&answer),
                    Err(error) => {
                        let error = anyhow::Error::new(error.without_url());
                        (error.context("the answer breaks off"), None)
                    }
                },
                Ok(response) => return Err(refusal(response).await),
                Err(error) => {
                    let error = anyhow::Error::new(error.without_url());
                    let error = error.context("is the service running? --url names its HTTP address");
                    if !progress.has_begun() {
                        return Err(error);
                    }
                    (error, None)
                }
            };
            progress.waits(&problem);
            let wait = waits.next(problem, after)?;
            tokio::time::sleep(wait).await;
        }
    }
}

fn summary(answer: &[u8]) -> anyhow::Result<Summary> {
    let answer: Envelope = serde_json::from_slice(answer).context("the answer is none of ingest-svc")?;
    answer.data.context("the answer has no counts")
}
