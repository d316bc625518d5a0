//! Kafka: publishing the changes, and reading back what stands in the topics.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use kafka::{Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut, Topics};
use prost::Message;
use proto::export::v1::{FeedProgress, RejectedChange};
use proto::membership::v1::{MembershipAction, MembershipChange};

use crate::changes::Change;
use crate::world::{ACCOUNTS, Audience, AudienceId, COMPACTED, Kind, Name, User, account, workspace_name};

/// How long Kafka may be away before the storm gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long after Kafka has refused records they are offered again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Publishes changes until Kafka has them.
pub(crate) struct Log {
    kafka: kafka::Config,
    topics: Topics,
    publisher: Mutex<Publisher>,
    audiences: Vec<Audience>,
}

/// A membership record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) audience: AudienceId,
    pub(crate) user: User,
    pub(crate) enter: bool,
    /// Whom it names at Braze, and whom it named before, if that was another.
    pub(crate) name: Option<Name>,
    pub(crate) previous: Option<Name>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) time: i64,
}

/// The rejected topic: job, partition, offset of each change; and whatever no job can have been refused.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    pub(crate) places: HashSet<(String, i32, i64)>,
    pub(crate) strange: Vec<String>,
}

impl Log {
    /// # Errors
    /// When librdkafka does not take the configuration.
    pub(crate) fn new(kafka: kafka::Config, audiences: Vec<Audience>) -> anyhow::Result<Self> {
        Ok(Self {
            topics: Topics::new(&kafka),
            publisher: Mutex::new(publisher_of(&kafka)?),
            kafka,
            audiences,
        })
    }

    /// Publishes these, again and again until Kafka has acknowledged each. What Kafka took without saying so is in the log
    /// twice, which is why the log and not its author is believed in the end.
    ///
    /// # Errors
    /// When Kafka stays away.
    pub(crate) async fn publish(&self, changes: &[Change]) -> anyhow::Result<()> {
        let mut records: Vec<_> = changes.iter().map(|change| self.record(*change)).collect();
        let mut trouble = None;
        let publish = async {
            while !records.is_empty() {
                let publisher = self.publisher().clone();
                tokio::select! {
                    () = offer(&publisher, &mut records, &mut trouble) => {}
                    _ = publisher.failed() => *self.publisher() = publisher_of(&self.kafka)?,
                }
            }
            anyhow::Ok(())
        };
        let published = tokio::time::timeout(PATIENCE, publish).await;
        published.with_context(|| format!("Kafka takes no records: {trouble:?}"))?
    }

