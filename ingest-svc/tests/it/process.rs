//! The real binary: bad configuration, what is logged, a failure for good, and the commands of the first hour.

use std::process::Stdio;

use kafka::testing::{Brokers, InProcessBroker, brokers};
use model::AccountNumber;

use crate::harness::process::{Process, command, run};
use crate::harness::{ADMIN_TOKEN, DEADLINE, http, topic, wait_for};

pub(crate) const GOOD: &str = r#"{"braze_id":"b-1"}"#;

/// A broker with account 1234, and the binary running on it.
pub(crate) async fn process(environment: &[(&str, &str)]) -> (Brokers, kafka::Config, Process) {
    let brokers = brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let kafka = brokers.config();
    with_account(&kafka).await;
    let process = Process::start(&kafka, environment).await;
    (brokers, kafka, process)
}

pub(crate) fn account() -> AccountNumber {
    AccountNumber::new(1234).unwrap()
}

/// Creates account 1234.
pub(crate) async fn with_account(kafka: &kafka::Config) {
    let directory = control::Directory::open(kafka, &control::Auth::default())
        .await
        .unwrap();
    let accounts = [(account(), "Demo".to_owned())];
    let now = jiff::Timestamp::now();
    directory.accounts().ensure(&accounts, now).await.unwrap();
}

/// Posts until the service has heard of account 1234.
pub(crate) async fn until_accepted(process: &Process, path: &str) {
    wait_for("the service has heard of the account", async || {
        let answer = http::post(process.http, path, &[], GOOD.as_bytes()).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// Waits until this is among the metrics of the process.
pub(crate) async fn reports(process: &Process, metric: &str) {
    wait_for(metric, async || {
        let metrics = http::get(process.admin, "/metrics").await.body;
        metrics.contains(metric).then_some(())
    })
    .await;
}

/// Runs a command of the binary as an operator does, with the admin token.
pub(crate) async fn admin(process: &Process, arguments: &str) -> String {
    let output = run(command()
        .args(arguments.split(' '))
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", process.grpc))
        .env("LYTICS_TOKEN", ADMIN_TOKEN))
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_producer_that_has_failed_for_good_ends_the_process_with_70() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let kafka = broker.config();
    with_account(&kafka).await;
    let mut process = Process::start(&kafka, &[]).await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    until_accepted(&process, &path).await;
    broker.fail_next_producer().unwrap();
    http::post(process.http, &path, &[], GOOD.as_bytes()).await.refusal(503);
    assert_eq!(process.ended().await, Some(70), "{}", process.log());
    assert!(process.log().contains("task publisher failed"), "{}", process.log());
}

#[tokio::test]
async fn what_is_refused_for_good_is_logged_with_account_stream_and_reason_and_counted() {
    let (_brokers, _, process) = process(&[]).await;
    for account in [1234, 77] {
        let path = format!("/c/{account}/braze_users?key=wrong");
        http::post(process.http, &path, &[], b"{}").await.refusal(401);
    }
    let path = format!("/c/77/braze_users?key={ADMIN_TOKEN}");
    http::post(process.http, &path, &[], b"{}").await.refusal(404);
    reports(&process, "ingest_refused_total{reason=\"unknown_token\"} 2\n").await;
    reports(&process, "ingest_refused_total{reason=\"unknown_account\"} 1\n").await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains("unknown_account")).unwrap();
    for said in ["refused", "77", "braze_users", "404"] {
        assert!(line.contains(said), "{said} in {line}");
    }
}

#[tokio::test]
async fn no_log_line_holds_a_token_or_a_query_string_even_at_the_lowest_level() {
    let filter = [("INGEST_SVC__TELEMETRY__LOG_FILTER", "trace")];
    let (_brokers, _, mut process) = process(&filter).await;
    let token = admin(
        &process,
        "tokens create --account 1234 --role data_manager --output token",
    )
    .await;
    let token = token.trim_end();
    let secret = token.rsplit('_').next().unwrap();
    let in_query = format!("/c/1234/braze_users?key={token}");
    let other = format!("/c/1234/braze_users?access_token={token}&filename=the-query-string");
    http::post(process.http, &in_query, &[], GOOD.as_bytes())
        .await
        .counts(1, 0);
    http::post(process.http, &other, &[], b"broken").await.refusal(400);
    let header = format!("authorization: Bearer {token}");
    http::post(process.http, "/c/1234/braze_users", &[&header], GOOD.as_bytes())
        .await
        .counts(1, 0);
    http::post(process.http, &format!("{in_query}x"), &[], GOOD.as_bytes())
        .await
        .refusal(401);
    http::post(
        process.http,
        &in_query.replace("/c/1234/", "/c/99/"),
        &[],
        GOOD.as_bytes(),
    )
    .await
    .refusal(404);
    admin(&process, "events tail --account 1234 --no-follow").await;
    process.terminate();
    assert_eq!(process.ended().await, Some(0));
    let log = process.log();
    assert!(log.contains("created accounts/1234/apiTokens/"), "the log is there");
    for hidden in [secret, ADMIN_TOKEN, "the-query-string"] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert_eq!(line, None);
    }
}

#[tokio::test]
async fn a_bad_configuration_exits_64_with_every_fault_before_anything_starts() {
    let output = run(command()
        .args(["serve", "--check-config"])
        .env("INGEST_SVC__HTTP__BODY_BYTES_MAX", "many")
        .env("INGEST_SVC__HTTP__PUBLIC_URL", "localhost")
        .env("INGEST_SVC__HTTP__NO_SUCH_KEY", "1")
        .env("INGEST_SVC__DRAIN_TIMEOUT", "1s"))
    .await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{errors}");
    for key in ["BODY_BYTES_MAX", "PUBLIC_URL", "NO_SUCH_KEY", "DRAIN_TIMEOUT"] {
        assert!(errors.contains(key), "{key} in {errors}");
    }
}

#[tokio::test]
async fn a_good_configuration_is_checked_without_starting() {
    let output = run(command()
        .args(["serve", "--check-config"])
        .env("INGEST_SVC__HTTP__LISTEN", "127.0.0.1:1"))
    .await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_command_of_the_other_binary_is_named_with_exit_code_2() {
    for (arguments, said) in [
        (
            "jobs create --account 1234 --auth Sim",
            "that is `export-svc jobs create`",
        ),
        ("accounts", "that is `export-svc accounts …`"),
        (
            "memberships publish --enter",
            "that is `export-svc memberships publish`",
        ),
    ] {
        let output = run(command().args(arguments.split(' '))).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), errors.contains(said)),
            (Some(2), true),
            "{errors}"
        );
    }
}

