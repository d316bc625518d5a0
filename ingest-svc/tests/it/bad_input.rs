//! Every way in which a request is not in order, and what Braze is told.

use jiff::{SignedDuration, Timestamp};
use model::{AccountNumber, Role};
use serde_json::json;

use crate::harness::{self, ADMIN_TOKEN, Service, http};

const GOOD: &str = r#"{"braze_id":"b-1","city":"Porto"}"#;

#[tokio::test]
async fn broken_json_is_400_in_the_envelope_and_the_body_is_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = b"{\"braze_id\":\"b-1\",\"first_name\":\"a \"quoted\" name\"} \xff";
    let answer = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await;
    let message = answer.refusal(400);
    assert!(message.starts_with("broken JSON: "), "{message}");
    assert!(
        !message.contains("quoted"),
        "the answer quotes nothing of the body: {message}"
    );
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.payload.as_slice(), kept.code.as_str()),
        (body.as_slice(), "broken_body")
    );
    assert_eq!((&kept.reason, kept.stream.as_str()), (&message, "braze_users"));
    service.events(account, 0).await;
}

#[tokio::test]
async fn json_that_is_neither_object_nor_array_is_400_and_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    for body in ["42", "\"text\"", ""] {
        service
            .post(&format!("/c/{account}/braze_users?key={token}"), body)
            .await
            .refusal(400);
    }
    let mut kept: Vec<_> = service
        .rejected(account, 3)
        .await
        .into_iter()
        .map(|kept| kept.payload)
        .collect();
    kept.sort();
    assert_eq!(kept, [b"".to_vec(), b"\"text\"".to_vec(), b"42".to_vec()]);
}

#[tokio::test]
async fn a_record_without_identity_is_200_with_a_count_and_a_reason_and_is_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = r#"{ "city": "Porto",  "email": "", "braze_id": "" }"#;
    let answer = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await;
    let data = answer.counts(0, 1);
    let reason = data["rejected"][0]["reason"].as_str().unwrap();
    assert_eq!(data["rejected"], json!([{"index": 0, "reason": reason}]));
    assert!(reason.contains("identi"), "{reason}");
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.payload.as_slice(), kept.code.as_str()),
        (body.as_bytes(), "no_identity")
    );
    assert_eq!(kept.reason, reason);
}

#[tokio::test]
async fn a_stream_that_no_mapping_reads_is_200_with_a_reason_and_kept_because_braze_drops_on_404() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let data = service
        .post(&format!("/c/{account}/other?key={token}"), GOOD)
        .await
        .counts(0, 1);
    let reason = data["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("no mapping") && reason.contains("other"), "{reason}");
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.payload.as_slice(), kept.code.as_str(), kept.stream.as_str()),
        (GOOD.as_bytes(), "no_mapping", "other")
    );
}

