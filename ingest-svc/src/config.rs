//! Configuration. The doc comment of a field is its manual.

use std::time::Duration;

use runtime::config::{Fault, Validate};
use secrecy::SecretString;
use serde::Deserialize;

/// What environment variables begin with: `INGEST_SVC__HTTP__LISTEN` is `http.listen`.
pub const ENV_PREFIX: &str = "INGEST_SVC";

/// Event tails that a process serves at once; one more is RESOURCE_EXHAUSTED. Each is a Kafka client of four threads.
pub const TAILS_MAX: usize = 4;

/// The whole configuration of `ingest-svc serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Kafka is.
    pub kafka: kafka::Config,
    /// Who may do what before the first token exists.
    pub auth: Auth,
    /// The port that Braze posts to.
    pub http: Http,
    /// The gRPC port.
    pub grpc: Grpc,
    /// The port of probes and metrics.
    pub admin: Admin,
    /// How records are published.
    pub publish: Publish,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::Config,
    /// How long SIGTERM waits for what is in flight. Shorter than the pod's grace period. Default `22s`.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

/// Section `auth`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The first admin token of the installation: may do everything in every account. At least 16
    /// characters. Unset: only tokens of the control table.
    pub admin_token: Option<SecretString>,
}

/// Section `grpc`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// `host:port`; port 0 lets the system choose. Default `0.0.0.0:8081`.
    pub listen: String,
}

/// Section `admin`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// `host:port`; port 0 lets the system choose. Default `0.0.0.0:8082`.
    pub listen: String,
}

impl Default for Grpc {
    fn default() -> Self {
        let listen = "0.0.0.0:8081".to_owned();
        Self { listen }
    }
}

impl Default for Admin {
    fn default() -> Self {
        let listen = "0.0.0.0:8082".to_owned();
        Self { listen }
    }
}

/// Section `http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// `host:port`; port 0 lets the system choose. Default `0.0.0.0:8080`.
    pub listen: String,
    /// How senders reach this port from outside: the beginning of the webhook URLs that are handed out, without a path. Default
    /// `http://localhost:8080`.
    pub public_url: String,
    /// The largest body, in bytes; a larger one is answered 413. Default 10,000,000.
    pub body_bytes_max: usize,
    /// The most records in one body; more are answered 413. Default 50,000.
    pub records_max: usize,
    /// Requests in progress at once; one more is answered 503, whatever its body. Default 1,024.
    pub requests_max: usize,
    /// Bytes of bodies held at once; a request that does not fit is answered 503. Default 256 MiB.
    pub held_bytes_max: usize,
    /// Open connections; a further one waits in the kernel's backlog until another closes. Default 4,096.
    pub connections_max: usize,
    /// How long the head of a request may take, and how long a connection may be idle between two; then it is closed. Longer than
    /// the idle timeout of a load balancer in front. Default `75s`.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a body may take from the head of its request to its last byte; then 408, which Braze retries. Default `15s`.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
}

/// Section `publish`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// How long Kafka may take to acknowledge a record; then 503, and the record is given up. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// Bytes of records that wait for Kafka; beyond it 503. Default 32 MiB.
    pub queue_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: kafka::Config::default(),
            auth: Auth::default(),
            http: Http::default(),
            grpc: Grpc::default(),
            admin: Admin::default(),
            publish: Publish::default(),
            telemetry: runtime::telemetry::Config::default(),
            drain_timeout: Duration::from_secs(22),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            public_url: "http://localhost:8080".to_owned(),
            body_bytes_max: 10_000_000,
            records_max: 50_000,
            requests_max: 1_024,
            held_bytes_max: 256 << 20,
            connections_max: 4_096,
            header_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(15),
        }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(5),
            queue_bytes_max: 32 << 20,
        }
    }
}

impl Validate for Config {
    fn faults(&self, out: &mut Vec<Fault>) {
        for (key, problem) in self.kafka.problems() {
            out.push(Fault::new(format!("kafka.{key}"), problem));
        }
        self.telemetry.faults(out);
        self.http.faults(out);
        if let Some(problem) = self.auth.admin_token.as_ref().and_then(control::admin_token_problem) {
            out.push(Fault::new("auth.admin_token", problem));
        }
        for (key, address) in [
            ("http.listen", &self.http.listen),
            ("grpc.listen", &self.grpc.listen),
            ("admin.listen", &self.admin.listen),
        ] {
            if !is_address(address) {
                out.push(Fault::new(key, "must be host:port, such as 0.0.0.0:8080"));
            }
        }
        if self.publish.ack_timeout < Duration::from_millis(100) {
            out.push(Fault::new("publish.ack_timeout", "must be at least 100ms"));
        }
        if self.publish.queue_bytes_max < self.http.body_bytes_max.saturating_mul(2) {
            let problem = "must be at least twice http.body_bytes_max, or the largest body never fits beside another";
            out.push(Fault::new("publish.queue_bytes_max", problem));
        }
        if self.drain_timeout < self.http.body_timeout + self.publish.ack_timeout {
            let problem = "must be at least http.body_timeout + publish.ack_timeout, or a drain cuts requests off";
            out.push(Fault::new("drain_timeout", problem));
        }
    }
}

