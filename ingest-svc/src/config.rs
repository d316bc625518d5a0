//! Configuration. The doc comment of a field is its manual.

mod imports;

use std::num::NonZeroU32;
use std::time::Duration;

use control::Limits;
use kafka::PublisherOptions;
use runtime::config::{Fault, Listen, Validate};
use runtime::grpc::MESSAGE_BYTES_MAX;
use runtime::window::WINDOW_BYTES;
use serde::Deserialize;

pub use self::imports::{Braze, Imports, Secrets};

/// What environment variables begin with: `INGEST_SVC__HTTP__LISTEN` is `http.listen`.
pub const ENV_PREFIX: &str = "INGEST_SVC";

/// Event tails that a process serves at once; one more is RESOURCE_EXHAUSTED. Each is a Kafka client of four threads.
pub const TAILS_MAX: usize = 4;

/// What a drain takes on top of the longest request: answers on their way, peers taking leave.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// The whole configuration of `ingest-svc serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Kafka is.
    pub kafka: kafka::Config,
    /// Who may do what before the first token exists.
    pub auth: control::Auth,
    /// The port that Braze posts to.
    pub http: Http,
    /// The gRPC port.
    pub grpc: Listen<8081>,
    /// The port of probes and metrics.
    pub admin: Listen<8082>,
    /// How records are published.
    pub publish: PublisherOptions,
    /// What import jobs may do.
    pub imports: Imports,
    /// Keys that seal secrets.
    pub secrets: Secrets,
    /// Where Braze is.
    pub braze: Braze,
    /// Logs and traces.
    pub telemetry: runtime::telemetry::Config,
    /// How long SIGTERM waits for what is in flight. Shorter than the pod's grace period. Default `22s`.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
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
    /// Uploads through `/collect/bulk` in progress at once, beside `http.requests_max`; one more is answered 503. Each holds up to 4 MiB
    /// of records, which wait for Kafka in `publish.queue_bytes_max`. Default 4.
    pub bulk_max: usize,
    /// Requests that may be begun with one API token in a second, at each replica; after a pause as many may come at once. One more
    /// is answered 429. A gRPC stream of records counts as one request. A token may have a limit of its own. At most 1,000,000;
    /// default 10,000.
    pub token_requests_per_second: NonZeroU32,
    /// Requests of one API token in progress at once, at each replica; one more is answered 429, so that one sender cannot take all
    /// of `http.requests_max`. A token may have a limit of its own. Default 512.
    pub token_requests_max: NonZeroU32,
    /// Bytes of bodies, and of records of gRPC streams, held at once; what does not fit is answered 503, or UNAVAILABLE. Default
    /// 256 MiB.
    pub held_bytes_max: usize,
    /// Open connections; a further one waits in the kernel's backlog until another closes. Default 4,096.
    pub connections_max: usize,
    /// How long the head of a request may take, how long a connection may be idle between two, and how long its peer may take
    /// nothing of an answer; then it is closed. Longer than the idle timeout of a load balancer in front. Default `75s`.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a body may take from the head of its request to its last byte; then 408, which Braze retries. With
    /// `publish.ack_timeout` on top it is also the longest that a request as a whole may take; then 503. An upload through
    /// `/collect/bulk` may take as long as it likes, but not pause for longer. Default `15s`.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Requests in a second that begin a trace, at each replica; after a pause as many may come at once. Of the others no span is
    /// recorded, unless the sender's `traceparent` names a trace. Default 10.
    pub traces_per_second: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: kafka::Config::default(),
            auth: control::Auth::default(),
            http: Http::default(),
            grpc: Listen::default(),
            admin: Listen::default(),
            publish: PublisherOptions::default(),
            imports: Imports::default(),
            secrets: Secrets::default(),
            braze: Braze::default(),
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
            bulk_max: 4,
            token_requests_per_second: const { NonZeroU32::new(10_000).unwrap() },
            token_requests_max: const { NonZeroU32::new(512).unwrap() },
            held_bytes_max: 256 << 20,
            connections_max: 4_096,
            header_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(15),
            traces_per_second: 10,
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
        self.grpc.faults("grpc", out);
        self.admin.faults("admin", out);
        for (key, problem) in self.publish.problems() {
            out.push(Fault::new(format!("publish.{key}"), problem));
        }
        self.imports.faults(out);
        self.secrets.faults(out);
        self.braze.faults(out);
        if let Some(problem) = self.auth.problem() {
            out.push(Fault::new("auth.admin_token", problem));
        }
        if self.publish.queue_bytes_max < self.http.body_bytes_max.saturating_mul(2) {
            let problem = "must be at least twice http.body_bytes_max, or the largest body never fits beside another";
            out.push(Fault::new("publish.queue_bytes_max", problem));
        }
        if self.http.bulk_max.saturating_mul(2 * WINDOW_BYTES) > self.publish.queue_bytes_max {
            let problem = "must be at most publish.queue_bytes_max / 8 MiB, or uploads in bulk overflow their queue";
            out.push(Fault::new("http.bulk_max", problem));
        }
        let least = self.http.body_timeout + self.publish.ack_timeout + DRAIN_MARGIN;
        if self.drain_timeout < least {
            let problem = format!(
                "must be at least {least:?}: http.body_timeout, publish.ack_timeout and 2s, or a drain cuts requests off"
            );
            out.push(Fault::new("drain_timeout", problem));
        }
    }
}

impl Validate for Http {
    fn faults(&self, out: &mut Vec<Fault>) {
        out.extend(Fault::unless_address("http.listen", &self.listen));
        for (key, value) in [
            ("http.body_bytes_max", self.body_bytes_max),
            ("http.records_max", self.records_max),
            ("http.requests_max", self.requests_max),
            ("http.bulk_max", self.bulk_max),
            ("http.connections_max", self.connections_max),
        ] {
            if value == 0 {
                out.push(Fault::new(key, "must be at least 1"));
            }
        }
        if self.token_requests_per_second.get() > Limits::REQUESTS_PER_SECOND_MAX {
            out.push(Fault::new("http.token_requests_per_second", "must be at most 1000000"));
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
        if self.held_bytes_max < self.body_bytes_max.max(MESSAGE_BYTES_MAX) {
            let problem =
                "must be at least http.body_bytes_max and 4194304, or the largest body or record is never admitted";
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
            faults(|config| (config.publish.queue_bytes_max, config.http.bulk_max) = (19_999_999, 1)),
            ["publish.queue_bytes_max"]
        );
        assert_eq!(faults(|config| config.http.bulk_max = 5), ["http.bulk_max"]);
        assert_eq!(
            faults(|config| config.drain_timeout = Duration::from_secs(19)),
            ["drain_timeout"]
        );
        assert_eq!(
            faults(|config| config.http.token_requests_per_second = NonZeroU32::MAX),
            ["http.token_requests_per_second"]
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
