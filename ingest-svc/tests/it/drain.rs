//! SIGTERM to the real binary: what is in flight is finished, and nobody who says or reads nothing holds it up.

use kafka::testing::InProcessBroker;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncBufReadExt;

use crate::harness::process::{Process, command};
use crate::harness::{ADMIN_TOKEN, http, ingest, topic, wait_for};
use crate::process::{GOOD, account, admin, process, reports, until_accepted, with_account};

/// Waits until the process reports one request in progress.
async fn in_progress(process: &Process) {
    reports(process, "ingest_requests_in_progress 1\n").await;
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

    process.terminate();
    wait_for("the port is closed", async || {
        tokio::net::TcpStream::connect(process.http).await.err()
    })
    .await;
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
            ("INGEST_SVC__DRAIN_TIMEOUT", "40s"),
        ],
    )
    .await;
    let address = process.http;
    with_account(&kafka).await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    until_accepted(&process, &path).await;
    broker.down().unwrap();
    let mut request = tokio::task::JoinSet::new();
    request.spawn(async move { http::post(address, &path, &[], br#"{"braze_id":"b-2"}"#).await });
    in_progress(&process).await;
    process.terminate();
    wait_for("the drain begins", async || {
        (http::get(process.admin, "/readyz").await.status != 200).then_some(())
    })
    .await;
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
    let mut client = ingest::client(process.grpc, ADMIN_TOKEN).await;
    let (_sender, mut answers) = ingest::open(&mut client, ingest::record(account(), GOOD)).await;
    answers.message().await.unwrap().unwrap();
    let tail = client.tail_events(ingest::tail(account(), 1, true)).await;
    let mut tail = tail.unwrap().into_inner();
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

/// Time enough in a drain that a test notices what uses it up.
const PATIENT: [(&str, &str); 2] = [
    ("INGEST_SVC__PUBLISH__ACK_TIMEOUT", "60s"),
    ("INGEST_SVC__DRAIN_TIMEOUT", "90s"),
];

#[tokio::test]
async fn sigterm_is_not_held_up_by_an_events_tail_that_was_stopped() {
    let (_brokers, _, mut process) = process(&PATIENT).await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    http::post(process.http, &path, &[], GOOD.as_bytes()).await.counts(1, 0);
    let mut tail = command()
        .args("events tail --account 1234".split(' '))
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", process.grpc))
        .env("LYTICS_TOKEN", ADMIN_TOKEN)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(tail.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().unwrap();
    let pid = Pid::from_raw(i32::try_from(tail.id().unwrap()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();

    process.terminate();
    assert_eq!(process.ended().await, Some(0), "{}", process.log());
}
