//! Requests that are in order: what is answered, and what is on the topics.

use model::AccountRef;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{self, http};

#[tokio::test]
async fn an_object_is_published_and_answered_in_the_envelope() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = include_str!("../../../examples/webhook.json");
    let answer = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await;
    assert_eq!(
        answer.json(),
        json!({
            "status": 200,
            "message": "success",
            "data": {
                "message_count": 1,
                "rejected_count": 0,
                "content-type": "application/json",
                "droperrors": false,
                "dryrun": false,
                "timestamp_field": "",
                "filename": "",
                "not_wanted_count": 0,
                "rejected": [],
            },
        })
    );
    let event = &service.events(account, 1).await[0];
    assert_eq!(event.key, "br_user_id:64b1f0a2c9e77b0012aa34cd");
    assert_eq!(
        (event.content_type.as_str(), event.message_type.as_str()),
        ("application/protobuf", "lytics.profile.v1.ProfileEvent")
    );
    assert!(event.traceparent.is_some(), "every record carries a traceparent");
    assert_eq!(event.event.stream, "braze_users");
    assert!(event.event.receive_time.is_some());
    assert_eq!(event.field("first_name"), Some("Inês"));
    assert_eq!(event.field("email"), Some("ines.duarte@example.org"));
    assert_eq!(event.field("tw_uid"), None, "an empty string is unknown");
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn every_place_of_the_token_and_both_spellings_of_the_account_are_taken() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let hex = service.directory.account(AccountRef::Number(account)).unwrap().hex;
    let body = br#"{"braze_id":"b-1"}"#;
    let address = service.addresses.http;
    let bare = format!("authorization: {token}");
    let bearer = format!("authorization: Bearer {token}");
    for (account, query, header) in [
        (account.to_string(), format!("?key={token}"), "x-none: 1"),
        (account.to_string(), format!("?access_token={token}"), "x-none: 1"),
        (account.to_string(), String::new(), bare.as_str()),
        (hex.to_string().to_uppercase(), String::new(), bearer.as_str()),
    ] {
        let answer = http::post(address, &format!("/c/{account}/braze_users{query}"), &[header], body).await;
        answer.counts(1, 0);
    }
    let events = service.events(account, 4).await;
    let first = &events[0].event.event_id;
    assert!(
        events.iter().all(|event| &event.event.event_id == first),
        "a repeat has the same id"
    );
}

#[tokio::test]
async fn the_content_type_is_not_needed_and_whatever_it_says_json_is_read() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    for header in [
        "x-none: 1",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
    ] {
        let answer = http::post(service.addresses.http, &path, &[header], br#"{"braze_id":"b-1"}"#).await;
        answer.counts(1, 0);
    }
}

#[tokio::test]
async fn an_array_of_mixed_records_is_answered_record_by_record() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = r#"[{"braze_id":"b-0"}, {"city":"x"}, 7, {"email":"A@Example.com"}, [{"braze_id":"b"}]]"#;
    let answer = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await;
    let data = answer.counts(2, 3);
    let rejected = data["rejected"].as_array().unwrap();
    let indexes: Vec<_> = rejected
        .iter()
        .map(|rejected| rejected["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [1, 2, 4]);
    let mut keys: Vec<_> = service
        .events(account, 2)
        .await
        .into_iter()
        .map(|event| event.key)
        .collect();
    keys.sort();
    assert_eq!(keys, ["br_user_id:b-0", "email:a@example.com"]);
    let mut kept: Vec<_> = service
        .rejected(account, 3)
        .await
        .into_iter()
        .map(|kept| (kept.payload, kept.code))
        .collect();
    kept.sort();
    let kept: Vec<_> = kept
        .iter()
        .map(|(payload, code)| (std::str::from_utf8(payload).unwrap(), code.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            ("7", "not_an_object"),
            (r#"[{"braze_id":"b"}]"#, "not_an_object"),
            (r#"{"city":"x"}"#, "no_identity"),
        ]
    );
}

#[tokio::test]
async fn an_array_larger_than_a_window_is_published_whole() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let records: Vec<String> = (0..2_500).map(|n| format!(r#"{{"braze_id":"b-{n}"}}"#)).collect();
    let body = format!("[{},{{}}]", records.join(","));
    let data = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .counts(2_500, 1);
    assert_eq!(data["rejected"][0]["index"], 2_500);
    let mut ids: Vec<_> = service
        .events(account, 2_500)
        .await
        .into_iter()
        .map(|event| event.key)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2_500);
}

#[tokio::test]
async fn an_answer_lists_1000_refusals_and_counts_them_all() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let body = format!("[{}1]", "1,".repeat(1_100));
    let data = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .counts(0, 1_101);
    assert_eq!(data["rejected"].as_array().unwrap().len(), 1_000);
    service.rejected(account, 1_101).await;
}

#[tokio::test]
async fn an_empty_array_is_200_with_0() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    service
        .post(&format!("/c/{account}/braze_users?key={token}"), "[]")
        .await
        .counts(0, 0);
}

#[tokio::test]
async fn a_dry_run_counts_and_publishes_nothing_and_the_parameters_are_echoed() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path =
        format!("/c/{account}/braze_users?key={token}&dryrun=true&timestamp_field=ts&filename=f.json&droperrors=true");
    let data = service.post(&path, r#"[{"braze_id":"b-1"},{}]"#).await.counts(1, 1);
    for (name, value) in [
        ("dryrun", json!(true)),
        ("droperrors", json!(true)),
        ("timestamp_field", json!("ts")),
        ("filename", json!("f.json")),
    ] {
        assert_eq!(data[name], value, "{name}");
    }
    service.post(&path, "broken").await.refusal(400);
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}

#[tokio::test]
async fn an_event_too_large_for_its_topic_is_kept_as_it_came_and_its_neighbours_are_published() {
    let name = "accepted::an_event_too_large_for_its_topic_is_kept_as_it_came_and_its_neighbours_are_published";
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    // What counts is the size as it is sent, so this must not compress.
    let digest = |n: u32| {
        Sha256::digest(n.to_le_bytes())[..16]
            .try_into()
            .map(u128::from_be_bytes)
    };
    let noise: String = (0..100_000).map(|n| format!("{:032x}", digest(n).unwrap())).collect();
    let large = format!(r#"{{"braze_id":"b-1","city":"{noise}"}}"#);
    let body = format!(r#"[{{"braze_id":"b-0"}},{large},{{"braze_id":"b-2"}}]"#);
    let data = service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .counts(2, 1);
    assert_eq!(data["rejected"][0]["index"], 1);
    service.events(account, 2).await;
    let kept = &service.rejected(account, 1).await[0];
    assert_eq!(
        (kept.payload.as_slice(), kept.code.as_str()),
        (large.as_bytes(), "too_large")
    );
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_path_and_a_byte_order_mark_before_the_json_change_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users/?key={token}");
    let body = "\u{feff}{\"braze_id\":\"b-1\"}";
    service.post(&path, body).await.counts(1, 0);
    let event = &service.events(account, 1).await[0];
    assert_eq!(
        (event.key.as_str(), event.event.stream.as_str()),
        ("br_user_id:b-1", "braze_users")
    );
}
