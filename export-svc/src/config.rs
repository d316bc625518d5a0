//! Configuration. The doc comment of a field is its manual.

use std::time::Duration;

use braze::Url;
use control::sealing::Sealer;
use model::AccountNumber;
use runtime::config::{Fault, Listen, Validate};
use secrecy::SecretString;
use serde::Deserialize;

use crate::engine::EngineConfig;

/// What environment variables begin with: `EXPORT_SVC__GRPC__LISTEN` is `grpc.listen`.
pub const ENV_PREFIX: &str = "EXPORT_SVC";

/// What may come on top of `engine.drain` before the process is gone: the last progress, leaving the group, the last spans.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// The whole configuration of `export-svc serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Kafka is.
    pub kafka: kafka::Config,
    /// Which topics are made at start.
    pub topics: Topics,
    /// Who may do what before the first token exists.
    pub auth: control::Auth,
    /// Keys that seal Braze's keys.
    pub secrets: Secrets,
    /// What exists from the first start on.
    pub bootstrap: Bootstrap,
    /// Where Braze is.
    pub braze: Braze,
    /// How changes are batched, sent and remembered.
    pub engine: EngineConfig,
    /// How membership changes are published for those who do not speak Kafka.
    pub publish: Publish,
    /// The gRPC port.
    pub grpc: Listen<8091>,
    /// The port of probes and metrics.
    pub admin: Listen<8092>,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::Config,
    /// How long SIGTERM waits for everything in flight; then the process ends anyway. At least 5 s more than `engine.drain` and
    /// `publish.ack_timeout`, and shorter than the pod's grace period. Default `25s`.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

/// Section `topics`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Create missing topics at start, and the membership topic of every account. `false` where somebody else creates them: with
    /// `export-svc topics ensure`, or by their own means. Default `true`.
    pub ensure: bool,
}

/// Section `secrets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Keys that seal Braze's REST keys before they reach Kafka: `id:base64key[,id:base64key…]`, each of 32 bytes. The first
    /// seals, all of them open; to rotate, put a new one in front. Must be set: `k1:$(openssl rand -base64 32)`.
    pub keys: SecretString,
}

/// Section `bootstrap`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Accounts that are created at start unless they exist: `1234=Demo[,5678=Other]`. Default: none.
    pub accounts: String,
}

/// Section `braze`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Braze {
    /// Replaces the REST endpoint of every Braze instance, for tests and local runs: `http://localhost:8099`. Unset: each
    /// authorization's own instance.
    pub endpoint: Option<String>,
    /// PEM file of certificate authorities to trust besides the system's, as where a proxy looks into all traffic. Read at
    /// start. Unset: none.
    pub ca_file: Option<String>,
}

/// Section `publish`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// How long Kafka may take to acknowledge a membership change; then the call ends UNAVAILABLE. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// Bytes of changes that wait for Kafka, over all calls; beyond it a call ends UNAVAILABLE. Default 32 MiB.
    pub queue_bytes_max: usize,
    /// Changes of one call that may wait for Kafka's acknowledgement at once; the rest wait at the sender. Default 500.
    pub window_max: usize,
}

impl Default for Topics {
    fn default() -> Self {
        Self { ensure: true }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(5),
            queue_bytes_max: 32 << 20,
            window_max: 500,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: kafka::Config::default(),
            topics: Topics::default(),
            auth: control::Auth::default(),
            secrets: Secrets::default(),
            bootstrap: Bootstrap::default(),
            braze: Braze::default(),
            engine: EngineConfig::default(),
            publish: Publish::default(),
            grpc: Listen::default(),
            admin: Listen::default(),
            telemetry: runtime::telemetry::Config::default(),
            drain_timeout: Duration::from_secs(25),
        }
    }
}

impl Bootstrap {
    /// The accounts, or what is wrong with the first one that is none.
    ///
    /// # Errors
    /// In words, to be read after the key.
    pub fn parse(&self) -> Result<Vec<(AccountNumber, String)>, String> {
        let entries = self
            .accounts
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let (number, label) = entry
                    .split_once('=')
                    .ok_or_else(|| format!("\"{entry}\" must be number=label, such as 1234=Demo"))?;
                let number = number.parse().map_err(|error| format!("\"{entry}\": {error}"))?;
                model::text::label(label).map_err(|error| format!("\"{entry}\": the label {error}"))?;
                Ok((number, label.to_owned()))
            })
            .collect()
    }
}

impl Braze {
    /// The endpoint to use instead of every instance's.
    ///
    /// # Errors
    /// In words, to be read after the key.
    pub fn parse(&self) -> Result<Option<Url>, String> {
        let Some(text) = &self.endpoint else { return Ok(None) };
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(Some)
            .ok_or_else(|| "must be an http or https URL, such as http://localhost:8099".to_owned())
    }
}

