//! Creating topics, and asking whether they are there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::time::Instant;

use super::{Spec, Topics, declared};
use crate::client::{self, ASK_TIMEOUT, Context};
use crate::{Config, Disposition, Error};

/// Pause between two questions while Kafka is not there, or while new topics are not known everywhere.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Creates whatever topic is missing, also the membership topics of `accounts`; returns the names of those created, once
/// they can be written. Topics that exist are left as they are. Waits for Kafka up to `config.open_timeout`.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka did not answer in time, [`Error::Topic`] if it refused a topic.
pub async fn ensure(config: &Config, accounts: &[u64]) -> Result<Vec<String>, Error> {
    let wanted = declared(accounts)
        .into_iter()
        .map(|spec| (Topics::new(config).named(&spec.name), spec))
        .collect();
    create_missing(config, wanted).await
}

/// Creates the membership topic of one account if it is missing.
///
/// # Errors
/// As [`ensure`].
pub async fn ensure_membership(config: &Config, account: u64) -> Result<(), Error> {
    let name = Topics::new(config).audience_membership(account);
    let wanted = declared(&[account])
        .into_iter()
        .map(|spec| (Topics::new(config).named(&spec.name), spec));
    create_missing(config, wanted.filter(|(found, _)| *found == name).collect())
        .await
        .map(drop)
}

/// How many partitions a topic has, by its full name. Waits up to `config.open_timeout` for Kafka to answer.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka does not answer in time, [`Error::Topic`] if the topic does not exist.
pub async fn partitions(config: &Config, topic: &str) -> Result<i32, Error> {
    let admin = Arc::new(admin(config)?);
    let ask = || {
        let (admin, topic) = (admin.clone(), topic.to_owned());
        async move {
            let asked = tokio::task::spawn_blocking(move || {
                let failed = |error| Error::of(error, &topic, "asking about");
                let metadata = admin
                    .inner()
                    .fetch_metadata(Some(&topic), ASK_TIMEOUT)
                    .map_err(failed)?;
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                match found.map(|found| (found.error(), found.partitions().len())) {
                    Some((Some(error), _)) => Err(failed(KafkaError::MetadataFetch(error.into()))),
                    Some((None, count)) => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
                    None => Err(Error::missing_topic(&topic)),
                }
            });
            asked.await.map_err(|_| Error::Closed)?
        }
    };
    until(Instant::now() + config.open_timeout, ask).await
}

/// Topics by full name.
type Wanted = Vec<(String, Spec)>;

async fn create_missing(config: &Config, mut wanted: Wanted) -> Result<Vec<String>, Error> {
    let deadline = Instant::now() + config.open_timeout;
    let admin = Arc::new(admin(config)?);
    if config.in_process {
        // It has no admin API, but creates a topic when a producer asks for it.
        let names = wanted.into_iter().map(|(name, _)| Some(name)).collect::<Vec<_>>();
        for name in names {
            until(deadline, || existing(&admin, name.clone())).await?;
        }
        return Ok(Vec::new());
    }
    let found = until(deadline, || existing(&admin, None)).await?;
    wanted.retain(|(name, _)| !found.contains(name));
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let created = until(deadline, || create(config, &admin, &wanted)).await?;
    until(deadline, async || {
        let found = existing(&admin, None).await?;
        match wanted.iter().find(|(name, _)| !found.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::Unavailable {
                doing: format!("waiting for leaders of topic {name}"),
                source: None,
            }),
        }
    })
    .await?;
    Ok(created)
}

/// Creates topics; the names of those that somebody else had not created meanwhile.
async fn create(config: &Config, admin: &AdminClient<Context>, wanted: &Wanted) -> Result<Vec<String>, Error> {
    let in_sync = (config.replication_factor - 1).max(1).to_string();
    let new: Vec<_> = wanted
        .iter()
        .map(|(name, spec)| {
            let partitions = spec.partitions.min(config.partitions_max.unwrap_or(i32::MAX));
            let new = NewTopic::new(name, partitions, TopicReplication::Fixed(config.replication_factor))
                .set("min.insync.replicas", &in_sync);
            spec.config.iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let results = admin.create_topics(&new, &options()).await;
    let results = results.map_err(|error| Error::unavailable("creating topics", error))?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(name) => created.push(name),
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, Code::RequestTimedOut | Code::NotController)) => {
                return Err(Error::Unavailable {
                    doing: format!("creating topic {topic}"),
                    source: None,
                });
            }
            Err((topic, code)) => {
                return Err(Error::Topic {
                    topic,
                    problem: format!("could not be created: {code}"),
                });
            }
        }
    }
    Ok(created)
}

/// Names of the topics that exist and whose partitions all have a leader; of one topic, or of all.
pub(super) async fn existing(
    admin: &Arc<AdminClient<Context>>,
    topic: Option<String>,
) -> Result<BTreeSet<String>, Error> {
    let admin = admin.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(topic.as_deref(), ASK_TIMEOUT)?;
        let led = metadata.topics().iter().filter(|topic| {
            topic.error().is_none() && topic.partitions().iter().all(|partition| partition.leader() >= 0)
        });
        Ok(led.map(|topic| topic.name().to_owned()).collect())
    });
    let asked = asked.await.map_err(|_| Error::Closed)?;
    asked.map_err(|error| Error::unavailable("asking for the topics; check that kafka runs and kafka.brokers", error))
}

/// Does it again while Kafka is unavailable, until the deadline.
async fn until<T, F: Future<Output = Result<T, Error>>>(
    deadline: Instant,
    mut step: impl FnMut() -> F,
) -> Result<T, Error> {
    loop {
        match step().await {
            Err(error) if error.disposition() == Disposition::Retry && Instant::now() < deadline => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            result => return result,
        }
    }
}

pub(crate) fn admin(config: &Config) -> Result<AdminClient<Context>, Error> {
    AdminClient::from_config_and_context(&client::settings(config), Context).map_err(Error::Config)
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ASK_TIMEOUT))
        .operation_timeout(Some(ASK_TIMEOUT))
}
