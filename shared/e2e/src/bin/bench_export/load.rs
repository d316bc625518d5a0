//! Records for the membership topic.

use std::time::Duration;

use anyhow::Context as _;
use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use prost::Message;
use proto::membership::v1::{MembershipAction, MembershipChange};

use crate::world::ACCOUNT;

/// Records handed to Kafka at once.
const CHUNK: usize = 20_000;

/// Publishes membership changes.
pub(crate) struct Load {
    topic: String,
    publisher: Publisher,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) audience: String,
    pub(crate) user: u64,
    pub(crate) enter: bool,
}

impl Load {
    /// # Errors
    /// When librdkafka does not take the configuration.
    pub(crate) fn new(kafka: &kafka::Config) -> anyhow::Result<Self> {
        let options = PublisherOptions {
            ack_timeout: Duration::from_secs(60),
            ..PublisherOptions::default()
        };
        Ok(Self {
            topic: Topics::new(kafka).audience_membership(ACCOUNT),
            publisher: Publisher::new(kafka, options)?,
        })
    }

    /// Publishes changes until Kafka has acknowledged each.
    ///
    /// # Errors
    /// When it refuses one.
    pub(crate) async fn publish(&self, changes: impl IntoIterator<Item = Change>) -> anyhow::Result<()> {
        let mut records = changes.into_iter().map(|change| self.record(&change));
        loop {
            let chunk: Vec<_> = records.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            for result in self.publisher.publish_all(chunk).await {
                result.context("Kafka does not take a record")?;
            }
        }
    }

    /// The first changes of users: from the first number to the last one.
    ///
    /// # Errors
    /// As [`Load::publish`].
    pub(crate) async fn enter(&self, audience: &str, users: std::ops::Range<u64>) -> anyhow::Result<()> {
        let change = |user| Change {
            audience: audience.to_owned(),
            user,
            enter: true,
        };
        self.publish(users.map(change)).await
    }

    fn record(&self, change: &Change) -> RecordOut {
        let profile_id = format!("{:032x}", change.user.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let action = if change.enter {
            MembershipAction::Enter
        } else {
            MembershipAction::Exit
        };
        let value = MembershipChange {
            account: ACCOUNT,
            audience_id: change.audience.clone(),
            audience_slug: change.audience.clone(),
            action: action.into(),
            event_time: Some(prost_types::Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            }),
            fields: [("user_id".to_owned(), format!("cust-{:08}", change.user))].into(),
            profile_id: profile_id.clone(),
            ..MembershipChange::default()
        };
        RecordOut::new(self.topic.clone())
            .key(format!("{}/{profile_id}", change.audience))
            .payload(value.encode_to_vec())
    }
}
