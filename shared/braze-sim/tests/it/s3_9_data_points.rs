//! §3.9: what the customer pays.

use braze_sim::{AttributeType, DEFAULT_WORKSPACE};

use crate::support::Rig;

/// The data points of one body, for a user that exists.
async fn cost(rig: &Rig, body: &str) -> u64 {
    rig.applied(r#"{"attributes":[{"external_id":"u","seen":true}]}"#).await;
    rig.handle.reset_meter();
    rig.applied(body).await;
    rig.handle.meter(DEFAULT_WORKSPACE).data_points
}

#[tokio::test]
async fn s3_9_every_attribute_key_written_by_an_object_costs_one_changed_or_not() {
    let rig = Rig::start().await;
    let body = r#"{"attributes":[{"external_id":"u","a":1,"b":2,"first_name":"Ines"}]}"#;
    assert_eq!(cost(&rig, body).await, 3);
    assert_eq!(cost(&rig, body).await, 3, "nothing changes, and it costs the same");
    assert_eq!(rig.handle.meter(DEFAULT_WORKSPACE).by_attribute["a"], 1);
}

#[tokio::test]
async fn s3_9_an_array_change_is_one_write_however_many_values_it_has() {
    let rig = Rig::start().await;
    let body = r#"{"attributes":[{"external_id":"u","s":{"add":["a","b","c"],"remove":["d","e"]}}]}"#;
    assert_eq!(cost(&rig, body).await, 1);
}

#[tokio::test]
async fn s3_9_two_objects_for_one_user_cost_two() {
    let rig = Rig::start().await;
    let body = r#"{"attributes":[{"external_id":"u","s":{"add":["a"]}},{"external_id":"u","s":{"add":["b"]}}]}"#;
    assert_eq!(cost(&rig, body).await, 2);
}

#[tokio::test]
async fn s3_9_events_and_purchases_cost_one_each() {
    let rig = Rig::start().await;
    let event = r#"{"external_id":"u","name":"e","time":"2026-01-01","properties":{"a":1,"b":2}}"#;
    let purchase = r#"{"external_id":"u","product_id":"p","currency":"EUR","price":1,"time":"2026-01-01"}"#;
    assert_eq!(
        cost(
            &rig,
            &format!(r#"{{"events":[{event},{event}],"purchases":[{purchase}]}}"#)
        )
        .await,
        3
    );
    let meter = rig.handle.meter(DEFAULT_WORKSPACE);
    assert_eq!((meter.attribute_writes, meter.events, meter.purchases), (0, 2, 1));
}

#[tokio::test]
async fn s3_9_what_is_not_written_costs_nothing() {
    let rig = Rig::with(|settings| {
        settings.blocked_attributes.insert("blocked".to_owned());
        settings
            .attribute_types
            .insert("forced".to_owned(), AttributeType::Array);
    })
    .await;
    let long = "x".repeat(256);
    let object = format!(r#"{{"external_id":"u","blocked":1,"forced":1,"long":"{long}"}}"#);
    assert_eq!(cost(&rig, &format!(r#"{{"attributes":[{object}]}}"#)).await, 0);
    let skipped = r#"{"attributes":[{"external_id":"unknown","_update_existing_only":true,"a":1}]}"#;
    assert_eq!(cost(&rig, skipped).await, 0);
}

#[tokio::test]
async fn s3_9_identifiers_control_keys_subscription_states_and_push_tokens_cost_nothing() {
    let rig = Rig::start().await;
    let body = r#"{"attributes":[{"external_id":"u","_update_existing_only":true,"_merge_objects":true,
        "email_subscribe":"subscribed","push_subscribe":"subscribed","push_tokens":[],
        "subscription_groups":[{"subscription_group_id":"g","subscription_state":"subscribed"}]}]}"#;
    assert_eq!(cost(&rig, body).await, 0);
}
