//! Kafka away, the control table old, a bound reached: 503 or 408, which Braze retries, and nothing else.

use std::time::Duration;

use ingest_svc::app::App;
use kafka::testing::InProcessBroker;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::process::Process;
use crate::harness::{self, ADMIN_TOKEN, Service, http, ingest};
use crate::process::{admin, reports, until_accepted, with_account};

const GOOD: &str = r#"{"braze_id":"b-1"}"#;

#[tokio::test]
async fn without_kafka_everything_is_503_with_retry_after_within_the_ack_timeout() {
    let ack_timeout = Duration::from_secs(1);
    let (broker, service) = Service::alone(|config| config.publish.ack_timeout = ack_timeout).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    service.post(&path, GOOD).await.counts(1, 0);
    drop(broker);
    for body in [
        GOOD,
        r#"[{"braze_id":"b-1"},{"braze_id":"b-2"}]"#,
        r#"{"city":"nobody"}"#,
        "broken",
    ] {
        let asked = Instant::now();
        let answer = service.post(&path, body).await;
        let waited = asked.elapsed();
        answer.refusal(503);
        assert_eq!(answer.header("retry-after"), Some("10"), "{body}");
        assert!(
            waited < ack_timeout + Duration::from_secs(1),
            "{body}: answered after {waited:?}"
        );
    }
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_old_control_table_is_503_and_never_401_403_or_404() {
    let (_broker, service) = Service::alone(|_| {}).await;
    let (account, token) = service.sender().await;
    let (other, _) = service.sender().await;
    service
        .post(&format!("/c/{account}/braze_users?key={token}"), "[]")
        .await
        .counts(0, 0);
    // The table's thread goes by the machine's clock, so for the service it has been silent from now on.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    for (account, key) in [
        (account.to_string(), token.as_str()),
        (account.to_string(), "wrong"),
        (account.to_string(), ""),
        (other.to_string(), token.as_str()),
        ("999999".to_owned(), ADMIN_TOKEN),
        ("acme".to_owned(), ADMIN_TOKEN),
    ] {
        let answer = service.post(&format!("/c/{account}/braze_users?key={key}"), GOOD).await;
        answer.refusal(503);
        assert_eq!(answer.header("retry-after"), Some("10"));
    }
    let ready = http::get(service.addresses.admin, "/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains("control table"), "{}", ready.body);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_service_that_starts_without_kafka_answers_503_and_is_not_ready() {
    let kafka = kafka::Config {
        brokers: "127.0.0.1:9".to_owned(),
        open_timeout: Duration::from_millis(500),
        in_process: true,
        ..kafka::Config::default()
    };
    let app = App::build(harness::config(&kafka)).await.unwrap();
    let (addresses, lifecycle) = (app.addresses(), app.lifecycle());
    let mut run = tokio::task::JoinSet::new();
    run.spawn(app.run());
    let answer = http::post(
        addresses.http,
        &format!("/c/1/braze_users?key={ADMIN_TOKEN}"),
        &[],
        b"{}",
    )
    .await;
    answer.refusal(503);
    assert_eq!(http::get(addresses.admin, "/readyz").await.status, 503);
    assert_eq!(http::get(addresses.admin, "/livez").await.status, 200);
    lifecycle.drain("the test is over");
    run.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_503_until_another_is_answered() {
    let (_broker, service) = Service::alone(|config| config.http.requests_max = 1).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let (mut first, refused) = service.two_at_once(&path, GOOD, 503).await;
    refused.refusal(503);
    assert_eq!(refused.header("retry-after"), Some("10"));
    first.write(GOOD).await;
    first.answer().await.counts(1, 0);
    service.post(&path, "[]").await.counts(0, 0);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_body_beyond_the_bytes_that_may_be_held_is_503_before_it_is_read() {
    let (_broker, service) = Service::alone(|config| config.http.held_bytes_max = 1_000).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let (first, refused) = service.two_at_once(&path, &format!("[{:997}]", ""), 503).await;
    refused.refusal(503);
    drop(first);
    harness::wait_for("the bytes are given back", async || {
        (service.post(&path, "[]").await.status == 200).then_some(())
    })
    .await;
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408_and_a_head_that_does_not_is_cut_off() {
    let (_broker, service) = Service::alone(|config| {
        config.http.body_timeout = Duration::from_millis(300);
        config.http.header_timeout = Duration::from_millis(300);
    })
    .await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let mut stalled = service.begin(&path, 100).await;
    stalled.write("{").await;
    stalled.answer().await.refusal(408);

    let mut head = http::Connection::open(service.addresses.http).await;
    head.write("POST /c/1/braze_us").await;
    assert!(head.closes().await);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_full_queue_is_503_at_once() {
    let (broker, service) = Service::alone(|config| {
        config.publish.ack_timeout = Duration::from_secs(20);
        config.publish.queue_bytes_max = 200_000;
    })
    .await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    drop(broker);
    let large = format!(r#"{{"city":"{}"}}"#, "x".repeat(150_000));
    let mut waiting = tokio::task::JoinSet::new();
    let (address, first) = (service.addresses.http, (path.clone(), large.clone()));
    waiting.spawn(async move { http::post(address, &first.0, &[], first.1.as_bytes()).await.status });
    waiting.spawn(async move { http::post(address, &path, &[], large.as_bytes()).await.status });
    let asked = Instant::now();
    assert_eq!(waiting.join_next().await.unwrap().unwrap(), 503);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "one of the two is refused long before the ack timeout"
    );
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn uploads_that_wait_for_kafka_leave_the_webhooks_their_queue() {
    let (broker, service) = Service::alone(|config| {
        config.http.bulk_max = 20;
        config.publish.ack_timeout = Duration::from_secs(60);
        config.publish.queue_bytes_max = 200_000;
    })
    .await;
    let (_, token) = service.sender().await;
    drop(broker);
    let address = service.addresses.http;
    let send = |path: &str, body: String| {
        let path = format!("{path}?key={token}");
        async move { http::post(address, &path, &[], body.as_bytes()).await.status }
    };
    let record = |bytes| format!(r#"{{"braze_id":"1","city":"{}"}}"#, "x".repeat(bytes));
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..20 {
        uploads.spawn(send("/collect/bulk/braze_users", record(15_000)));
    }
    assert_eq!(
        uploads.join_next().await.unwrap().unwrap(),
        503,
        "20 of them are too much"
    );
    // Of two large webhooks there is room for one.
    let mut webhooks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        webhooks.spawn(send("/collect/json/braze_users", record(150_000)));
    }
    assert_eq!(webhooks.join_next().await.unwrap().unwrap(), 503);
    let other = tokio::time::timeout(Duration::from_secs(2), webhooks.join_next()).await;
    assert!(other.is_err(), "it waits for Kafka, and was answered {other:?}");
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_array_that_is_acknowledged_in_part_is_503_as_a_whole_and_its_repeat_has_the_same_event_ids() {
    // The second record alone is more than the queue takes.
    let (_broker, service) = Service::alone(|config| config.publish.queue_bytes_max = 200_000).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let large = "x".repeat(300_000);
    let body = format!(r#"[{{"braze_id":"b-1"}},{{"braze_id":"b-2","city":"{large}"}}]"#);
    for _ in 0..2 {
        service.post(&path, &body).await.refusal(503);
    }
    let events = service.events(account, 2).await;
    assert_eq!(events[0].event.event_id, events[1].event.event_id);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_request_as_a_whole_has_a_deadline_however_many_steps_it_takes() {
    let (broker, service) = Service::alone(|config| {
        config.http.body_timeout = Duration::from_millis(500);
        config.publish.ack_timeout = Duration::from_secs(3);
    })
    .await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    // Ten steps, each well within the acknowledgement timeout, all together well beyond it.
    broker.slow(Duration::from_millis(800)).unwrap();
    let records: Vec<_> = (0..10_000).map(|n| format!(r#"{{"braze_id":"b-{n}"}}"#)).collect();
    let answer = service.post(&path, format!("[{}]", records.join(","))).await;
    answer.refusal(503);
    assert_eq!(answer.header("retry-after"), Some("10"));
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn records_of_a_stream_beyond_the_bytes_that_may_be_held_are_unavailable() {
    let (_broker, service) = Service::alone(|config| config.http.held_bytes_max = 1_000).await;
    let (account, token) = service.sender().await;
    let mut client = ingest::client(service.addresses.grpc, &token).await;
    let mut outcomes = Vec::new();
    for bytes in [100, 1_000] {
        let record = format!(r#"{{"braze_id":"{}"}}"#, "b".repeat(bytes));
        let (_sender, mut answers) = ingest::open(&mut client, ingest::record(account, record)).await;
        outcomes.push(answers.message().await.map_err(|status| status.code()));
    }
    assert!(matches!(outcomes[0], Ok(Some(_))), "{outcomes:?}");
    assert_eq!(outcomes[1], Err(tonic::Code::Unavailable));
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn after_kafka_was_frozen_nothing_stays_taken_and_every_request_is_200_again() {
    const REQUESTS_MAX: usize = 8;
    let broker = InProcessBroker::start(1, &[]).unwrap();
    with_account(&broker.config()).await;
    let settings = [
        ("INGEST_SVC__HTTP__REQUESTS_MAX", "8"),
        ("INGEST_SVC__HTTP__BULK_MAX", "1"),
        ("INGEST_SVC__HTTP__TOKEN_REQUESTS_MAX", "9"),
        ("INGEST_SVC__PUBLISH__ACK_TIMEOUT", "2s"),
    ];
    let process = Process::start(&broker.config(), &settings).await;
    let create = "tokens create --account 1234 --role data_write --output token";
    let token = admin(&process, create).await;
    let webhook = format!("/c/1234/braze_users?key={}", token.trim_end());
    let upload = format!("/collect/bulk/braze_users?key={}", token.trim_end());
    until_accepted(&process, &webhook).await;

    broker.slow(Duration::from_secs(3_600)).unwrap();
    let mut frozen = JoinSet::new();
    for path in [vec![&webhook; 2 * REQUESTS_MAX], vec![&upload; 2]].concat() {
        let (http, path) = (process.http, path.clone());
        frozen.spawn(async move { http::post(http, &path, &[], GOOD.as_bytes()).await.status });
    }
    assert_eq!(frozen.join_all().await, [503; 2 * REQUESTS_MAX + 2]);
    // What a frozen broker had still to answer is lost with its connections.
    broker.slow(Duration::ZERO).unwrap();
    broker.down().unwrap();
    broker.up().unwrap();
    until_accepted(&process, &webhook).await;

    // As many at once as there may be: each has said that it comes before the first sends its body.
    let mut open = Vec::new();
    for path in [vec![&webhook; REQUESTS_MAX], vec![&upload]].concat() {
        let mut request = http::Connection::open(process.http).await;
        let length = format!("content-length: {}", GOOD.len());
        request.begin(path, &length).await;
        open.push(request);
    }
    for request in &mut open {
        request.write(GOOD).await;
    }
    for request in open {
        request.answer().await.counts(1, 0);
    }
    for gauge in [
        "requests_in_progress",
        "bulk_in_progress",
        "held_bytes",
        "tokens_in_use",
    ] {
        reports(&process, &format!("ingest_{gauge} 0\n")).await;
    }
}