#[tokio::test]
async fn the_commands_of_the_first_hour_work_as_typed() {
    let (_brokers, _, process) = process(&[]).await;
    let text = admin(&process, "tokens create --account 1234 --role data_manager").await;
    let token = text.lines().next().unwrap().strip_prefix("token: ").unwrap();
    assert!(
        text.contains(&format!("http://localhost:8080/c/1234/braze_users?key={token}")),
        "{text}"
    );

    let body = include_bytes!("../../../examples/webhook.json");
    let path = format!("/c/1234/braze_users?key={token}");
    // What curl -d says of its body.
    let curl = ["content-type: application/x-www-form-urlencoded"];
    http::post(process.http, &path, &curl, body).await.counts(1, 0);

    let lines = admin(&process, "events tail --account 1234 --no-follow").await;
    let event: serde_json::Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!(event["identities"]["br_user_id"], "64b1f0a2c9e77b0012aa34cd");
    assert_eq!(event["fields"]["birth_date"], "1982-01-01T00:00:00Z");

    let listed = admin(&process, "tokens list --account 1234").await;
    let listed: serde_json::Value = serde_json::from_str(listed.trim_end()).unwrap();
    let name = listed["name"].as_str().unwrap();
    assert_eq!(
        (&listed["roles"], &listed["expire_time"]),
        (&serde_json::json!(["data_manager"]), &serde_json::Value::Null)
    );
    admin(&process, &format!("tokens get {name}")).await;
    let update = format!("tokens update {name} --requests-max 4 --allow braze:US-03 --allow 10.1.0.0/16");
    let updated: serde_json::Value = serde_json::from_str(admin(&process, &update).await.trim_end()).unwrap();
    assert_eq!(
        (
            &updated["requests_max"],
            &updated["requests_per_second"],
            &updated["roles"]
        ),
        (&serde_json::json!(4), &serde_json::Value::Null, &listed["roles"])
    );
    assert_eq!(
        updated["allowed_sources"],
        serde_json::json!(["braze:US-03", "10.1.0.0/16"])
    );
    admin(&process, &format!("tokens delete {name}")).await;
    assert_eq!(admin(&process, "tokens list --account 1234").await, "");
}

#[tokio::test]
async fn a_call_that_is_refused_says_why_and_exits_1() {
    let (_brokers, _, process) = process(&[]).await;
    let endpoint = format!("http://{}", process.grpc);
    let output = run(command()
        .args("tokens list --account 1234".split(' '))
        .env("INGEST_SVC_ENDPOINT", endpoint))
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (output.status.code(), errors.contains("token")),
        (Some(1), true),
        "{errors}"
    );
}

#[tokio::test]
async fn what_is_not_to_be_recorded_is_in_no_metric_and_passes_no_trace_on() {
    let (_brokers, kafka, process) = process(&[("INGEST_SVC__TELEMETRY__RECORDED", "false")]).await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    until_accepted(&process, &path).await;
    let traceparent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = http::post(process.http, &path, &[traceparent], GOOD.as_bytes()).await;
    answer.counts(1, 0);
    assert_eq!(http::get(process.admin, "/metrics").await.body, "");
    for record in topic::events(&kafka, account(), 2).await {
        assert_eq!(record.traceparent, None);
    }
}

#[tokio::test]
async fn a_command_whose_reader_has_gone_ends_quietly() {
    let (_brokers, _, process) = process(&[]).await;
    admin(&process, "tokens create --account 1234 --role observer").await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    until_accepted(&process, &path).await;
    for line in [
        "completions bash",
        "tokens list --account 1234",
        "mappings list --account 1234",
        // It would go on for ever.
        "events tail --account 1234 --newest 1",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command()
            .args(line.split(' '))
            .env("INGEST_SVC_ENDPOINT", format!("http://{}", process.grpc))
            .env("LYTICS_TOKEN", ADMIN_TOKEN)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        let ended = tokio::time::timeout(DEADLINE, child.unwrap().wait_with_output()).await;
        let output = ended.expect(line).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), errors.as_ref()), (Some(0), ""), "{line}");
    }
}
