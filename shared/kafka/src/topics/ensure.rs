//! Creating topics, and checking the one that somebody else writes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::time::Instant;

use super::{Spec, Topics, declared};
use crate::client::{self, ASK_TIMEOUT, Context};
use crate::{Config, Disposition, Error};

/// What a job may sleep without missing a change; design: what we require of the membership topic.
const MIN_COMPACTION_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MIN_COMPACTION_LAG_MS: &str = "min.compaction.lag.ms";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
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

/// What is wrong with the membership topic of an account, in words; empty if it is as we require it (or cannot be asked
/// because the broker is in-process). Upstream owns the topic and may have made it.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka does not answer.
pub async fn check_membership(config: &Config, account: u64) -> Result<Vec<String>, Error> {
    if config.in_process {
        return Ok(Vec::new());
    }
    let topic = Topics::new(config).audience_membership(account);
    let Some(resource) = settings(config, &topic).await? else {
        return Ok(vec![format!(
            "topic {topic} does not exist, or its settings may not be read (DescribeConfigs)"
        )]);
    };
    Ok(membership_faults(
        &topic,
        value(&resource, "cleanup.policy"),
        value(&resource, MIN_COMPACTION_LAG_MS),
        value(&resource, TIMESTAMP_TYPE),
    ))
}

/// How long a topic keeps every record before compaction may take it: for ever on the in-process broker, which compacts
/// nothing. `None` if it promises nothing, or the settings may not be read.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka does not answer.
pub async fn compaction_lag(config: &Config, topic: &str) -> Result<Option<Duration>, Error> {
    if config.in_process {
        return Ok(Some(Duration::MAX));
    }
    let resource = settings(config, topic).await?;
    let lag = resource.and_then(|resource| value(&resource, MIN_COMPACTION_LAG_MS).parse().ok());
    Ok(lag.filter(|lag| *lag > 0).map(Duration::from_millis))
}

/// The settings of a topic; `None` if it does not exist, or they may not be read.
async fn settings(config: &Config, topic: &str) -> Result<Option<ConfigResource>, Error> {
    let failed = |error| Error::of(error, topic, "asking for the settings of");
    let described = admin(config)?
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &options())
        .await;
    match described.map_err(failed)?.into_iter().next() {
        // rdkafka swallows the error that Kafka gives per resource.
        Some(Ok(resource)) => Ok(Some(resource).filter(|resource| !resource.entries.is_empty())),
        Some(Err(code)) => Err(failed(KafkaError::Global(code))),
        None => Err(failed(KafkaError::NoMessageReceived)),
    }
}

fn value<'a>(resource: &'a ConfigResource, name: &str) -> &'a str {
    let entry = resource.get(name).and_then(|entry| entry.value.as_deref());
    entry.unwrap_or_default()
}

fn membership_faults(
    topic: &str,
    cleanup_policy: &str,
    min_compaction_lag_ms: &str,
    timestamp_type: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    if cleanup_policy != "compact" {
        faults.push(format!(
            "topic {topic}: cleanup.policy is {cleanup_policy:?}, must be \"compact\" and nothing else: the topic is the current membership"
        ));
    }
    let lag = min_compaction_lag_ms.parse().ok().map(Duration::from_millis);
    if lag.is_none_or(|lag| lag < MIN_COMPACTION_LAG) {
        faults.push(format!(
            "topic {topic}: min.compaction.lag.ms is {min_compaction_lag_ms}, must be at least {} (7 days): a job that slept would miss changes",
            MIN_COMPACTION_LAG.as_millis()
        ));
    }
    if timestamp_type != "LogAppendTime" {
        faults.push(format!(
            "topic {topic}: {TIMESTAMP_TYPE} is {timestamp_type:?}, should be LogAppendTime: a record with an old time of its producer's is taken for one that was read too late"
        ));
    }
    faults
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
async fn existing(admin: &Arc<AdminClient<Context>>, topic: Option<String>) -> Result<BTreeSet<String>, Error> {
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

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ASK_TIMEOUT))
        .operation_timeout(Some(ASK_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_topic_that_also_deletes_compacts_early_or_takes_its_producers_times_is_faulted() {
        assert_eq!(membership_faults("t", "compact", "604800000", "LogAppendTime"), [""; 0]);
        let faults = membership_faults("t", "compact,delete", "604799999", "CreateTime");
        let named = ["cleanup.policy", MIN_COMPACTION_LAG_MS, TIMESTAMP_TYPE];
        assert_eq!(faults.len(), named.len());
        assert!(
            faults.iter().zip(named).all(|(fault, name)| fault.contains(name)),
            "{faults:?}"
        );
    }
}
