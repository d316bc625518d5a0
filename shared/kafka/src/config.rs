//! How to reach Kafka: one struct for every client in the process.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// Section `kafka` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Comma-separated `host:port` list of brokers to ask first. Default `localhost:9092`.
    pub brokers: String,
    /// Put before every topic name, transactional id and consumer group, so that several installations share a cluster.
    /// Default `lytics.`.
    pub topic_prefix: String,
    /// Copies of every partition of the topics that we create; one fewer must be in sync for a write. Default 1; 3 in
    /// production.
    pub replication_factor: i32,
    /// Upper bound of the partitions of each topic that we create, for small clusters. Unset: as declared in
    /// `deploy/kafka/topics.yaml`.
    pub partitions_max: Option<i32>,
    /// How long to wait at start for Kafka to answer before giving up. Default `30s`.
    #[serde(with = "humantime_serde")]
    pub open_timeout: Duration,
    /// Encryption and authentication of the connection to the brokers.
    pub security: Security,
    /// The broker is librdkafka's in-process one, which has no admin API: topics come into being by being asked for, and
    /// none is checked. Default `false`.
    pub in_process: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic_prefix: "lytics.".to_owned(),
            replication_factor: 1,
            partitions_max: None,
            open_timeout: Duration::from_secs(30),
            security: Security::default(),
            in_process: false,
        }
    }
}

/// How the connection to the brokers is protected.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// `plaintext` (default), `ssl`, `sasl_plaintext` or `sasl_ssl`. Certificates are always verified.
    pub protocol: Protocol,
    /// SASL mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// SASL user name.
    pub sasl_username: Option<String>,
    /// SASL password.
    pub sasl_password: Option<SecretString>,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<String>,
}

/// Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// No encryption, no authentication.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

impl Config {
    /// Everything wrong with these values, relations included: (key within the section, what is wrong with it).
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut fault = |key, problem: &str| problems.push((key, problem.to_owned()));
        if self.brokers.split(',').any(|broker| !is_host_and_port(broker.trim())) {
            fault("brokers", "must be a comma-separated list of host:port");
        }
        if !self
            .topic_prefix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            || self.topic_prefix.len() > 100
        {
            fault(
                "topic_prefix",
                "must be at most 100 letters, digits, dots, underscores and hyphens",
            );
        }
        if !(1..=7).contains(&self.replication_factor) {
            fault("replication_factor", "must be 1 to 7");
        }
        if self.partitions_max.is_some_and(|max| max < 1) {
            fault("partitions_max", "must be at least 1");
        }
        if self.open_timeout.is_zero() {
            fault("open_timeout", "must be more than nothing");
        }
        let security = &self.security;
        if security.protocol.has_sasl() {
            if !security
                .sasl_mechanism
                .as_deref()
                .is_some_and(|mechanism| MECHANISMS.contains(&mechanism))
            {
                fault(
                    "security.sasl_mechanism",
                    "must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 with a SASL protocol",
                );
            }
            if security.sasl_username.is_none() {
                fault("security.sasl_username", "must be set with a SASL protocol");
            }
            if security.sasl_password.is_none() {
                fault("security.sasl_password", "must be set with a SASL protocol");
            }
        } else if security.sasl_mechanism.is_some()
            || security.sasl_username.is_some()
            || security.sasl_password.is_some()
        {
            fault(
                "security.protocol",
                "must be sasl_ssl or sasl_plaintext for the SASL settings to have an effect",
            );
        }
        if security.ca_file.is_some() && !security.protocol.has_tls() {
            fault("security.ca_file", "has an effect only with protocol ssl or sasl_ssl");
        }
        problems
    }
}

fn is_host_and_port(broker: &str) -> bool {
    broker
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(Config::default().problems(), []);
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_key() {
        let config = Config {
            brokers: "localhost".to_owned(),
            topic_prefix: "a b".to_owned(),
            replication_factor: 0,
            partitions_max: Some(0),
            open_timeout: Duration::ZERO,
            security: Security {
                protocol: Protocol::SaslPlaintext,
                ca_file: Some("ca".to_owned()),
                ..Security::default()
            },
            in_process: false,
        };
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "brokers",
                "topic_prefix",
                "replication_factor",
                "partitions_max",
                "open_timeout",
                "security.sasl_mechanism",
                "security.sasl_username",
                "security.sasl_password",
                "security.ca_file",
            ]
        );
    }

    #[test]
    fn a_password_is_not_printed() {
        let security = Security {
            sasl_password: Some("hunter2".into()),
            ..Security::default()
        };
        assert!(
            !format!(
                "{:?}",
                Config {
                    security,
                    ..Config::default()
                }
            )
            .contains("hunter2")
        );
    }
}