impl Validate for Http {
    fn faults(&self, out: &mut Vec<Fault>) {
        for (key, value) in [
            ("http.body_bytes_max", self.body_bytes_max),
            ("http.records_max", self.records_max),
            ("http.requests_max", self.requests_max),
            ("http.connections_max", self.connections_max),
        ] {
            if value == 0 {
                out.push(Fault::new(key, "must be at least 1"));
            }
        }
        if self.body_bytes_max > BODY_BYTES_LIMIT {
            let problem = format!("must be at most {BODY_BYTES_LIMIT}: larger bodies do not fit on the rejected topic");
            out.push(Fault::new("http.body_bytes_max", problem));
        }
        for (key, value) in [
            ("http.requests_max", self.requests_max),
            ("http.held_bytes_max", self.held_bytes_max),
            ("http.connections_max", self.connections_max),
        ] {
            if value > u32::MAX as usize {
                out.push(Fault::new(key, "must be at most 4294967295"));
            }
        }
        if self.held_bytes_max < self.body_bytes_max {
            let problem = "must be at least http.body_bytes_max, or the largest body is never admitted";
            out.push(Fault::new("http.held_bytes_max", problem));
        }
        for (key, value) in [
            ("http.header_timeout", self.header_timeout),
            ("http.body_timeout", self.body_timeout),
        ] {
            if value.is_zero() {
                out.push(Fault::new(key, "must be longer than 0s"));
            }
        }
        let url = self.public_url.parse::<http::Uri>();
        let usable = url.is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some()
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
        });
        if !usable {
            let problem = "must be an http or https URL without a path, such as https://collect.example.com";
            out.push(Fault::new("http.public_url", problem));
        }
    }
}

/// The largest body that fits on the rejected topic beside its headers.
const BODY_BYTES_LIMIT: usize = 10_485_760;

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        let mut out = Vec::new();
        config.faults(&mut out);
        out.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(faults(|_| {}), [""; 0]);
    }

    #[test]
    fn relations_between_keys_are_checked() {
        assert_eq!(
            faults(|config| config.http.held_bytes_max = 9_999_999),
            ["http.held_bytes_max"]
        );
        assert_eq!(
            faults(|config| config.publish.queue_bytes_max = 19_999_999),
            ["publish.queue_bytes_max"]
        );
        assert_eq!(
            faults(|config| config.drain_timeout = Duration::from_secs(19)),
            ["drain_timeout"]
        );
        assert_eq!(
            faults(|config| config.http.body_bytes_max = 11_000_000),
            ["http.body_bytes_max"]
        );
    }

    #[test]
    fn an_admin_token_that_can_be_guessed_is_refused() {
        assert_eq!(
            faults(|config| config.auth.admin_token = Some("short".into())),
            ["auth.admin_token"]
        );
        assert_eq!(
            faults(|config| config.auth.admin_token = Some("0123456789abcdef".into())),
            [""; 0]
        );
    }

    #[test]
    fn addresses_and_the_public_url_are_checked() {
        assert_eq!(faults(|config| config.http.listen = "8080".to_owned()), ["http.listen"]);
        assert_eq!(
            faults(|config| config.grpc.listen = ":8081".to_owned()),
            ["grpc.listen"]
        );
        assert_eq!(faults(|config| config.admin.listen = "[::]:0".to_owned()), [""; 0]);
        for bad in ["localhost:8080", "ftp://x", "http://x/path", "http://x?key=1", ""] {
            assert_eq!(
                faults(|config| config.http.public_url = bad.to_owned()),
                ["http.public_url"],
                "{bad}"
            );
        }
        assert_eq!(
            faults(|config| config.http.public_url = "https://c.example.com/".to_owned()),
            [""; 0]
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let found = faults(|config| {
            config.http.requests_max = 0;
            config.http.body_timeout = Duration::ZERO;
            config.publish.ack_timeout = Duration::ZERO;
        });
        assert_eq!(found, ["http.requests_max", "http.body_timeout", "publish.ack_timeout"]);
    }
}
