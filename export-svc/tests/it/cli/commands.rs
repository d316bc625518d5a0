//! Commands against a service in this process.

mod audiences;
mod authorizations;
mod closed;
mod events;
mod explain;
mod jobs;
mod removal;

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
async fn trigger_messages_are_published_line_by_line_and_a_job_shows_whom_it_did_not_send() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let run_line = async |line: String| {
        let words = words(&line);
        run(&service, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    for line in [
        format!(
            "authorizations create --account 1234 --provider braze --label Sim --instance US-01 --key-file {}",
            key_file.display()
        ),
        "jobs create --account 1234 --auth Sim --label VIP --audience vip --external-id-field user_id --existing-users"
            .to_owned(),
    ] {
        let output = run_line(line).await;
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let nobody = run_line("jobs omitted --account 1234 VIP".to_owned()).await;
    assert_eq!(stdout(&nobody), "none\n", "{}", stderr(&nobody));
    let triggers = r#"{"data": {"uid": "42", "segment_events": [{"slug": "vip", "event": "enter"}, {"slug": "x", "event": "change"}]}}

   
{"data": {"uid": "43"}}

"#;
    let triggers = file(folder.path(), "triggers.json", triggers);
    let output = run_line(format!(
        "memberships trigger --account 1234 --profile-id-field uid {}",
        triggers.display()
    ))
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output),
        "published 1 changes; ignored 1 other events; rejected 1 messages\n"
    );
    assert!(
        stderr(&output).starts_with("line 4: json is no trigger message: missing field `segment_events`"),
        "{}",
        stderr(&output)
    );
    runtime::testing::until("the job has kept it", async || {
        let output = run_line("jobs omitted --account 1234 VIP --reason no_identifier --output json".to_owned()).await;
        let Ok(omitted) = serde_json::from_slice::<Value>(&output.stdout) else {
            return false;
        };
        assert_eq!(
            (&omitted["profileId"], &omitted["action"]),
            (&"42".into(), &"enter".into())
        );
        assert_eq!(omitted["detail"], "the change has no value in user_id");
        true
    })
    .await;
    let row = run_line("jobs omitted --account 1234 VIP --all".to_owned()).await;
    assert!(
        stdout(&row).contains("\tvip\tenter\t42\tno_identifier\t"),
        "{}",
        stdout(&row)
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
    let update = ["jobs", "update", "J", "--account", "7"];
    let edit = ["--description", "Both", "--add-audience", "c", "--remove-audience", "a"];
    let updated = done(&service, &[&update[..], &edit].concat()).await;
    assert!(updated.contains("b, c") && updated.contains("Both"), "{updated}");
    let stale = refused(&service, &[&update[..], &["--label", "K", "--revision", "1"]].concat()).await;
    assert!(stale.contains("ABORTED"), "{stale}");
    let reset = ["jobs", "reset", "J", "--account", "7"];
    done(&service, &[&reset[..], &["--to-beginning"]].concat()).await;
    done(
        &service,
        &[&reset[..], &["--to-offset", "0=0,1=0", "--audience", "b"]].concat(),
    )
    .await;
    let beyond = refused(&service, &[&reset[..], &["--to-offset", "1=5"]].concat()).await;
    assert!(
        beyond.contains("OUT_OF_RANGE") && beyond.contains("partition 1"),
        "{beyond}"
    );
    let used = refused(&service, &["authorizations", "delete", "S", "--account", "7"]).await;
    assert!(used.contains("FAILED_PRECONDITION") && used.contains("\"J\""), "{used}");
    let bounced = done(&service, &["jobs", "bounce", "J", "--account", "7"]).await;
    assert!(bounced.contains("runnable"), "{bounced}");
    let bounced = done(&service, &["jobs", "bounce", "--account", "7", "--state", "failed"]).await;
    assert_eq!(bounced, "none\n");
    let killed = done(&service, &["jobs", "kill", "J", "--account", "7"]).await;
    assert!(killed.contains("killed"), "{killed}");
    let watched = done(&service, &["jobs", "watch", "J", "--account", "7"]).await;
    assert_eq!(watched, "killed\n");
    done(&service, &["jobs", "delete", "J", "--account", "7"]).await;
    done(&service, &["authorizations", "delete", "S", "--account", "7"]).await;
    done(&service, &["accounts", "delete", "7"]).await;
    let gone = refused(&service, &["accounts", "get", "7"]).await;
    assert!(gone.contains("NOT_FOUND") && gone.contains("accounts/7"), "{gone}");
    service.stop().await;
}

#[test]
fn a_shell_is_told_what_there_is_to_complete() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = export_svc().args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", stderr(&output));
        let script = stdout(&output);
        assert!(
            script.contains("rotate-key") && script.contains("omitted"),
            "{shell}: {script}"
        );
    }
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
