//! Candidates beside live mappings.

use proto::mapping::v1 as wire;

use super::{Client, client, parent, put, until_made_by};
use crate::harness::{self, http};

use model::AccountNumber;

const LIVE: &str = "SELECT user AS id, mail AS email, city FROM web INTO user BY id ALIAS web";
const CANDIDATE: &str =
    "SELECT user AS id, email(mail) AS email, city AS town FROM web INTO user BY id WHERE event != \"no\" ALIAS web";

async fn put_shadow(client: &mut Client, account: AccountNumber, lql: &str) -> wire::Shadow {
    let request = wire::PutShadowRequest {
        parent: parent(account),
        lql: lql.to_owned(),
        if_revision: None,
    };
    client.put_shadow(request).await.unwrap().into_inner().shadow.unwrap()
}

async fn report(client: &mut Client, name: &str) -> Option<wire::ShadowReport> {
    let request = wire::GetShadowRequest { name: name.to_owned() };
    client.get_shadow(request).await.unwrap().into_inner().report
}

/// Waits until the shadow runs on the service.
async fn runs(client: &mut Client, name: &str) {
    harness::wait_for("the shadow runs", async || report(client, name).await).await;
}

/// The report, once so many records were looked at.
async fn after(client: &mut Client, name: &str, records: u64) -> wire::ShadowReport {
    harness::wait_for("the records are compared", async || {
        let report = report(client, name).await?;
        (report.same + report.different + report.passed_over >= records).then_some(report)
    })
    .await
}

#[tokio::test]
async fn a_candidate_is_compared_field_by_field_and_nothing_of_it_is_published() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    put(&mut client, account, LIVE).await;
    let path = format!("/c/{account}/web?key={token}");
    until_made_by(service, &path, account, r#"{"user":"0"}"#, ("web", 1)).await;
    let before = harness::topic::events_so_far(&service.kafka, account).await.len();
    let shadow = put_shadow(&mut client, account, CANDIDATE).await;
    assert_eq!(
        (shadow.stream.as_str(), shadow.name.as_str()),
        ("web", &*format!("accounts/{account}/shadows/web"))
    );
    runs(&mut client, &shadow.name).await;
    let body = r#"[
        {"user": "1", "mail": "ann.lee@example.com"},
        {"user": "2", "mail": "Ann.Lee@Example.com", "city": "Porto"},
        {"user": "3", "event": "no"}
    ]"#;
    // A dry run is no record of anybody's.
    service.post(&format!("{path}&dryrun=true"), body).await.counts(3, 0);
    service.post(&path, body).await.counts(3, 0);
    let report = after(&mut client, &shadow.name, 3).await;
    assert_eq!((report.same, report.different, report.passed_over), (1, 2, 0));
    assert_eq!((report.live_mapping.as_str(), report.live_version), ("web", 1));
    assert_eq!((report.other_identities, report.other_key), (0, 0));
    let outcome = wire::OutcomeDifference {
        live: "published".to_owned(),
        candidate: "not_wanted".to_owned(),
        count: 1,
    };
    assert_eq!(report.outcomes, [outcome]);
    let fields: Vec<_> = report
        .fields
        .iter()
        .map(|field| {
            (
                field.field.as_str(),
                field.live_only,
                field.candidate_only,
                field.other_value,
            )
        })
        .collect();
    assert_eq!(fields, [("city", 1, 0, 0), ("email", 0, 0, 1), ("town", 0, 1, 0)]);
    let example = &report.fields[1].examples[0];
    assert_eq!(
        (example.live.as_str(), example.candidate.as_str()),
        ("Aaa.Aaa@Aaaaaaa.aaa", "aaa.aaa@aaaaaaa.aaa")
    );
    let events = service.events(account, before + 3).await;
    assert!(events.iter().any(|event| event.event.event_id == example.event_id));
    assert!(
        events
            .iter()
            .all(|event| event.event.mapping_version == 1 && event.field("town").is_none())
    );

    let metrics = http::get(service.addresses.admin, "/metrics").await.body;
    assert!(
        metrics.contains(r#"ingest_shadow_records_total{outcome="different"}"#),
        "{metrics}"
    );
    // What was counted is of this pair: another live version begins anew.
    let newer = LIVE.replace("mail AS email", "email(mail) AS email");
    let newer = put(&mut client, account, &newer).await;
    let anew = harness::wait_for("the shadow runs beside the new version", async || {
        let report = self::report(&mut client, &shadow.name).await?;
        (report.live_version == newer.version).then_some(report)
    })
    .await;
    assert_eq!(anew.different, 0);
    let delete = |if_revision| wire::DeleteShadowRequest {
        name: shadow.name.clone(),
        if_revision,
    };
    let stale = client
        .delete_shadow(delete(Some(shadow.revision + 1)))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), tonic::Code::Aborted, "{stale}");
    client.delete_shadow(delete(None)).await.unwrap();
    let list = wire::ListShadowsRequest {
        parent: parent(account),
        ..Default::default()
    };
    assert!(client.list_shadows(list).await.unwrap().into_inner().shadows.is_empty());
}

#[tokio::test]
async fn a_candidate_for_which_there_is_no_time_holds_up_nobody_and_says_what_it_passed_over() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    let shadow = put_shadow(
        &mut client,
        account,
        "SELECT braze_id AS id FROM braze_users INTO user BY id ALIAS b",
    )
    .await;
    runs(&mut client, &shadow.name).await;
    // Far more than one request may offer.
    let record = format!(r#"{{"braze_id":"b","city":"{}"}}"#, "x".repeat(10_000));
    let body = format!("[{}]", vec![record; 60].join(","));
    let path = format!("/c/{account}/braze_users?key={token}");
    service.post(&path, &body).await.counts(60, 0);
    service.events(account, 60).await;
    let report = after(&mut client, &shadow.name, 60).await;
    assert!(report.passed_over > 30, "{report:?}");
    assert_eq!(report.same + report.different + report.passed_over, 60);
    assert_eq!((report.live_mapping.as_str(), report.live_version), ("braze_users", 0));
}

#[tokio::test]
async fn records_of_a_grpc_stream_are_compared_too_and_read_by_what_is_live_when_they_arrive() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    let mut ingest = harness::ingest::client(service.addresses.grpc, &token).await;
    let first = harness::ingest::record(account, r#"{"braze_id":"b-0","plan":"gold"}"#);
    let (records, mut answers) = harness::ingest::open(&mut ingest, first.clone()).await;
    answers.message().await.unwrap().unwrap();
    let lql = "SELECT braze_id AS id, plan FROM braze_users INTO user BY id ALIAS mine";
    let shadow = put_shadow(&mut client, account, lql).await;
    runs(&mut client, &shadow.name).await;
    records.send(first.clone()).await.unwrap();
    answers.message().await.unwrap().unwrap();
    let report = after(&mut client, &shadow.name, 1).await;
    assert_eq!((report.different, report.other_key), (1, 1));
    put(&mut client, account, lql).await;
    harness::wait_for("the open stream is read by the new mapping", async || {
        records.send(first.clone()).await.unwrap();
        answers.message().await.unwrap().unwrap();
        let events = harness::topic::events_so_far(&service.kafka, account).await;
        events.iter().any(|event| event.event.mapping == "mine").then_some(())
    })
    .await;
}
