//! Uploads of any length: read as they arrive, published a window at a time, in bounded memory.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::harness::http::Connection;
use crate::harness::{self, Service, topic};

/// More rows than a window has records, with their header.
fn rows(count: usize) -> String {
    let mut rows = "braze_id\n".to_owned();
    for n in 0..count {
        writeln!(rows, "b-{n}").unwrap();
    }
    rows
}

/// An upload of unknown length.
async fn upload(service: &Service, token: &str) -> Connection {
    let mut connection = Connection::open(service.addresses.http).await;
    let path = format!("/collect/bulk/braze_users?key={token}");
    connection.begin(&path, "transfer-encoding: chunked").await;
    connection
}

async fn chunk(connection: &mut Connection, text: &str) {
    connection.write(format!("{:x}\r\n{text}\r\n", text.len())).await;
}

#[tokio::test]
async fn rows_are_published_while_the_body_is_still_arriving_and_all_are_counted_in_the_end() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut upload = upload(service, &token).await;
    chunk(&mut upload, &rows(1_500)).await;
    harness::wait_for("a window of rows", async || {
        let found = topic::events_so_far(&service.kafka, account).await;
        (found.len() == 1_000).then_some(())
    })
    .await;
    chunk(&mut upload, "b-1500\nnobody,,\nb-1501").await;
    upload.write("0\r\n\r\n").await;
    let message = upload.answer().await.refusal(400);
    assert!(
        message.contains("line 1503") && message.ends_with("taken before that: 1501"),
        "{message}"
    );
    service.events(account, 1_501).await;
}

#[tokio::test]
async fn a_bad_row_ends_a_csv_and_what_came_before_it_stays() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}");
    let body = "braze_id,city\n1,Porto\n2\n3,Faro\n";
    let message = service.post(&path, body).await.refusal(400);
    assert_eq!(
        message,
        "line 3: the row does not have as many columns (1) as are named (2). Mend it, or pass over such rows with droperrors=true; \
         records taken before that: 1"
    );
    assert_eq!(service.events(account, 1).await[0].key, "br_user_id:1");
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.payload.as_slice(), kept.code.as_str()),
        (&br#"["2"]"#[..], "unreadable")
    );
}

#[tokio::test]
async fn with_droperrors_bad_rows_are_counted_told_and_kept_and_the_others_published() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}&droperrors=true");
    let large = "x".repeat(16_385);
    let body = [
        b"braze_id,city\n1,a\n2\n3,\xff\n4,".as_slice(),
        large.as_bytes(),
        b"\n5,b\n",
    ]
    .concat();
    let data = service.post(&path, &body).await.counts(2, 3);
    assert_eq!(
        data["rejected"],
        json!([
            {"index": 1, "reason": "line 3: the row does not have as many columns (1) as are named (2)"},
            {"index": 2, "reason": "line 4: the row is not UTF-8 in column 2 \"city\""},
            {"index": 3, "reason": "line 5: the row is larger than 16384 bytes; is a quote missing?"},
        ])
    );
    service.events(account, 2).await;
    service.rejected(account, 3).await;
}

#[tokio::test]
async fn a_line_that_is_no_record_stops_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}");
    let large = format!(r#"{{"braze_id":"3","city":"{}"}}"#, "x".repeat(16_384));
    let body =
        format!("{{\"braze_id\":\"1\"}}\n{{\"braze_id\":\n{large}\n\n{{\"city\":\"x\"}}\n{{\"braze_id\":\"4\"}}");
    let data = service.post(&path, body).await.counts(2, 3);
    let rejected = data["rejected"].as_array().unwrap();
    let reasons = rejected.iter().map(|rejected| {
        (
            rejected["index"].as_u64().unwrap(),
            rejected["reason"].as_str().unwrap(),
        )
    });
    let reasons: Vec<_> = reasons.collect();
    assert!(reasons[0].0 == 1 && reasons[0].1.contains("JSON"), "{reasons:?}");
    assert_eq!(reasons[1], (2, "line 3: the record is larger than 16384 bytes"));
    assert!(
        reasons[2].0 == 3 && reasons[2].1.contains("identifies nobody"),
        "{reasons:?}"
    );
    service.events(account, 2).await;
    service.rejected(account, 3).await;
    let message = service.post(&path, "[{\"braze_id\":\"1\"}]").await.refusal(400);
    assert!(message.contains("/collect/json"), "{message}");
}