impl Validate for Config {
    fn faults(&self, out: &mut Vec<Fault>) {
        self.kafka_faults(out);
        out.extend(
            self.engine
                .problems()
                .into_iter()
                .map(|(key, problem)| Fault::new(format!("engine.{key}"), problem)),
        );
        self.telemetry.faults(out);
        self.grpc.faults("grpc", out);
        self.admin.faults("admin", out);
        let mut check =
            |key: &str, problem: Option<String>| out.extend(problem.map(|problem| Fault::new(key, problem)));
        check(
            "secrets.keys",
            Sealer::from_config(&self.secrets.keys)
                .err()
                .map(|error| error.to_string()),
        );
        check("bootstrap.accounts", self.bootstrap.parse().err());
        check("braze.endpoint", self.braze.parse().err());
        check("auth.admin_token", self.auth.problem().map(str::to_owned));
        let ack = self.publish.ack_timeout < Duration::from_millis(100);
        check("publish.ack_timeout", ack.then(|| "must be at least 100ms".to_owned()));
        let queue = self.publish.queue_bytes_max < 1 << 20;
        check(
            "publish.queue_bytes_max",
            queue.then(|| "must be at least 1048576, the largest record".to_owned()),
        );
        let window = !(1..=100_000).contains(&self.publish.window_max);
        check(
            "publish.window_max",
            window.then(|| "must be from 1 to 100000".to_owned()),
        );
        let least = self.engine.drain.max(self.publish.ack_timeout) + DRAIN_MARGIN;
        let drain = self.drain_timeout < least;
        check(
            "drain_timeout",
            drain.then(|| {
                format!("must be at least {least:?}: engine.drain, or publish.ack_timeout if that is longer, and 5s")
            }),
        );
    }
}

impl Config {
    /// What is wrong with the section `kafka`, the only one that `topics ensure` needs.
    pub(crate) fn kafka_faults(&self, out: &mut Vec<Fault>) {
        let problems = self.kafka.problems().into_iter();
        out.extend(problems.map(|(key, problem)| Fault::new(format!("kafka.{key}"), problem)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn faults(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config {
            secrets: Secrets {
                keys: SecretString::from(KEYS),
            },
            ..Config::default()
        };
        change(&mut config);
        let mut out = Vec::new();
        config.faults(&mut out);
        out.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn the_defaults_lack_only_what_nobody_can_choose_for_the_operator() {
        assert_eq!(faults(|_| {}), [""; 0]);
        assert_eq!(faults(|config| config.secrets = Secrets::default()), ["secrets.keys"]);
    }

    #[test]
    fn relations_between_keys_are_checked() {
        assert_eq!(
            faults(|config| config.drain_timeout = Duration::from_secs(21)),
            ["drain_timeout"]
        );
        assert_eq!(
            faults(|config| config.publish.ack_timeout = Duration::from_secs(24)),
            ["drain_timeout"]
        );
    }

    #[test]
    fn values_that_are_texts_are_parsed() {
        assert_eq!(
            faults(|config| config.bootstrap.accounts = "1234".to_owned()),
            ["bootstrap.accounts"]
        );
        assert_eq!(
            faults(|config| config.bootstrap.accounts = "0=Demo".to_owned()),
            ["bootstrap.accounts"]
        );
        assert_eq!(
            faults(|config| config.bootstrap.accounts = "1234= ".to_owned()),
            ["bootstrap.accounts"]
        );
        let two = Bootstrap {
            accounts: "1234=Demo, 5678=Other one".to_owned(),
        }
        .parse()
        .unwrap();
        assert_eq!(
            two.iter()
                .map(|(number, label)| (number.get(), label.as_str()))
                .collect::<Vec<_>>(),
            [(1234, "Demo"), (5678, "Other one")]
        );
        for bad in ["localhost:8099", "ftp://x", ""] {
            assert_eq!(
                faults(|config| config.braze.endpoint = Some(bad.to_owned())),
                ["braze.endpoint"],
                "{bad}"
            );
        }
        assert_eq!(faults(|config| config.grpc.listen = "8091".to_owned()), ["grpc.listen"]);
        assert_eq!(
            faults(|config| config.auth.admin_token = Some("short".into())),
            ["auth.admin_token"]
        );
    }

    #[test]
    fn all_faults_are_told_at_once_and_no_secret_is_shown() {
        let mut config = Config::default();
        config.auth.admin_token = Some("secret-word".into());
        config.secrets.keys = "k1:c2VjcmV0LXdvcmQ=".into();
        config.publish.window_max = 0;
        let mut out = Vec::new();
        config.faults(&mut out);
        assert_eq!(out.len(), 3, "{out:?}");
        let shown = format!("{out:?}{config:?}");
        assert!(!shown.contains("secret-word") && !shown.contains("c2VjcmV0"), "{shown}");
    }
}