    fn publisher(&self) -> MutexGuard<'_, Publisher> {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, change: Change) -> RecordOut {
        let audience = &self.audiences[change.audience];
        let action = if change.enter {
            MembershipAction::Enter
        } else {
            MembershipAction::Exit
        };
        let named = change.user.kind() != Kind::Nameless;
        let fields = |second: bool| ("user_id".to_owned(), change.user.named(second).external_id());
        let account = account(audience.workspace);
        let value = MembershipChange {
            account,
            audience_id: audience.slug.clone(),
            audience_slug: audience.slug.clone(),
            profile_id: change.user.profile(),
            action: action.into(),
            fields: named.then(|| fields(change.second)).into_iter().collect(),
            previous_fields: change.moved.then(|| fields(!change.second)).into_iter().collect(),
            ..MembershipChange::default()
        };
        RecordOut::new(self.topics.audience_membership(account))
            .key(format!("{}/{}", audience.slug, change.user.profile()))
            .payload(value.encode_to_vec())
    }

    /// Every membership record, those of a partition in their order.
    ///
    /// # Errors
    /// When the topic cannot be read to its end, or holds a record that is none of ours.
    pub(crate) async fn read(&self) -> anyhow::Result<Vec<Entry>> {
        let by_slug: HashMap<_, _> = (0..)
            .zip(&self.audiences)
            .map(|(id, audience)| (audience.slug.clone(), id))
            .collect();
        let entry = |record: &kafka::RecordView<'_>, by_slug: &HashMap<String, AudienceId>| {
            let change = MembershipChange::decode(record.payload()?).ok()?;
            let name = |fields: &HashMap<String, String>| Name::of_external_id(fields.get("user_id")?);
            Some(Entry {
                audience: *by_slug.get(&change.audience_slug)?,
                user: User::of_profile(&change.profile_id)?,
                enter: change.action() == MembershipAction::Enter,
                name: name(&change.fields),
                previous: name(&change.previous_fields),
                partition: record.partition(),
                offset: record.offset(),
                time: record.timestamp_ms().unwrap_or_default(),
            })
        };
        let mut entries = Vec::new();
        for account in ACCOUNTS {
            let by_slug = by_slug.clone();
            let read = move |record: &kafka::RecordView<'_>| entry(record, &by_slug);
            let found = self.read_topic(self.topics.audience_membership(account), read).await?;
            for entry in found {
                entries.push(entry.context("a membership record is none of ours")?);
            }
        }
        Ok(entries)
    }

    /// Makes Kafka compact the second account's membership topic as soon as it can, whoever has read what.
    ///
    /// # Errors
    /// When Kafka refuses or does not answer.
    pub(crate) async fn compact(&self) -> anyhow::Result<()> {
        let topic = self.topics.audience_membership(account(COMPACTED));
        let compact = async {
            while let Err(error) = kafka::testing::compact_soon(&self.kafka, &topic).await {
                anyhow::ensure!(error.disposition() == kafka::Disposition::Retry, error);
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, compact)
            .await
            .context("Kafka does not answer")?
    }

    /// What is written down of a job for one audience; `None` if nothing is.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub(crate) async fn read_progress(&self, job: &str, audience: &Audience) -> anyhow::Result<Option<FeedProgress>> {
        let id = job.rsplit('/').next().unwrap_or_default();
        let (account, workspace) = (account(audience.workspace), workspace_name(audience.workspace));
        let key = format!("{account}.{workspace}/{id}/{}", audience.slug);
        let of_it = move |record: &kafka::RecordView<'_>| {
            let found = record.key().is_some_and(|found| found == key.as_bytes());
            found.then(|| record.payload().and_then(|value| FeedProgress::decode(value).ok()))
        };
        let read = async {
            loop {
                match self.read_topic(self.topics.export_progress(), of_it.clone()).await {
                    Ok(found) => break found,
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, read)
            .await
            .context("progress cannot be read")?;
        Ok(found.into_iter().flatten().next_back().flatten())
    }

    /// What stands on the rejected topic.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub(crate) async fn read_rejected(&self) -> anyhow::Result<Rejected> {
        let decoded = |record: &kafka::RecordView<'_>| RejectedChange::decode(record.payload()?).ok();
        let found = self.read_topic(self.topics.export_rejected(), decoded).await?;
        let mut rejected = Rejected::default();
        for change in found {
            let change = change.context("a record of the rejected topic cannot be decoded")?;
            let user = change
                .change
                .as_ref()
                .and_then(|change| User::of_profile(&change.profile_id));
            if user.is_none_or(|user| user.kind() == Kind::Known) {
                rejected.strange.push(format!("{change:?}"));
            }
            rejected.places.insert((change.job, change.partition, change.offset));
        }
        Ok(rejected)
    }

    async fn read_topic<T: Send + 'static>(
        &self,
        topic: String,
        read: impl Fn(&kafka::RecordView<'_>) -> T + Send + 'static,
    ) -> anyhow::Result<Vec<T>> {
        let kafka = self.kafka.clone();
        let all = move || -> anyhow::Result<Vec<T>> {
            let mut reader = Reader::open(&kafka, ReaderOptions::default())?;
            let partitions = reader.partitions(&topic)?;
            let from: Vec<_> = partitions
                .iter()
                .map(|partition| (*partition, Position::Beginning))
                .collect();
            reader.assign(&topic, &from)?;
            let (mut found, mut ended) = (Vec::new(), HashSet::new());
            while ended.len() < partitions.len() {
                match reader.poll(PATIENCE).context("the topic ends nowhere")?? {
                    Polled::Eof { partition } => drop(ended.insert(partition)),
                    Polled::Record(record) => found.push(read(&record)),
                }
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(all).await?
    }
}

fn publisher_of(kafka: &kafka::Config) -> Result<Publisher, kafka::Error> {
    let options = PublisherOptions {
        ack_timeout: Duration::from_secs(10),
        ..PublisherOptions::default()
    };
    Publisher::new(kafka, options)
}

/// Publishes records until each is acknowledged, and leaves those that are not.
async fn offer(publisher: &Publisher, records: &mut Vec<RecordOut>, trouble: &mut Option<kafka::Error>) {
    while !records.is_empty() {
        let mut results = publisher.publish_all(records.clone()).await.into_iter();
        records.retain(|_| match results.next() {
            Some(Ok(_)) => false,
            Some(Err(error)) => {
                *trouble = Some(error);
                true
            }
            None => true,
        });
        if !records.is_empty() {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}
