//! §3.5: how much one request may hold.

use braze_sim::ObjectLimit;
use serde_json::json;

use crate::support::{Answer, Rig};

/// A request with so many attributes objects, events and purchases.
fn body(attributes: usize, events: usize, purchases: usize) -> String {
    let list = |object: &str, count: usize| vec![object; count].join(",");
    let attributes = list(r#"{"external_id":"u","n":1}"#, attributes);
    let events = list(
        r#"{"external_id":"u","name":"e","time":"2026-01-01T00:00:00Z"}"#,
        events,
    );
    let purchase = r#"{"external_id":"u","product_id":"p","currency":"EUR","price":1,"time":"2026-01-01T00:00:00Z"}"#;
    let purchases = list(purchase, purchases);
    format!(r#"{{"attributes":[{attributes}],"events":[{events}],"purchases":[{purchases}]}}"#)
}

fn assert_too_many(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.json()),
        (400, json!({"message": "Max Input Length Exceeded"}))
    );
}

#[tokio::test]
async fn s3_5_a_request_holds_75_objects_of_all_kinds_together() {
    let rig = Rig::start().await;
    assert_eq!(rig.track(&body(75, 0, 0)).await.status, 201);
    assert_eq!(rig.track(&body(25, 25, 25)).await.status, 201);
    assert_too_many(&rig.track(&body(76, 0, 0)).await);
    assert_too_many(&rig.track(&body(26, 25, 25)).await);
}

#[tokio::test]
async fn s3_5_a_legacy_contract_counts_each_array_by_itself() {
    let rig = Rig::with(|settings| settings.objects.per_array = true).await;
    assert_eq!(rig.track(&body(75, 75, 75)).await.status, 201);
    assert_too_many(&rig.track(&body(75, 75, 76)).await);
}

#[tokio::test]
async fn s3_5_another_number_can_be_set() {
    let rig = Rig::with(|settings| {
        settings.objects = ObjectLimit {
            max: 5,
            per_array: false,
        }
    })
    .await;
    assert_eq!(rig.track(&body(5, 0, 0)).await.status, 201);
    assert_too_many(&rig.track(&body(5, 1, 0)).await);
}

#[tokio::test]
async fn s3_5_nothing_of_a_request_with_too_many_objects_is_applied() {
    let rig = Rig::start().await;
    assert_too_many(&rig.track(&body(76, 0, 0)).await);
    assert_eq!((rig.handle.pending(), rig.users().len()), (0, 0));
}

#[tokio::test]
async fn s3_5_a_body_over_4_mb_gets_413() {
    let rig = Rig::start().await;
    let frame = r#"{"attributes":[{"external_id":"u","v":""}]}"#.len();
    let of_bytes = |bytes: usize| {
        format!(
            r#"{{"attributes":[{{"external_id":"u","v":"{}"}}]}}"#,
            "x".repeat(bytes - frame)
        )
    };
    assert_eq!(rig.track(&of_bytes(4 * 1024 * 1024)).await.status, 201);
    assert_eq!(rig.track(&of_bytes(4 * 1024 * 1024 + 1)).await.status, 413);
}

#[tokio::test]
async fn s3_5_the_same_user_may_come_several_times() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u","n":1},{"external_id":"u","n":2},{"external_id":"u","m":3}]}"#)
        .await;
    assert_eq!(
        (rig.attribute("u", "n"), rig.attribute("u", "m")),
        (Some(json!(2)), Some(json!(3)))
    );
    assert_eq!(rig.users().len(), 1);
}
