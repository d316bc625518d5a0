//! Jobs that send events or purchases.

use serde_json::{Value, json};

use super::{KEY, done, file, folder, refused};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_send_events_or_purchases_are_created_shown_and_told_apart() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let typed = async |line: &str| {
        let words = words(line);
        done(&service, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    typed(&format!(
        "authorizations create --account 1234 --label Sim --instance US-01 --key-file {}",
        key_file.display()
    ))
    .await;
    let create = "jobs create --account 1234 --auth Sim --audience vip --external-id-field user_id";
    typed(&format!("{create} --label Plain")).await;
    let events = "--label Events --type events --event-name vip_changed --event-time-field since";
    let planned = typed(&format!("{create} {events} --dry-run")).await;
    assert!(
        planned.contains("attributeWrites") && planned.contains("events"),
        "{planned}"
    );
    typed(&format!("{create} {events}")).await;
    let shown = typed("jobs get --account 1234 Events --output json").await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    for (field, expected) in [
        ("type", "export_events"),
        ("eventName", "vip_changed"),
        ("eventTimeField", "since"),
        ("coalesce", "every_edge"),
    ] {
        assert_eq!(shown[field], expected, "{shown}");
    }
    let listed = typed("jobs list --account 1234").await;
    let type_of = |label: &str| {
        let line = listed.lines().find(|line| line.contains(label)).unwrap();
        line.split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!(
        (type_of("Plain"), type_of("Events")),
        ("audiences".into(), "events".into())
    );
    let twice = words(&format!(
        "{create} --label Third --type events --event-name vip_changed --guard 5"
    ));
    let problem = refused(&service, &twice.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(
        problem.contains("export_job.guard_percent: must be 0 or unset"),
        "{problem}"
    );
    let bought = "--label Bought --type purchases --product-id upgrade --price-field price --currency EUR";
    typed(&format!("{create} {bought}")).await;
    let shown = typed("jobs get --account 1234 Bought --output json").await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    for (field, expected) in [
        ("type", json!("export_purchases")),
        ("purchaseProductId", json!({"constant": "upgrade"})),
        ("purchasePrice", json!({"field": "price"})),
        ("purchaseQuantity", json!({"constant": "1"})),
        ("audienceEvents", json!("enters")),
    ] {
        assert_eq!(shown[field], expected, "{shown}");
    }
    service.stop().await;
}
