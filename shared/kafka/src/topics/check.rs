//! Whether topics are as they must be: those that somebody else made, too.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{ConfigResource, ResourceSpecifier};
use rdkafka::error::KafkaError;

use super::ensure::{admin, existing, options, partitions};
use super::{Spec, Topics, declared};
use crate::{Config, Error};

/// What a job may sleep without missing a change; design: what we require of the membership topic.
const MIN_COMPACTION_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MIN_COMPACTION_LAG_MS: &str = "min.compaction.lag.ms";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const CLEANUP_POLICY: &str = "cleanup.policy";

/// A topic, and how it differs from what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Full name.
    pub topic: String,
    /// How many partitions it has; `None` if it does not exist.
    pub partitions: Option<i32>,
    /// What must be mended, in words.
    pub wrong: Vec<String>,
    /// What may be meant so, in words.
    pub unusual: Vec<String>,
}

/// Looks at every topic of the installation, with the membership topics of `accounts`. Of the in-process broker's only whether
/// they are there: it has no settings.
///
/// # Errors
/// [`Error::Unavailable`] if Kafka does not answer.
pub async fn examine(config: &Config, accounts: &[u64]) -> Result<Vec<Report>, Error> {
    let there = existing(&Arc::new(admin(config)?), None).await?;
    let mut reports = Vec::new();
    for spec in declared(accounts) {
        let topic = Topics::new(config).named(&spec.name);
        if !there.contains(&topic) {
            reports.push(Report {
                wrong: vec![format!(
                    "topic {topic} does not exist, or has a partition without a leader"
                )],
                unusual: Vec::new(),
                partitions: None,
                topic,
            });
            continue;
        }
        let count = partitions(config, &topic).await?;
        let report = |unusual| Report {
            topic: topic.clone(),
            partitions: Some(count),
            wrong: Vec::new(),
            unusual,
        };
        reports.push(if config.in_process {
            report(Vec::new())
        } else if let Some(settings) = settings(config, &topic).await? {
            judge(topic, &spec, count, |name| value(&settings, name).to_owned())
        } else {
            report(vec![format!(
                "topic {topic}: its settings may not be read (DescribeConfigs)"
            )])
        });
    }
    Ok(reports)
}

/// How a topic of these settings differs from its declaration. How long records are kept is everybody's own business.
fn judge(topic: String, spec: &Spec, partitions: i32, of: impl Fn(&str) -> String) -> Report {
    let (mut wrong, mut unusual) = (Vec::new(), Vec::new());
    if spec.name.starts_with("audience-membership.") {
        let settings = [CLEANUP_POLICY, MIN_COMPACTION_LAG_MS, TIMESTAMP_TYPE].map(of);
        (wrong, unusual) = membership_faults(&topic, &settings[0], &settings[1], &settings[2]);
    } else {
        for (name, wanted) in spec.config.iter().filter(|(name, _)| !name.starts_with("retention.")) {
            let found = of(name);
            if found != *wanted {
                let differs = format!("topic {topic}: {name} is {found:?}, declared is {wanted:?}");
                let faults = if name == CLEANUP_POLICY {
                    &mut wrong
                } else {
                    &mut unusual
                };
                faults.push(differs);
            }
        }
        if spec.partitions == 1 && partitions != 1 {
            wrong.push(format!(
                "topic {topic} has {partitions} partitions, must have one: it is read in order"
            ));
        }
    }
    Report {
        topic,
        partitions: Some(partitions),
        wrong,
        unusual,
    }
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
    let (wrong, unusual) = membership_faults(
        &topic,
        value(&resource, CLEANUP_POLICY),
        value(&resource, MIN_COMPACTION_LAG_MS),
        value(&resource, TIMESTAMP_TYPE),
    );
    Ok(wrong.into_iter().chain(unusual).collect())
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

/// What must be otherwise, and what had better be.
fn membership_faults(
    topic: &str,
    cleanup_policy: &str,
    min_compaction_lag_ms: &str,
    timestamp_type: &str,
) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut unusual) = (Vec::new(), Vec::new());
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
        unusual.push(format!(
            "topic {topic}: {TIMESTAMP_TYPE} is {timestamp_type:?}, should be LogAppendTime: a record with an old time of its producer's is taken for one that was read too late"
        ));
    }
    (faults, unusual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_topic_that_also_deletes_compacts_early_or_takes_its_producers_times_is_faulted() {
        let good = membership_faults("t", "compact", "604800000", "LogAppendTime");
        assert_eq!(good, (Vec::new(), Vec::new()));
        let (wrong, unusual) = membership_faults("t", "compact,delete", "604799999", "CreateTime");
        assert_eq!((wrong.len(), unusual.len()), (2, 1));
        let faults: Vec<String> = wrong.into_iter().chain(unusual).collect();
        let named = ["cleanup.policy", MIN_COMPACTION_LAG_MS, TIMESTAMP_TYPE];
        assert_eq!(faults.len(), named.len());
        assert!(
            faults.iter().zip(named).all(|(fault, name)| fault.contains(name)),
            "{faults:?}"
        );
    }

    fn control(partitions: i32, settings: &[(&str, &str)]) -> Report {
        let spec = declared(&[]).into_iter().find(|spec| spec.name == "control").unwrap();
        let of = |name: &str| {
            settings
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        judge("p.control".to_owned(), &spec, partitions, |name| {
            let declared = spec
                .config
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone());
            of(name).or(declared).unwrap_or_default()
        })
    }

    #[test]
    fn the_control_table_must_be_compacted_and_of_one_partition_and_what_else_differs_is_unusual() {
        let good = control(1, &[]);
        assert!(good.wrong.is_empty() && good.unusual.is_empty(), "{good:?}");
        let bad = control(2, &[("cleanup.policy", "delete"), ("segment.bytes", "1073741824")]);
        assert!(
            bad.wrong.len() == 2 && bad.wrong[0].contains("cleanup.policy") && bad.wrong[1].contains("2 partitions"),
            "{bad:?}"
        );
        assert!(
            bad.unusual.len() == 1 && bad.unusual[0].contains("segment.bytes"),
            "{bad:?}"
        );
    }
}
