//! The real binary: SIGTERM, bad configuration, what is logged, and the commands of the first hour.

use std::time::Duration;

use kafka::testing::{Brokers, InProcessBroker, brokers};
use model::AccountNumber;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{IngestRecordsRequest, TailEventsRequest};
use tokio_stream::wrappers::ReceiverStream;

use crate::harness::process::{Process, command, run};
use crate::harness::{ADMIN_TOKEN, DEADLINE, http, topic};

const GOOD: &str = r#"{"braze_id":"b-1"}"#;

/// A broker with account 1234, and the binary running on it.
async fn process(environment: &[(&str, &str)]) -> (Brokers, kafka::Config, Process) {
    let brokers = brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let kafka = brokers.config();
    let directory = control::Directory::open(&kafka, None).await.unwrap();
    let accounts = [(account(), "Demo".to_owned())];
    directory
        .accounts()
        .ensure(&accounts, jiff::Timestamp::now())
        .await
        .unwrap();
    let process = Process::start(&kafka, environment).await;
    (brokers, kafka, process)
}

fn account() -> AccountNumber {
    AccountNumber::new(1234).unwrap()
}

/// Runs a command of the binary as an operator does, with the admin token.
async fn admin(process: &Process, arguments: &str) -> String {
    let output = run(command()
        .args(arguments.split(' '))
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", process.grpc))
        .env("LYTICS_TOKEN", ADMIN_TOKEN))
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the process reports one request in progress.
async fn in_progress(process: &Process) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let seen = "ingest_requests_in_progress 1\n";
    while !http::get(process.admin, "/metrics").await.body.contains(seen) {
        assert!(tokio::time::Instant::now() < deadline, "the request was never seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn sigterm_finishes_the_request_in_flight_takes_no_other_and_exits_0() {
    let (_brokers, kafka, mut process) = process(&[]).await;
    let mut in_flight = http::Connection::open(process.http).await;
    let head = format!(
        "POST /c/1234/braze_users?key={ADMIN_TOKEN} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        GOOD.len()
    );
    in_flight.write(head).await;
    in_flight.write(&GOOD[..5]).await;
    let idle = http::Connection::open(process.http).await;
    in_progress(&process).await;
    let deadline = tokio::time::Instant::now() + DEADLINE;

    process.terminate();
    while tokio::net::TcpStream::connect(process.http).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the port is still open");
    }
    assert!(idle.closes().await);
    let ready = http::get(process.admin, "/readyz").await;
    assert_eq!(
        (ready.status, ready.body.contains("draining")),
        (503, true),
        "{}",
        ready.body
    );

    in_flight.write(&GOOD[5..]).await;
    let answer = in_flight.answer().await;
    answer.counts(1, 0);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
    topic::events(&kafka, account(), 1).await;
}

#[tokio::test]
async fn sigterm_waits_for_a_publish_that_is_not_acknowledged_yet() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let kafka = broker.config();
    let mut process = Process::start(
        &kafka,
        &[
            ("INGEST_SVC__PUBLISH__ACK_TIMEOUT", "15s"),
            ("INGEST_SVC__DRAIN_TIMEOUT", "30s"),
        ],
    )
    .await;
    let (directory, address) = (control::Directory::open(&kafka, None).await.unwrap(), process.http);
    directory
        .accounts()
        .ensure(&[(account(), "Demo".to_owned())], jiff::Timestamp::now())
        .await
        .unwrap();
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while http::post(address, &path, &[], GOOD.as_bytes()).await.status == 404 {
        assert!(tokio::time::Instant::now() < deadline, "the account never came");
    }
    broker.down().unwrap();
    let mut request = tokio::task::JoinSet::new();
    request.spawn(async move { http::post(address, &path, &[], br#"{"braze_id":"b-2"}"#).await });
    in_progress(&process).await;
    process.terminate();
    while http::get(process.admin, "/readyz").await.status == 200 {
        assert!(tokio::time::Instant::now() < deadline, "the drain never began");
    }
    assert!(
        request.try_join_next().is_none(),
        "nothing is answered before the acknowledgement"
    );
    broker.up().unwrap();
    request.join_next().await.unwrap().unwrap().counts(1, 0);
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
    assert_eq!(topic::events(&kafka, account(), 2).await[1].key, "br_user_id:b-2");
}

#[tokio::test]
async fn sigterm_ends_open_streams_and_tails_and_says_so() {
    let (_brokers, _, mut process) = process(&[]).await;
    let endpoint = format!("http://{}", process.grpc);
    let channel = runtime::grpc::connect(&endpoint, Some(&ADMIN_TOKEN.into()))
        .await
        .unwrap();
    let mut client = IngestServiceClient::new(channel);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let first = IngestRecordsRequest {
        account: "accounts/1234".to_owned(),
        stream: "braze_users".to_owned(),
        record: GOOD.into(),
    };
    sender.send(first).await.unwrap();
    let mut answers = client
        .ingest_records(ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap().unwrap();
    let tail = TailEventsRequest {
        account: "accounts/1234".to_owned(),
        newest: 1,
        follow: true,
    };
    let mut tail = client.tail_events(tail).await.unwrap().into_inner();
    tail.message().await.unwrap().unwrap();
    process.terminate();
    assert_eq!(answers.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert_eq!(tail.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
}

#[tokio::test]
async fn sigterm_exits_0_when_nothing_is_in_flight() {
    let (_brokers, _, mut process) = process(&[]).await;
    process.terminate();
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
}

#[tokio::test]
async fn sigterm_exits_0_though_peers_hold_connections_on_which_they_never_finish_a_request() {
    let (_brokers, _, mut process) = process(&[]).await;
    let mut half = http::Connection::open(process.http).await;
    half.write("POST /c/1234/braze_users HTTP/1.1\r\nhost: te").await;
    let _silent = tokio::net::TcpStream::connect(process.grpc).await.unwrap();
    // Answered on connections that were accepted after those.
    http::get(process.http, "/").await;
    admin(&process, "tokens list --account 1234").await;
    process.terminate();
    assert!(half.closes().await);
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
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
        ("authorizations list", "that is `export-svc authorizations list`"),
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
