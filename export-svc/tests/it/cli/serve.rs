//! `serve`: its configuration, and its end by a signal.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{export_svc, file, folder, stderr, stdout};
use crate::service::{ADMIN, KEYS};

#[test]
fn a_bad_configuration_is_told_completely_with_exit_code_64() {
    let folder = folder();
    let config = file(
        folder.path(),
        "bad.toml",
        "[grpc]\nlisten = \"8091\"\n\n[kafka]\nbrokerz = \"x\"\n",
    );
    let mut command = export_svc();
    command.args(["serve", "--config"]).arg(config);
    command
        .env("EXPORT_SVC__DRAIN_TIMEOUT", "1s")
        .env("EXPORT_SVC__PUBLISH__WINDOW_MAX", "many");
    command.env("EXPORT_SVC__SECRETS__KEYS", "k1:c2VjcmV0LXdvcmQ=");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    let told = stderr(&output);
    for key in [
        "grpc.listen",
        "kafka.brokerz",
        "drain_timeout",
        "publish.window_max",
        "secrets.keys",
    ] {
        assert!(told.contains(&format!("({key})")), "{key} is missing:\n{told}");
    }
    assert!(!told.contains("c2VjcmV0LXdvcmQ"), "{told}");
    assert_eq!(stdout(&output), "", "nothing was started");
}

#[test]
fn a_good_configuration_is_checked_without_starting() {
    let mut command = export_svc();
    command
        .args(["serve", "--check-config"])
        .env("EXPORT_SVC__SECRETS__KEYS", KEYS);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "the configuration is good\n");
}

#[test]
fn a_kafka_that_is_not_there_is_a_missing_precondition() {
    let mut command = export_svc();
    command.arg("serve").env("EXPORT_SVC__SECRETS__KEYS", KEYS);
    command
        .env("EXPORT_SVC__KAFKA__BROKERS", "127.0.0.1:1")
        .env("EXPORT_SVC__KAFKA__OPEN_TIMEOUT", "1s");
    command
        .env("EXPORT_SVC__GRPC__LISTEN", "127.0.0.1:0")
        .env("EXPORT_SVC__ADMIN__LISTEN", "127.0.0.1:0");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains("127.0.0.1:1"), "{}", stderr(&output));
}

/// Ends the process with the test, however that ends.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_service_well_and_no_secret_was_logged() {
    let brokers = kafka::testing::brokers();
    let kafka = brokers.config();
    let mut command = export_svc();
    command.arg("serve").stderr(Stdio::piped());
    let settings = [
        ("KAFKA__BROKERS", kafka.brokers.clone()),
        ("KAFKA__TOPIC_PREFIX", kafka.topic_prefix.clone()),
        ("KAFKA__IN_PROCESS", kafka.in_process.to_string()),
        ("AUTH__ADMIN_TOKEN", ADMIN.to_owned()),
        ("SECRETS__KEYS", KEYS.to_owned()),
        ("BOOTSTRAP__ACCOUNTS", "1234=Demo".to_owned()),
        ("GRPC__LISTEN", "127.0.0.1:0".to_owned()),
        ("ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
    ];
    command.envs(settings.map(|(key, value)| (format!("EXPORT_SVC__{key}"), value)));
    let ended = tokio::task::spawn_blocking(move || {
        let mut served = Served(command.spawn().unwrap());
        let mut log = BufReader::new(served.0.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("is ready") {
            assert_ne!(
                log.read_line(&mut told).unwrap(),
                0,
                "ended before it was ready:\n{told}"
            );
        }
        kill(Pid::from_raw(i32::try_from(served.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        let began = Instant::now();
        while log.read_line(&mut told).unwrap() > 0 {}
        (served.0.wait().unwrap(), began.elapsed(), told)
    });
    let (status, took, told) = ended.await.unwrap();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(
        took < Duration::from_secs(20),
        "nothing was in flight, and yet it took {took:?}"
    );
    assert!(!told.contains(ADMIN) && !told.contains(&KEYS[3..]), "{told}");
}
