//! What every librdkafka client of ours has in common: settings, and where its words go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use secrecy::ExposeSecret;

use crate::{Config, Error};

/// Largest record that a producer of ours takes: a rejected body of 10 MB with its headers.
pub(crate) const RECORD_BYTES_MAX: usize = 11 << 20;

/// How long one question to a broker (metadata, watermarks) may take.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a client asks about its topics. A broker that starts or ends may say that a topic does not exist; librdkafka
/// believes it, refuses every record at once, and does not ask again before this is over (its default: 5 minutes).
const TOPIC_REFRESH: Duration = Duration::from_secs(5);

/// For how long librdkafka does not believe a broker that changes its word about a topic. Shorter than [`TOPIC_REFRESH`], so
/// that one question is enough (its default: 30 s).
const TOPIC_PROPAGATION: Duration = Duration::from_secs(4);

/// Settings of every client: addresses, security, and quick reconnection, so that a broker's restart is over for us a few
/// seconds after it is over for the broker.
pub(crate) fn settings(config: &Config) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "lytics-braze")
        .set("security.protocol", config.security.protocol.as_str())
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set(
            "topic.metadata.refresh.interval.ms",
            TOPIC_REFRESH.as_millis().to_string(),
        )
        .set(
            "topic.metadata.propagation.max.ms",
            TOPIC_PROPAGATION.as_millis().to_string(),
        )
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("log.connection.close", "false");
    let security = &config.security;
    let optional = [
        ("sasl.mechanism", security.sasl_mechanism.as_deref()),
        ("sasl.username", security.sasl_username.as_deref()),
        (
            "sasl.password",
            security.sasl_password.as_ref().map(ExposeSecret::expose_secret),
        ),
        ("ssl.ca.location", security.ca_file.as_deref()),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            settings.set(key, value);
        }
    }
    settings
}

/// Settings of every producer: what is acknowledged is written once, in order, on every in-sync replica, and keys go to
/// the partition that Java's clients would choose.
pub(crate) fn producer_settings(config: &Config) -> ClientConfig {
    let mut settings = settings(config);
    settings
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "1")
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string());
    settings
}

/// How often, and how long after each other, a broker must say that a topic does not exist until that is believed: one that
/// starts may say so of every topic.
const MISSING_ASKED: u32 = 20;
const MISSING_ASKED_EVERY: Duration = Duration::from_millis(100);

/// A topic's partitions, ascending. Asks Kafka, for at most [`ASK_TIMEOUT`], and some 2 s longer about one that does not exist.
pub(crate) fn partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Vec<i32>, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever asks Kafka waits for the answer, on a thread of its own"
    )]
    let pause = || std::thread::sleep(MISSING_ASKED_EVERY);
    believed(|| partitions_now(client, topic), pause)
}

/// Asks again, after a pause each, while the answer is that the topic does not exist.
fn believed<T>(mut ask: impl FnMut() -> Result<T, Error>, pause: impl Fn()) -> Result<T, Error> {
    for _ in 1..MISSING_ASKED {
        match ask() {
            Err(Error::Topic { .. }) => pause(),
            answer => return answer,
        }
    }
    ask()
}

fn partitions_now<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Vec<i32>, Error> {
    let failed = |error| Error::of(error, topic, "asking about");
    let metadata = client.fetch_metadata(Some(topic), ASK_TIMEOUT).map_err(failed)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let Some(found) = found else {
        return Err(Error::missing_topic(topic));
    };
    if let Some(error) = found.error() {
        return Err(failed(KafkaError::MetadataFetch(error.into())));
    }
    let mut partitions: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Counts what librdkafka has told a context. A poll that brings nothing may have ended early because of it, with something to
/// read behind it that nobody is woken for any more.
#[derive(Default)]
pub(crate) struct Told(AtomicU64);

impl Told {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Receives what librdkafka has to say.
pub(crate) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let level = match facility {
        // Operators cannot set librdkafka's properties, and ours are chosen: `isolation.level` of a producer, for one.
        "CONFWARN" => RDKafkaLogLevel::Debug,
        _ => level,
    };
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        // librdkafka calls a broken connection an error; it mends it itself.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

pub(crate) fn log_error(error: &KafkaError, reason: &str) {
    // Readers ask for it, and are told by the poll.
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return;
    }
    tracing::warn!(target: "librdkafka", "{error}: {reason}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_topic_does_not_exist_is_believed_only_if_it_is_said_again_and_again() {
        let ask = |missing: u32| {
            let mut asked = 0;
            let answer = believed(
                || {
                    asked += 1;
                    if asked <= missing {
                        Err(Error::missing_topic("news"))
                    } else {
                        Ok(())
                    }
                },
                || {},
            );
            (answer.is_ok(), asked)
        };
        assert_eq!(ask(0), (true, 1));
        assert_eq!(ask(MISSING_ASKED - 1), (true, MISSING_ASKED));
        assert_eq!(ask(MISSING_ASKED), (false, MISSING_ASKED));
    }

    #[test]
    fn another_answer_is_believed_at_once() {
        let mut asked = 0;
        let answer: Result<(), _> = believed(
            || {
                asked += 1;
                Err(Error::Closed)
            },
            || {},
        );
        assert!(matches!(answer, Err(Error::Closed)));
        assert_eq!(asked, 1);
    }
}
