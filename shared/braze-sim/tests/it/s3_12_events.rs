//! §3.12: events and purchases are taken.

use braze_sim::DEFAULT_WORKSPACE;
use jiff::Timestamp;
use serde_json::json;

use crate::support::Rig;

#[tokio::test]
async fn s3_12_an_event_is_kept_with_its_properties_and_makes_an_unknown_user() {
    let rig = Rig::start().await;
    rig.applied(r#"{"events":[{"external_id":"u","app_id":"x","name":"viewed","time":"2026-01-01T10:00:00Z","properties":{"sku":"7"}}]}"#)
        .await;
    let event = rig.user("u").unwrap().custom_events.remove(0);
    assert_eq!(
        (event.name.as_str(), event.time.as_str()),
        ("viewed", "2026-01-01T10:00:00Z")
    );
    assert_eq!(event.rest["properties"], json!({"sku": "7"}));
}

#[tokio::test]
async fn s3_8_equal_events_are_all_kept() {
    let rig = Rig::start().await;
    let event = r#"{"external_id":"u","name":"viewed","time":"2026-01-01T10:00:00Z"}"#;
    rig.applied(&format!(r#"{{"events":[{event},{event}]}}"#)).await;
    rig.applied(&format!(r#"{{"events":[{event}]}}"#)).await;
    assert_eq!(rig.user("u").unwrap().custom_events.len(), 3);
    assert_eq!(rig.handle.meter(DEFAULT_WORKSPACE).events, 3);
}

#[tokio::test]
async fn s3_12_a_purchase_is_kept_with_its_price() {
    let rig = Rig::start().await;
    rig.applied(r#"{"purchases":[{"external_id":"u","product_id":"sku-7","currency":"EUR","price":9.5,"quantity":2,"time":"2026-01-01"}]}"#)
        .await;
    let purchase = rig.user("u").unwrap().purchases.remove(0);
    assert_eq!(
        (purchase.name.as_str(), &purchase.rest["price"]),
        ("sku-7", &json!(9.5))
    );
}

#[tokio::test]
async fn s3_12_a_time_in_the_future_becomes_now() {
    let rig = Rig::start().await;
    rig.applied(r#"{"events":[{"external_id":"u","name":"e","time":"2999-01-01T00:00:00Z"}]}"#)
        .await;
    let time: Timestamp = rig.user("u").unwrap().custom_events[0].time.parse().unwrap();
    assert!(time <= Timestamp::now());
}

#[tokio::test]
async fn s3_12_an_object_without_what_it_needs_is_refused_by_its_array_and_index() {
    let rig = Rig::start().await;
    let good = r#""external_id":"u","name":"e""#;
    let bought = r#""external_id":"u","product_id":"p","currency":"EUR","price":1"#;
    let body = format!(
        r#"{{"events":[{{{good},"time":"2026-01-01T10:00:00Z"}},{{{good},"time":"soon"}},{{"external_id":"u","time":"2026-01-01"}}],
            "purchases":[{{{bought}}},{{{bought},"time":"2026-01-01","quantity":101}}]}}"#
    );
    let answered = rig.track(&body).await;
    let (status, answer) = (answered.status, answered.json());
    assert_eq!(
        (status, &answer["events_processed"], &answer["purchases_processed"]),
        (201, &json!(1), &json!(0))
    );
    let errors = answer["errors"].as_array().unwrap().iter();
    let named: Vec<_> = errors
        .map(|error| (error["input_array"].as_str().unwrap(), error["index"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        named,
        [("events", 1), ("events", 2), ("purchases", 0), ("purchases", 1)]
    );
}
