//! Commands against a service in this process.

use std::process::Output;

use serde_json::Value;

use super::{export_svc, file, folder, stderr, stdout};
use crate::service::{ADMIN, Service, config};

const KEY: &str = "b1946ac9-2f5a-4c0f-9c4e-5d0c3f7e9a11";

/// Runs the binary against the service, as its admin.
async fn run(service: &Service, arguments: &[&str]) -> Output {
    let mut command = export_svc();
    command
        .args(arguments)
        .env("EXPORT_SVC_ENDPOINT", service.endpoint())
        .env("LYTICS_TOKEN", ADMIN);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

async fn done(service: &Service, arguments: &[&str]) -> String {
    let output = run(service, arguments).await;
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output)
}

async fn refused(service: &Service, arguments: &[&str]) -> String {
    let output = run(service, arguments).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "{arguments:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
    stderr(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_works_as_typed() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", &format!("{KEY}\n"));
    let key_file = key_file.to_str().unwrap();
    let created = done(
        &service,
        &[
            "authorizations",
            "create",
            "--account",
            "1234",
            "--provider",
            "braze",
            "--label",
            "Sim",
            "--instance",
            "US-01",
            "--key-file",
            key_file,
        ],
    )
    .await;
    assert!(
        created.contains("accounts/1234/authorizations/") && !created.contains(KEY),
        "{created}"
    );
    let created = done(
        &service,
        &[
            "jobs",
            "create",
            "--account",
            "1234",
            "--auth",
            "Sim",
            "--label",
            "VIP to Braze",
            "--audience",
            "vip",
            "--external-id-field",
            "user_id",
            "--existing-users",
            "--flush-after",
            "2s",
        ],
    )
    .await;
    assert!(created.contains("accounts/1234/exportJobs/"), "{created}");
    let published = done(
        &service,
        &[
            "memberships",
            "publish",
            "--account",
            "1234",
            "--audience",
            "vip",
            "--profile",
            "42",
            "--enter",
            "--field",
            "user_id=cust-1",
        ],
    )
    .await;
    assert!(published.contains("enter of profile 42, audience vip"), "{published}");
    let job = done(
        &service,
        &["jobs", "get", "--account", "1234", "VIP to Braze", "--output", "json"],
    )
    .await;
    let job: Value = serde_json::from_str(&job).unwrap();
    assert_eq!(
        (&job["flushAfter"], &job["existingUsers"]),
        (&Value::from("2s"), &Value::from(true))
    );
    let listed = done(&service, &["jobs", "list", "--account", "1234"]).await;
    assert!(
        listed.starts_with("NAME") && listed.contains("VIP to Braze"),
        "{listed}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_can_be_listed_shown_and_deleted() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    done(&service, &["accounts", "create", "7", "--label", "Acme"]).await;
    let accounts = done(&service, &["accounts", "list", "--output", "json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&accounts)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    done(
        &service,
        &[
            "authorizations",
            "create",
            "--account",
            "7",
            "--label",
            "S",
            "--instance",
            "us-01",
            "--key-file",
            key_file,
        ],
    )
    .await;
    let job = [
        "jobs",
        "create",
        "--account",
        "7",
        "--auth",
        "S",
        "--label",
        "J",
        "--audience",
        "a",
        "--audience",
        "b",
    ];
    let ways = [
        "--alias-label",
        "crm",
        "--alias-field",
        "crm_id",
        "--braze-id-field",
        "br",
        "--batch-max",
        "10",
    ];
    done(&service, &[job.as_slice(), &ways].concat()).await;
    let shown = done(&service, &["authorizations", "get", "S", "--account", "7"]).await;
    assert!(shown.contains("US-01") && !shown.contains(KEY), "{shown}");
    let rotate = [
        "authorizations",
        "rotate-key",
        "S",
        "--account",
        "7",
        "--key-file",
        key_file,
    ];
    let rotated = done(&service, &rotate).await;
    assert!(rotated.contains("US-01") && !rotated.contains(KEY), "{rotated}");
    let paused = done(&service, &["jobs", "pause", "J", "--account", "7"]).await;
    assert!(paused.contains("paused"), "{paused}");
    let again = refused(&service, &["jobs", "pause", "J", "--account", "7"]).await;
    assert!(again.contains("is paused already"), "{again}");
    let resumed = done(&service, &["jobs", "resume", "J", "--account", "7"]).await;
    assert!(!resumed.contains("paused"), "{resumed}");
    let reset = ["jobs", "reset", "J", "--account", "7"];
    done(&service, &[&reset[..], &["--to-beginning"]].concat()).await;
    done(
        &service,
        &[&reset[..], &["--to-offset", "0=0,1=0", "--audience", "a"]].concat(),
    )
    .await;
    let beyond = refused(&service, &[&reset[..], &["--to-offset", "1=5"]].concat()).await;
    assert!(
        beyond.contains("OUT_OF_RANGE") && beyond.contains("partition 1"),
        "{beyond}"
    );
    let used = refused(&service, &["authorizations", "delete", "S", "--account", "7"]).await;
    assert!(used.contains("FAILED_PRECONDITION") && used.contains("\"J\""), "{used}");
    done(&service, &["jobs", "delete", "J", "--account", "7"]).await;
    done(&service, &["authorizations", "delete", "S", "--account", "7"]).await;
    done(&service, &["accounts", "delete", "7"]).await;
    let gone = refused(&service, &["accounts", "get", "7"]).await;
    assert!(gone.contains("NOT_FOUND") && gone.contains("accounts/7"), "{gone}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_every_fault_and_the_fix() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    let create = ["authorizations", "create", "--account", "1234", "--key-file", key_file];
    let faults = refused(
        &service,
        &[create.as_slice(), &["--label", " ", "--instance", "US-99"]].concat(),
    )
    .await;
    assert!(
        faults.contains("authorization.label") && faults.contains("US-01, US-02"),
        "{faults}"
    );
    let unknown = refused(
        &service,
        &[
            "jobs",
            "create",
            "--account",
            "1234",
            "--auth",
            "Nope",
            "--label",
            "J",
            "--audience",
            "vip",
            "--braze-id-field",
            "b",
        ],
    )
    .await;
    assert!(unknown.contains("no authorization \"Nope\""), "{unknown}");
    let mut without_token = export_svc();
    without_token.args(["accounts", "list", "--endpoint", &service.endpoint()]);
    let output = tokio::task::spawn_blocking(move || without_token.output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("LYTICS_TOKEN"), "{}", stderr(&output));
    let nobody = export_svc()
        .args(["accounts", "list", "--endpoint", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("http://127.0.0.1:1"), "{}", stderr(&nobody));
    service.stop().await;
}

#[test]
fn a_command_of_the_other_binary_says_which_one_has_it() {
    let output = export_svc()
        .args(["tokens", "create", "--account", "1234"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "that is `ingest-svc tokens create --account 1234`\n");
    let output = export_svc().args(["events", "tail"]).output().unwrap();
    assert_eq!(stderr(&output), "that is `ingest-svc events tail`\n");
}

#[test]
fn a_key_is_not_taken_from_the_arguments() {
    let arguments = [
        "authorizations",
        "create",
        "--account",
        "1",
        "--label",
        "S",
        "--instance",
        "US-01",
        "--key",
        KEY,
    ];
    let output = export_svc().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "there is no such option");
}

#[test]
fn topics_are_created_once_without_the_rest_of_the_configuration() {
    let Some(kafka) = kafka::testing::real_only("topics_are_created_once_without_the_rest_of_the_configuration") else {
        return;
    };
    let ensure = || {
        let mut command = export_svc();
        command.args(["topics", "ensure", "--account", "7"]);
        command.env("EXPORT_SVC__KAFKA__BROKERS", &kafka.brokers);
        command.env("EXPORT_SVC__KAFKA__TOPIC_PREFIX", &kafka.topic_prefix);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let created = ensure();
    assert!(
        created.contains(&format!("created {}control\n", kafka.topic_prefix)),
        "{created}"
    );
    assert!(created.contains("audience-membership.7"), "{created}");
    assert_eq!(ensure(), "every topic exists already\n");
}