#[tokio::test]
async fn a_dry_run_reads_and_counts_everything_and_publishes_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}&dryrun=true");
    let body = format!("{}\"\"\n", rows(2_500));
    let data = service.post(&path, body).await.counts(2_500, 1);
    assert_eq!(data["rejected"][0]["index"], 2_500);
    service.post(&path, "braze_id\n1,2\n").await.refusal(400);
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn uploads_have_a_bound_of_their_own_and_take_no_webhooks_place() {
    let (_broker, service) = Service::alone(|config| {
        config.http.bulk_max = 1;
        config.http.requests_max = 1;
    })
    .await;
    let (account, token) = service.sender().await;
    let mut first = upload(&service, &token).await;
    let path = format!("/collect/bulk/braze_users?key={token}");
    let refused = harness::wait_for("a second upload is refused", async || {
        let answer = service.post(&path, "braze_id\nb-2\n").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.header("retry-after"), Some("10"));
    let webhook = format!("/c/{account}/braze_users?key={token}");
    service.post(&webhook, "{\"braze_id\":\"b-3\"}").await.counts(1, 0);
    chunk(&mut first, "braze_id\nb-1\n").await;
    first.write("0\r\n\r\n").await;
    first.answer().await.counts(1, 0);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_upload_may_not_pause_for_long_and_is_told_how_much_of_it_was_taken() {
    let (_broker, service) = Service::alone(|config| config.http.body_timeout = Duration::from_millis(300)).await;
    let (account, token) = service.sender().await;
    let mut upload = upload(&service, &token).await;
    chunk(&mut upload, &rows(1_500)).await;
    let message = upload.answer().await.refusal(408);
    assert!(message.ends_with("records taken before that: 1000"), "{message}");
    service.events(account, 1_000).await;
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_upload_that_kafka_does_not_acknowledge_is_503_and_says_how_much_it_has() {
    let (broker, service) = Service::alone(|config| config.publish.ack_timeout = Duration::from_secs(1)).await;
    let (account, token) = service.sender().await;
    let mut upload = upload(&service, &token).await;
    chunk(&mut upload, &rows(1_000)).await;
    chunk(&mut upload, "b-1000\n").await;
    harness::wait_for("the first window", async || {
        let found = topic::events_so_far(&service.kafka, account).await;
        (found.len() == 1_000).then_some(())
    })
    .await;
    drop(broker);
    upload.write("0\r\n\r\n").await;
    let answer = upload.answer().await;
    let message = answer.refusal(503);
    assert!(message.ends_with("records taken before that: 1000"), "{message}");
    assert_eq!(answer.header("retry-after"), Some("10"));
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_token_that_is_revoked_during_an_upload_sends_nothing_more() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut upload = upload(service, &token).await;
    chunk(&mut upload, "braze_id\nb-1\n").await;
    let id = token.split('_').nth(2).unwrap();
    service.directory.api_tokens().delete(account, id, None).await.unwrap();
    harness::wait_for("the revoked token is refused", async || {
        let answer = service
            .post(&format!("/c/{account}/braze_users?key={token}"), "[]")
            .await;
        (answer.status == 401).then_some(())
    })
    .await;
    upload.write("0\r\n\r\n").await;
    upload.answer().await.refusal(401);
    service.events(account, 0).await;
}

#[tokio::test]
async fn an_upload_does_not_hold_up_a_drain() {
    let (_broker, service) = Service::alone(|_| {}).await;
    let (account, token) = service.sender().await;
    let mut upload = upload(&service, &token).await;
    chunk(&mut upload, &rows(1_500)).await;
    harness::wait_for("the first window", async || {
        let found = topic::events_so_far(&service.kafka, account).await;
        (found.len() == 1_000).then_some(())
    })
    .await;
    service.lifecycle.drain("the test says so");
    let answer = upload.answer().await;
    let message = answer.refusal(503);
    assert!(
        message.contains("ending") && message.ends_with("taken before that: 1000"),
        "{message}"
    );
    assert_eq!(answer.header("retry-after"), Some("10"));
}
