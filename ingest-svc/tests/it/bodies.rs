//! Every form that a body may have, at every endpoint that takes it.

use async_compression::tokio::bufread::{DeflateEncoder, GzipEncoder, ZlibEncoder};
use tokio::io::AsyncReadExt;

use crate::harness::{self, http};

const FORM: &str = "content-type: application/x-www-form-urlencoded";
const CSV: &str = "content-type: text/csv; charset=utf-8";

pub(crate) async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzipEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

async fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    ZlibEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

/// Without the format of zlib around it.
async fn bare_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    DeflateEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

#[tokio::test]
async fn every_kind_of_body_is_taken_with_or_without_a_content_type_and_named_in_the_answer() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut posted = Vec::new();
    for endpoint in [
        format!("c/{account}"),
        "collect/json".to_owned(),
        "collect/bulk".to_owned(),
    ] {
        let in_bulk = endpoint == "collect/bulk";
        for (header, body, records, kind) in [
            ("x-none: 1", r#"{"braze_id":"1"}"#, 1, "application/json"),
            (FORM, r#"[{"braze_id":"1"},{"braze_id":"2"}]"#, 2, "application/json"),
            (
                "x-none: 1",
                "{\"braze_id\":\"1\"}\n{\"braze_id\":\"2\"}\n",
                2,
                "application/x-ndjson",
            ),
            (
                FORM,
                "braze_id=1&city=Vila+Nova",
                1,
                "application/x-www-form-urlencoded",
            ),
            ("x-none: 1", "braze_id=1", 1, "application/x-www-form-urlencoded"),
            (CSV, "braze_id,city\n1,Porto\n2,Faro\n3,\n", 3, "application/csv"),
            ("x-none: 1", "braze_id,city\n1,Porto", 1, "application/csv"),
        ] {
            let kind = if in_bulk && kind == "application/json" {
                "application/x-ndjson"
            } else {
                kind
            };
            let untyped_csv = header != CSV && kind == "application/csv";
            // A file is never a form or one array; elsewhere a CSV must say that it is one.
            if in_bulk && (body.starts_with('[') || kind.ends_with("urlencoded")) || !in_bulk && untyped_csv {
                continue;
            }
            let path = format!("/{endpoint}/braze_users?key={token}");
            let answer = http::post(service.addresses.http, &path, &[header], body.as_bytes()).await;
            let data = answer.counts(records, 0);
            assert_eq!(data["content-type"], kind, "{endpoint} {header} {body}");
            posted.push(records);
        }
    }
    assert_eq!(posted.len(), 6 + 6 + 4);
    let events = service
        .events(account, usize::try_from(posted.iter().sum::<u64>()).unwrap())
        .await;
    assert!(events.iter().any(|event| event.field("city") == Some("Vila Nova")));
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn a_query_string_is_a_record_of_what_is_no_parameter_and_the_same_as_a_form() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let address = service.addresses.http;
    let path = format!("/c/{account}/braze_users?key={token}");
    let query = format!("{path}&city=%C3%89vora&braze_id=b-1&filename=f");
    let answer = http::get(address, &query).await;
    assert_eq!(
        answer.header("cache-control"),
        Some("no-store"),
        "or the next one does not arrive"
    );
    let data = answer.counts(1, 0);
    assert_eq!(data["content-type"], "application/x-www-form-urlencoded");
    http::post(address, &path, &[FORM], "braze_id=b-1&city=%C3%89vora".as_bytes())
        .await
        .counts(1, 0);
    let events = service.events(account, 2).await;
    assert_eq!(events[0].field("city"), Some("Évora"));
    assert_eq!(
        events[0].event.event_id, events[1].event.event_id,
        "the order of fields does not matter"
    );

    let message = http::get(address, &format!("{path}&dryrun=false")).await.refusal(400);
    assert!(message.contains("no fields"), "{message}");
    // Whoever only looks whether there is something must not send anything.
    let head = http::send(address, "HEAD", &query, &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (405, ""));
    service.events(account, 2).await;
}

#[tokio::test]
async fn a_compressed_body_is_taken_at_every_endpoint() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let address = service.addresses.http;
    let body = "braze_id,city\n1,Porto\n";
    let json = br#"{"braze_id":"1"}"#;
    for endpoint in [
        format!("c/{account}"),
        "collect/json".to_owned(),
        "collect/bulk".to_owned(),
    ] {
        let path = format!("/{endpoint}/braze_users?key={token}");
        for (coding, packed) in [
            ("gzip", gzip(json).await),
            ("deflate", deflate(json).await),
            ("deflate", bare_deflate(json).await),
            ("identity", json.to_vec()),
        ] {
            let header = format!("content-encoding: {coding}");
            http::post(address, &path, &[&header], &packed).await.counts(1, 0);
        }
        for (coding, packed) in [
            ("gzip", gzip(body.as_bytes()).await),
            ("deflate", bare_deflate(body.as_bytes()).await),
        ] {
            let header = format!("content-encoding: {coding}");
            http::post(address, &path, &[CSV, &header], &packed).await.counts(1, 0);
        }
    }
    service.events(account, 18).await;
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_400_and_another_coding_415() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    for endpoint in [format!("c/{account}"), "collect/bulk".to_owned()] {
        let path = format!("/{endpoint}/braze_users?key={token}");
        let post = async |coding: &str, body: &[u8]| {
            let header = format!("content-encoding: {coding}");
            http::post(service.addresses.http, &path, &[&header], body).await
        };
        let packed = gzip(br#"{"braze_id":"1"}"#).await;
        for (coding, body) in [
            ("gzip", &b"{\"braze_id\":\"1\"}"[..]),
            ("deflate", &packed),
            ("deflate", b"{\"braze_id\":\"1\"}"),
            ("gzip", &packed[..packed.len() - 4]),
        ] {
            let message = post(coding, body).await.refusal(400);
            assert!(message.contains("Content-Encoding"), "{message}");
        }
        let message = post("br", &packed).await.refusal(415);
        assert!(message.contains("gzip"), "{message}");
    }
    service.events(account, 0).await;
}

#[tokio::test]
async fn a_bomb_is_413_and_gives_its_bytes_back() {
    let (_broker, service) = harness::Service::alone(|config| config.http.held_bytes_max = 10_000_000).await;
    let (account, token) = service.sender().await;
    let bomb = gzip(&vec![b' '; 50_000_000]).await;
    assert!(bomb.len() < 100_000);
    for endpoint in [
        format!("c/{account}"),
        "collect/json".to_owned(),
        "collect/bulk".to_owned(),
    ] {
        let path = format!("/{endpoint}/braze_users?key={token}");
        let headers = ["content-encoding: gzip", "content-type: application/json"];
        http::post(service.addresses.http, &path, &headers, &bomb)
            .await
            .refusal(413);
        let sound = gzip(br#"{"braze_id":"1"}"#).await;
        http::post(service.addresses.http, &path, &headers, &sound)
            .await
            .counts(1, 0);
    }
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_form_or_row_that_nobody_can_use_is_kept_as_the_object_that_it_became() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    for (header, body) in [(FORM, "city=Porto"), (CSV, "city\nPorto\n")] {
        let data = http::post(service.addresses.http, &path, &[header], body.as_bytes())
            .await
            .counts(0, 1);
        assert_eq!(data["rejected"][0]["index"], 0);
    }
    for kept in service.rejected(account, 2).await {
        assert_eq!(
            (kept.payload.as_slice(), kept.code.as_str(), kept.content_type.as_str()),
            (&br#"{"city":"Porto"}"#[..], "no_identity", "application/json")
        );
    }
}

#[tokio::test]
async fn a_broken_line_among_objects_is_400_and_the_body_is_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = "{\"braze_id\":\"1\"}\n{\"braze_id\":}\n";
    let message = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .refusal(400);
    assert!(message.contains("line 2"), "{message}");
    assert_eq!(service.rejected(account, 1).await[0].payload, body.as_bytes());
    service.events(account, 0).await;
}