#[tokio::test]
async fn no_key_and_a_wrong_key_are_401() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let wrong = format!("{}x", &token[..token.len() - 1]);
    for query in [
        String::new(),
        "?key=".to_owned(),
        "?key=nonsense".to_owned(),
        format!("?key={wrong}"),
    ] {
        let answer = service.post(&format!("/c/{account}/braze_users{query}"), GOOD).await;
        assert!(answer.refusal(401).starts_with("Not authorized"), "{query}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn a_key_past_its_expiry_is_401() {
    let service = harness::shared().await;
    let account = service.account().await;
    // On a busy machine a key may be past its expiry before the service hears of it: then another one lasts longer.
    let mut lasts = SignedDuration::from_secs(3);
    while !was_good_and_expired(service, account, lasts).await {
        lasts *= 3;
        assert!(lasts < SignedDuration::from_secs(60), "no key was ever good");
    }
}

/// Whether a key that lasts so long was good before it expired.
async fn was_good_and_expired(service: &Service, account: AccountNumber, lasts: SignedDuration) -> bool {
    let expiry = Timestamp::now() + lasts;
    let token = service.token(account, Role::DataManager, Some(expiry)).await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let mut was_good = false;
    harness::wait_for("the key has expired", async || {
        let sent = Timestamp::now();
        let answer = service.post(&path, "[]").await;
        if answer.status != 200 {
            return answer.refusal(401).contains("expired").then_some(());
        }
        assert!(sent < expiry, "still good after its expiry");
        was_good = true;
        None
    })
    .await;
    was_good
}

#[tokio::test]
async fn a_revoked_key_is_401_soon() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    service.post(&path, "[]").await.counts(0, 0);
    let id = token.split('_').nth(2).unwrap();
    service.directory.api_tokens().delete(account, id, None).await.unwrap();
    harness::wait_for("the revoked token is refused", async || {
        (service.post(&path, "[]").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_of_another_account_is_403() {
    let service = harness::shared().await;
    let (_, token) = service.sender().await;
    let (other, _) = service.sender().await;
    let answer = service.post(&format!("/c/{other}/braze_users?key={token}"), GOOD).await;
    assert!(answer.refusal(403).contains("another account"));
    service.events(other, 0).await;
}

#[tokio::test]
async fn an_observers_key_is_403_and_data_write_is_enough() {
    let service = harness::shared().await;
    let account = service.account().await;
    for (role, status) in [
        (Role::Observer, 403),
        (Role::DataWrite, 200),
        (Role::DataManager, 200),
        (Role::Admin, 200),
    ] {
        let token = service.token(account, role, None).await;
        let answer = service
            .post(&format!("/c/{account}/braze_users?key={token}"), "[]")
            .await;
        assert_eq!(answer.status, status, "{role}");
    }
}

#[tokio::test]
async fn an_unknown_account_is_404() {
    let service = harness::shared().await;
    for account in ["999999999", "0", "acme", "0123456789abcdef0123456789abcdef"] {
        let answer = service
            .post(&format!("/c/{account}/braze_users?key={ADMIN_TOKEN}"), GOOD)
            .await;
        assert!(answer.refusal(404).contains(account));
    }
}

#[tokio::test]
async fn a_body_over_10_mb_is_413_whether_its_length_is_declared_or_not() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let large = vec![b' '; 10_000_001];
    let declared = service.post(&path, &large).await;
    assert!(declared.refusal(413).contains("10000000"));

    let mut connection = http::Connection::open(service.addresses.http).await;
    connection.begin(&path, "transfer-encoding: chunked").await;
    for chunk in large.chunks(1 << 20) {
        connection.write(format!("{:x}\r\n", chunk.len())).await;
        connection.write(chunk).await;
        connection.write("\r\n").await;
    }
    connection.write("0\r\n\r\n").await;
    connection.answer().await.refusal(413);
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn a_body_of_nearly_10_mb_is_read_and_kept_when_it_is_broken() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    // The in-process broker keeps 5 MiB per partition.
    let size = if service.kafka.in_process { 3 << 20 } else { 9_999_999 };
    let broken = vec![b'x'; size];
    service
        .post(&format!("/c/{account}/braze_users?key={token}"), &broken)
        .await
        .refusal(400);
    assert_eq!(service.rejected(account, 1).await[0].payload.len(), size);
}

#[tokio::test]
async fn more_records_than_a_request_may_hold_are_413() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let many = format!("[{}1]", "1,".repeat(50_000));
    let message = service
        .post(&format!("/c/{account}/braze_users?key={token}"), many)
        .await
        .refusal(413);
    assert!(message.contains("50001"), "{message}");
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn another_method_is_405_and_another_path_404_in_the_envelope() {
    let service = harness::shared().await;
    let address = service.addresses.http;
    for (method, path, allowed) in [
        ("PUT", "/c/1/braze_users", "POST, GET"),
        ("GET", "/collect/json/braze_users", "POST"),
        ("GET", "/collect/bulk/braze_users/", "POST"),
    ] {
        let answer = http::send(address, method, path, &[], b"").await;
        answer.refusal(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    http::get(address, "/").await.refusal(404);
    http::post(address, "/c/%ff/x", &[], b"").await.refusal(400);
}

#[tokio::test]
async fn an_answer_before_the_body_reaches_a_sender_that_is_still_writing() {
    let service = harness::shared().await;
    let (account, _) = service.sender().await;
    let body = vec![b' '; 5_000_000];
    service
        .post(&format!("/c/{account}/braze_users?key=wrong"), &body)
        .await
        .refusal(401);
}

#[tokio::test]
async fn a_refused_request_is_answered_although_its_body_never_comes() {
    let (_broker, service) = Service::alone(|config| config.http.body_timeout = 10 * harness::DEADLINE).await;
    let (account, token) = service.sender().await;
    let (other, _) = service.sender().await;
    for (account, key, bytes, status) in [
        (account.to_string(), "wrong", 5_000_000, 401),
        (other.to_string(), token.as_str(), 5_000_000, 403),
        ("999999".to_owned(), ADMIN_TOKEN, 5_000_000, 404),
        (account.to_string(), token.as_str(), 10_000_001, 413),
    ] {
        let path = format!("/c/{account}/braze_users?key={key}");
        let mut connection = service.begin(&path, bytes).await;
        connection.write("{").await;
        connection.early_answer().await.refusal(status);
        // What the sender goes on to write is read away.
        connection.write(vec![b' '; 1 << 20]).await;
    }
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_408_and_nothing_of_it_is_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let mut connection = service.begin(&path, GOOD.len() + 1).await;
    connection.write(GOOD).await;
    connection.end().await;
    connection.answer().await.refusal(408);

    let mut chunked = http::Connection::open(service.addresses.http).await;
    chunked.begin(&path, "transfer-encoding: chunked").await;
    chunked.write(format!("{:x}\r\n{GOOD}\r\n", GOOD.len())).await;
    chunked.end().await;
    chunked.answer().await.refusal(408);
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn a_kept_body_says_its_content_type_as_received_or_that_it_is_bytes() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let curl = "content-type: application/x-www-form-urlencoded";
    for (headers, body) in [(&[curl][..], "from curl"), (&[], "untyped")] {
        let answer = http::post(service.addresses.http, &path, headers, body.as_bytes()).await;
        answer.refusal(400);
    }
    let kept = service.rejected(account, 2).await;
    for (payload, content_type) in [
        (&b"from curl"[..], "application/x-www-form-urlencoded"),
        (b"untyped", "application/octet-stream"),
    ] {
        let kept = kept.iter().find(|kept| kept.payload == payload).unwrap();
        assert_eq!(kept.content_type, content_type);
    }
}

#[tokio::test]
async fn the_name_of_a_stream_is_bounded_because_every_kept_record_says_it() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    for (length, status) in [(256, 200), (257, 400)] {
        let path = format!("/c/{account}/{}?dryrun=true&key={token}", "s".repeat(length));
        assert_eq!(service.post(&path, "{}").await.status, status, "{length}");
    }
}

#[tokio::test]
async fn deep_nesting_and_broken_utf_8_in_a_record_reject_that_record_and_repeated_names_count_once() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let deep = format!(
        "{{\"braze_id\":\"1\",\"a\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let twice = r#"{"braze_id":"1","city":"A","city":"B","braze_id":"2"}"#;
    let body = format!("[{deep},{twice}]");
    let data = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .counts(1, 1);
    let reason = data["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("recursion limit"), "{reason}");
    let event = &service.events(account, 1).await[0];
    assert_eq!((event.key.as_str(), event.field("city")), ("br_user_id:2", Some("B")));

    let lines = b"{\"braze_id\":\"\xff\"}\n{\"braze_id\":\"3\"}";
    let data = service
        .post(&format!("/collect/bulk/braze_users?key={token}"), lines)
        .await
        .counts(1, 1);
    assert!(data["rejected"][0]["reason"].as_str().unwrap().contains("utf-8"));
    service.rejected(account, 2).await;
}

#[tokio::test]
async fn a_head_that_has_not_ended_after_64_kib_is_431() {
    let service = harness::shared().await;
    let mut connection = http::Connection::open(service.addresses.http).await;
    let mut head = "POST /c/1/braze_users HTTP/1.1\r\nhost: test\r\nx-large: ".to_owned();
    head.push_str(&"x".repeat((64 << 10) - head.len()));
    connection.write(head).await;
    assert_eq!(connection.answer().await.status, 431);
}
