//! Senders that are slow, silent, greedy or broken: each is bounded and, where it can be, answered; and none holds up another.

use std::time::Duration;

use tokio::net::TcpSocket;

use crate::harness::http::{self, Connection};
use crate::harness::{self, Service};

const GOOD: &str = r#"{"braze_id":"b-1"}"#;

/// A request on a connection that is to stay open.
fn request(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn silent_connections_are_closed_and_hold_up_nobody_for_long() {
    let (_broker, service) = Service::alone(|config| {
        config.http.connections_max = 50;
        config.http.header_timeout = Duration::from_secs(2);
    })
    .await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let mut silent = Vec::new();
    for _ in 0..120 {
        silent.push(Connection::open(service.addresses.http).await);
    }
    // Behind them in the backlog; nothing is refused.
    service.post(&path, GOOD).await.counts(1, 0);
    for connection in silent {
        assert!(connection.closes().await);
    }
    let metrics = http::get(service.addresses.admin, "/metrics").await.body;
    assert!(metrics.contains(r#"server_connections_full_total{port="http"}"#));
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_connection_that_idles_after_its_answer_is_closed() {
    let (_broker, service) = Service::alone(|config| config.http.header_timeout = Duration::from_secs(2)).await;
    let (account, token) = service.sender().await;
    let mut connection = Connection::open(service.addresses.http).await;
    let path = format!("/c/{account}/braze_users?key={token}");
    connection.write(request(&path, GOOD)).await;
    connection.early_answer().await.counts(1, 0);
    assert!(connection.closes().await);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_sender_that_never_reads_its_answers_loses_its_connection() {
    let (_broker, service) = Service::alone(|config| {
        // The next is served only once this one is gone.
        config.http.connections_max = 1;
        config.http.header_timeout = Duration::from_secs(2);
    })
    .await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?dryrun=true&key={token}");
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = Connection(socket.connect(service.addresses.http).await.unwrap());
    // Each of these answers lists 1,000 refusals: together far more than the system buffers.
    let requests = request(&path, &format!("[{}0]", "0,".repeat(999))).repeat(200);
    let (_, answer) = tokio::join!(deaf.write_what_is_taken(requests), service.post(&path, GOOD));
    answer.counts(1, 0);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_sender_that_is_refused_keeps_its_connection() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let (other, _) = service.sender().await;
    let mut connection = Connection::open(service.addresses.http).await;
    let body = format!("[{}{{}}]", "{},".repeat(10_000));
    for (account, key, status) in [
        (account.to_string(), "wrong", 401),
        (other.to_string(), token.as_str(), 403),
        ("999999".to_owned(), harness::ADMIN_TOKEN, 404),
    ] {
        let path = format!("/c/{account}/braze_users?key={key}");
        connection.write(request(&path, &body)).await;
        connection.early_answer().await.refusal(status);
    }
    let good = format!("/c/{account}/braze_users?key={token}");
    connection.write(request(&good, GOOD)).await;
    connection.early_answer().await.counts(1, 0);
}

#[tokio::test]
async fn a_sender_that_is_refused_for_a_full_bound_keeps_its_connection() {
    let (_broker, service) = Service::alone(|config| config.http.requests_max = 1).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let (mut first, _) = service.two_at_once(&path, GOOD, 503).await;
    let mut connection = Connection::open(service.addresses.http).await;
    // More than hyper by itself reads away.
    let empty = format!("[{}]", " ".repeat(30_000));
    harness::wait_for("the bound is reached", async || {
        connection.write(request(&path, &empty)).await;
        let answer = connection.early_answer().await;
        (answer.status == 503).then_some(())
    })
    .await;
    first.write(GOOD).await;
    first.answer().await.counts(1, 0);
    harness::wait_for("there is room again", async || {
        connection.write(request(&path, &empty)).await;
        (connection.early_answer().await.status == 200).then_some(())
    })
    .await;
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_head_with_too_many_headers_or_too_long_an_address_is_431() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let headers: Vec<String> = (0..101).map(|index| format!("x-{index}: 1")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let answer = http::post(service.addresses.http, &path, &headers[..90], GOOD.as_bytes()).await;
    answer.counts(1, 0);
    let answer = http::post(service.addresses.http, &path, &headers, GOOD.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (431, ""));
    let mut connection = Connection::open(service.addresses.http).await;
    let head = format!("POST {path}&x=");
    connection
        .write(format!("{head}{}", "x".repeat((64 << 10) - head.len())))
        .await;
    assert_eq!(connection.answer().await.status, 431);
    service.events(account, 1).await;
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_400_and_kept_byte_for_byte() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let body = b"[{\"braze_id\":\"b-1\"},{\"braze_id\":\"b-\xff\"}]";
    let message = service.post(&path, body).await.refusal(400);
    assert!(message.contains("unicode"), "{message}");
    assert_eq!(service.rejected(account, 1).await[0].payload, body);
    service.events(account, 0).await;
}
