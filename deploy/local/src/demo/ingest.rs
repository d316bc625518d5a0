//! The demo's way in: webhooks are posted as Braze posts them, then the topics are read.

use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kafka::{Polled, Position, Reader, ReaderOptions, Topics};
use proto::apitoken::v1::api_token_service_client::ApiTokenServiceClient;
use proto::apitoken::v1::{ApiToken, CreateApiTokenRequest, Role};

use super::bar;
use crate::stack::{ACCOUNT, Stack};
use crate::webhooks::{Event, Webhook};

/// Webhooks in flight at once: Braze sends one request per user, as fast as it goes.
const IN_FLIGHT: usize = 32;
/// How long one webhook may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the topics hold.
pub(super) struct Published {
    pub(super) events: Vec<Event>,
    /// Bodies as received.
    pub(super) rejected: Vec<Vec<u8>>,
}

/// Posts all webhooks with a token made for it; gives those that were answered otherwise than expected.
pub(super) async fn post(stack: &Stack, webhooks: &[Webhook], swap_names: bool) -> anyhow::Result<Vec<String>> {
    let token = create_token(stack).await?;
    let url = format!("http://{}/c/{ACCOUNT}/braze_users?key={token}", stack.ports.ingest_http);
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let bar = bar("posting webhooks", webhooks.len())?;
    let swapped = webhooks
        .iter()
        .position(|webhook| webhook.body.contains("last_name"))
        .filter(|_| swap_names);
    let calls = webhooks.iter().enumerate().map(|(number, webhook)| {
        let (client, url, bar) = (&client, &url, &bar);
        async move {
            let body = if Some(number) == swapped {
                swap(&webhook.body)
            } else {
                webhook.body.clone()
            };
            let answer = client
                .post(url)
                .body(body)
                .send()
                .await
                .map_err(reqwest::Error::without_url)?;
            bar.inc(1);
            let status = answer.status().as_u16();
            let other = (status != webhook.status).then(|| format!("{}: answered {status}", webhook.case));
            anyhow::Ok(other)
        }
    });
    let unexpected: Vec<_> = stream::iter(calls).buffer_unordered(IN_FLIGHT).try_collect().await?;
    bar.finish();
    Ok(unexpected.into_iter().flatten().collect())
}

fn swap(body: &str) -> String {
    body.replace("first_name", "\u{0}")
        .replace("last_name", "first_name")
        .replace('\u{0}', "last_name")
}

async fn create_token(stack: &Stack) -> anyhow::Result<String> {
    let token = ApiToken {
        label: "Braze webhook".to_owned(),
        roles: vec![Role::DataManager.into()],
        ..Default::default()
    };
    let request = CreateApiTokenRequest {
        parent: format!("accounts/{ACCOUNT}"),
        api_token: Some(token),
    };
    let answer = ApiTokenServiceClient::new(stack.ingest().await?)
        .create_api_token(request)
        .await?;
    Ok(answer.into_inner().token)
}

/// Everything on the two topics of ingest-svc.
pub(super) fn read_back(stack: &Stack) -> anyhow::Result<Published> {
    let kafka = stack.kafka();
    let topics = Topics::new(&kafka);
    let events = read_all(&kafka, &topics.profile_events())?;
    let rejected = read_all(&kafka, &topics.profile_events_rejected())?;
    Ok(Published {
        events: events
            .iter()
            .map(|(key, value)| Event::read(key, value))
            .collect::<Result<_, _>>()?,
        rejected: rejected.into_iter().map(|(_, value)| value).collect(),
    })
}

/// Key and value of every record of the topic.
fn read_all(kafka: &kafka::Config, topic: &str) -> anyhow::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut reader = Reader::open(kafka, ReaderOptions::default())?;
    let partitions = reader.partitions(topic)?;
    let from_beginning: Vec<_> = partitions
        .iter()
        .map(|partition| (*partition, Position::Beginning))
        .collect();
    reader.assign(topic, &from_beginning)?;
    let mut ends = 0;
    let mut records = Vec::new();
    while ends < partitions.len() {
        match reader.poll(TIMEOUT).context("Kafka brings nothing more")?? {
            Polled::Record(record) => records.push((
                record.key().unwrap_or_default().to_vec(),
                record.payload().unwrap_or_default().to_vec(),
            )),
            Polled::Eof { .. } => ends += 1,
        }
    }
    Ok(records)
}
