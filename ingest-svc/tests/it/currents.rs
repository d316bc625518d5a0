//! Braze's Currents as it posts: what is answered, what is published, and what is kept.

use model::Role;
use serde_json::{Value, json};

use crate::harness::{self, Service, http};

fn open(number: usize) -> Value {
    json!({
        "event_type": "users.messages.email.Open", "id": format!("e-{number}"), "time": 1_767_225_600,
        "user": {"user_id": format!("b-{number}"), "external_user_id": "cust-1"},
        "properties": {"campaign_id": "c-1", "machine_open": "true", "esp": "SparkPost"},
    })
}

fn batch(events: &[Value]) -> String {
    json!({ "events": events }).to_string()
}

/// A body, how many of its events are taken, and what is kept with which code.
type Sample<'a> = (Vec<u8>, u64, &'a [(&'a [u8], &'a str)]);

/// Posts as Currents does.
async fn post(service: &Service, account: impl std::fmt::Display, token: &str, body: impl AsRef<[u8]>) -> http::Answer {
    let headers = [
        "content-type: application/json",
        "braze-currents-version: 1",
        &format!("authorization: Bearer {token}"),
    ];
    let path = format!("/c/{account}/braze_currents");
    http::post(service.addresses.http, &path, &headers, body.as_ref()).await
}

#[tokio::test]
async fn a_batch_is_published_event_by_event_with_what_each_tells() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let events: Vec<_> = (0..100).map(open).collect();
    let data = post(service, account, &token, batch(&events)).await.counts(100, 0);
    assert_eq!(data["content-type"], "application/json");
    let mut events = service.events(account, 100).await;
    events.sort_by_key(|event| event.key.clone());
    let event = &events[0].event;
    assert_eq!(events[0].key, "br_user_id:b-0");
    assert_eq!(
        (event.stream.as_str(), event.mapping.as_str()),
        ("braze_currents", "braze_currents")
    );
    assert_eq!(event.event_time.unwrap().seconds, 1_767_225_600);
    let activity = event.activity.as_ref().unwrap();
    assert_eq!((activity.id.as_str(), activity.machine_open), ("e-0", Some(true)));
    assert_eq!(activity.campaign.as_ref().unwrap().id, "c-1");
    assert!(activity.rest.contains(r#""esp":"SparkPost""#), "{}", activity.rest);
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn the_example_of_the_documents_is_taken() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = include_str!("../../../examples/currents.json");
    let path = format!("/c/{account}/braze_currents");
    let address = service.addresses.http;
    // As curl posts it.
    let headers = [
        &*format!("authorization: Bearer {token}"),
        "content-type: application/x-www-form-urlencoded",
    ];
    http::post(address, &path, &headers, body.as_bytes()).await.counts(1, 0);
    service.events(account, 1).await;
}

#[tokio::test]
async fn a_repeat_that_braze_cuts_otherwise_has_the_same_ids() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    post(service, account, &token, batch(&[open(1), open(2)]))
        .await
        .counts(2, 0);
    post(service, account, &token, batch(&[open(2)])).await.counts(1, 0);
    let mut ids: Vec<_> = service
        .events(account, 3)
        .await
        .into_iter()
        .map(|event| event.event.event_id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn an_empty_body_checks_the_token_and_takes_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let observer = service.token(account, Role::Observer, None).await;
    let (other, _) = service.sender().await;
    for body in ["", " ", r#"{"events":[]}"#] {
        post(service, account, &token, body).await.counts(0, 0);
        post(service, account, "wrong", body).await.refusal(401);
        post(service, account, "", body).await.refusal(401);
        post(service, account, &observer, body).await.refusal(403);
        post(service, other, &token, body).await.refusal(403);
    }
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn what_can_be_read_of_a_batch_is_taken_and_the_rest_is_kept_and_answered_200() {
    let service = harness::shared().await;
    let good = open(1).to_string();
    let bodies: [Sample<'_>; 4] = [
        // Broken off.
        (
            format!("{{\"events\":[{good},{{\"event_type\":\"users.mess").into(),
            1,
            &[(b",{\"event_type\":\"users.mess", "unreadable")],
        ),
        // Broken in itself: no JSON, no UTF-8, nothing that Currents sends, nobody's.
        (
            [
                b"{\"events\":[{\"a\":nope},",
                good.as_bytes(),
                b",{\"event_type\":\"\xff\"},7,{\"event_type\":\"x\"},{\"id\":\"1\"}]}",
            ]
            .concat(),
            1,
            &[
                (b"7", "not_an_object"),
                (b"{\"a\":nope}", "malformed"),
                (b"{\"event_type\":\"x\"}", "no_identity"),
                (b"{\"event_type\":\"\xff\"}", "malformed"),
                (b"{\"id\":\"1\"}", "no_event_type"),
            ],
        ),
        // No batch at all.
        (good.clone().into(), 0, &[(good.as_bytes(), "unreadable")]),
        (b"a=1".into(), 0, &[(b"a=1", "unreadable")]),
    ];
    for (body, taken, expected) in bodies {
        let (account, token) = service.sender().await;
        let rejected = expected.len() as u64;
        let data = post(service, account, &token, &body).await.counts(taken, rejected);
        let reasons = data["rejected"].as_array().unwrap();
        assert!(reasons.iter().all(|rejected| rejected["reason"] != ""), "{data}");
        let mut kept: Vec<_> = service.rejected(account, expected.len()).await;
        kept.sort_by(|a, b| a.payload.cmp(&b.payload));
        let kept: Vec<_> = kept
            .iter()
            .map(|kept| (kept.payload.as_slice(), kept.code.as_str()))
            .collect();
        assert_eq!(kept, expected);
        let taken = usize::try_from(taken).unwrap();
        service.events(account, taken).await;
    }
    // What was kept says where it was sent.
    let (account, token) = service.sender().await;
    post(service, account, &token, "{").await.counts(0, 1);
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.stream.as_str(), kept.content_type.as_str()),
        ("braze_currents", "application/json")
    );
}

