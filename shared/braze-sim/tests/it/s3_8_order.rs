//! §3.8: when and in which order accepted calls are applied.

use std::time::Duration;

use braze_sim::Fault;
use serde_json::json;

use crate::support::{Rig, within};

fn set(n: u32) -> String {
    format!(r#"{{"attributes":[{{"external_id":"u","n":{n}}}]}}"#)
}

#[tokio::test]
async fn s3_8_an_accepted_call_is_applied_later() {
    // Far longer than the test takes to look.
    let rig = Rig::with(|settings| settings.apply_delay = Duration::from_secs(600)).await;
    assert_eq!(rig.track(&set(1)).await.status, 201);
    assert_eq!((rig.handle.pending(), rig.user("u")), (1, None));
}

#[tokio::test]
async fn s13_the_default_delay_is_50_ms_and_idle_waits_for_it() {
    let rig = Rig::of(braze_sim::Options::default()).await;
    assert_eq!(rig.handle.settings().apply_delay, Duration::from_millis(50));
    assert_eq!(rig.track(&set(1)).await.status, 201);
    within(rig.handle.idle()).await;
    assert_eq!(rig.attribute("u", "n"), Some(json!(1)));
    let entry = &rig.handle.journal()[0];
    assert!(
        entry.applied_at.unwrap().duration_since(entry.arrived_at).as_millis() >= 50,
        "{entry:?}"
    );
}

#[tokio::test]
async fn s3_8_calls_are_applied_in_the_order_of_acceptance_without_reordering() {
    let rig = Rig::with(|settings| settings.apply_delay = Duration::from_millis(100)).await;
    for n in 1..=20 {
        rig.track(&set(n)).await;
    }
    within(rig.handle.idle()).await;
    assert_eq!(
        (rig.attribute("u", "n"), rig.handle.order().overtaken),
        (Some(json!(20)), 0)
    );
}

#[tokio::test]
async fn s3_8_calls_overtake_each_other_within_the_delay_with_reordering() {
    let rig = Rig::with(|settings| {
        settings.apply_delay = Duration::from_secs(1);
        settings.reorder = true;
    })
    .await;
    for n in 1..=20 {
        rig.track(&set(n)).await;
    }
    within(rig.handle.idle()).await;
    let order: Vec<u64> = rig
        .handle
        .journal()
        .iter()
        .map(|entry| entry.applied_order.unwrap())
        .collect();
    assert!(!order.is_sorted(), "{order:?}");
    let overtaken = rig
        .handle
        .journal()
        .iter()
        .filter(|entry| !entry.overtaken_by.is_empty())
        .count();
    assert!(overtaken > 0);
    assert_eq!(rig.handle.order().overtaken, overtaken as u64);
}

#[tokio::test]
async fn s3_8_attributes_are_applied_before_events_before_purchases() {
    let rig = Rig::start().await;
    // Only the attributes object may create the user; the others find it only if it is applied first.
    rig.applied(
        r#"{"purchases":[{"external_id":"u","_update_existing_only":true,"product_id":"p","currency":"EUR","price":1,"time":"2026-01-01"}],
            "events":[{"external_id":"u","_update_existing_only":true,"name":"e","time":"2026-01-01"}],
            "attributes":[{"external_id":"u","n":1}]}"#,
    )
    .await;
    let user = rig.user("u").unwrap();
    assert_eq!((user.custom_events.len(), user.purchases.len()), (1, 1));
    rig.handle.forget_users();
    rig.applied(
        r#"{"purchases":[{"external_id":"u","_update_existing_only":true,"product_id":"p","currency":"EUR","price":1,"time":"2026-01-01"}],
            "events":[{"external_id":"u","name":"e","time":"2026-01-01"}]}"#,
    )
    .await;
    assert_eq!(rig.user("u").unwrap().purchases.len(), 1);
}

#[tokio::test]
async fn s3_8_a_call_that_ended_badly_may_be_applied_after_a_later_one() {
    let rig = Rig::start().await;
    rig.handle
        .inject(Fault::drop_after().applied_after(Duration::from_secs(1)).next(1));
    assert!(rig.post("/users/track", &set(1)).await.is_none());
    assert_eq!(rig.track(&set(2)).await.status, 201);
    within(rig.handle.idle()).await;
    assert_eq!(
        rig.attribute("u", "n"),
        Some(json!(1)),
        "the earlier call has the last word"
    );
    let journal = rig.handle.journal();
    assert_eq!((journal[0].applied_order, journal[1].applied_order), (Some(2), Some(1)));
    assert_eq!(journal[0].overtaken_by, [2]);
}

#[tokio::test]
async fn s3_8_repeated_adds_are_harmless_and_repeated_incs_are_not() {
    let rig = Rig::start().await;
    for _ in 0..2 {
        rig.applied(r#"{"attributes":[{"external_id":"u","s":{"add":["a"]},"n":{"inc":1}}]}"#)
            .await;
    }
    assert_eq!(
        (rig.attribute("u", "s"), rig.attribute("u", "n")),
        (Some(json!(["a"])), Some(json!(2)))
    );
}
