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
    /// Put before every topic name and transactional id, so that several installations share a cluster. Default `lytics.`.
    pub topic_prefix: String,
    /// Copies of every partition of the topics that we create. Default 1; 3 in production.
    pub replication_factor: i32,
    /// How long a service waits at start for Kafka to answer before it gives up. Default `30s`.
    #[serde(with = "humantime_serde")]
    pub open_timeout: Duration,
    /// Encryption and authentication of the connection to the brokers.
    pub security: Security,
    /// The broker is librdkafka's in-process one, which has no admin API: no topic is created and none is checked.
    /// Default `false`.
    pub in_process: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic_prefix: "lytics.".to_owned(),
            replication_factor: 1,
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
    /// `plaintext` (default), `ssl`, `sasl_plaintext` or `sasl_ssl`.
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

impl Config {
    /// Everything wrong with these values: (key within the section, what is wrong with it).
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