#[tokio::test]
async fn a_dry_run_counts_and_takes_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_currents?dryrun=true&key={token}");
    service.post(&path, batch(&[open(1), json!(7)])).await.counts(1, 1);
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn too_many_events_and_too_large_a_body_are_413_so_that_braze_cuts_them_up() {
    let (_broker, service) = Service::alone(|config| {
        config.http.records_max = 10;
        config.http.body_bytes_max = 10_000;
    })
    .await;
    let (account, token) = service.sender().await;
    let events: Vec<_> = (0..11).map(open).collect();
    post(&service, account, &token, batch(&events[..10]))
        .await
        .counts(10, 0);
    post(&service, account, &token, batch(&events)).await.refusal(413);
    let long = format!("{{\"events\":[\"{}\"]}}", "x".repeat(10_000));
    post(&service, account, &token, long).await.refusal(413);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn without_kafka_a_batch_is_503_and_so_comes_again() {
    let (broker, service) = Service::alone(|config| {
        config.publish.ack_timeout = std::time::Duration::from_secs(1);
    })
    .await;
    let (account, token) = service.sender().await;
    drop(broker);
    for body in [batch(&[open(1)]), "{\"events\":[".to_owned()] {
        let answer = post(&service, account, &token, body).await;
        answer.refusal(503);
        assert!(answer.header("retry-after").is_some());
    }
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn single_events_are_taken_where_other_records_are_and_a_campaigns_webhook_tells_its_own() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let lines = format!("{}\n{}\n", open(1), open(2));
    let path = format!("/collect/bulk/braze_currents?key={token}");
    service.post(&path, lines).await.counts(2, 0);
    let webhook = json!({
        "event_type": "users.messages.webhook.Send", "campaign_id": "c-1", "dispatch_id": "d-1", "time": "1767225600",
        "braze_id": "b-3", "city": "Porto",
    });
    let path = format!("/c/{account}/braze_users?key={token}");
    service.post(&path, webhook.to_string()).await.counts(1, 0);
    let mut events = service.events(account, 3).await;
    events.sort_by_key(|event| event.key.clone());
    let told: Vec<_> = events
        .iter()
        .map(|event| event.event.activity.as_ref().unwrap().event_type.as_str())
        .collect();
    let (email, hook) = ("users.messages.email.Open", "users.messages.webhook.Send");
    assert_eq!(told, [email, email, hook]);
    assert_eq!(events[2].field("city"), Some("Porto"));
}
