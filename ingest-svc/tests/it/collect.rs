//! What the parameters of the Collect API do: whose account it is, when a record happened, how a CSV is read.

use ingest_svc::normalize::record_key;
use model::AccountRef;

use crate::harness::{self, ADMIN_TOKEN, http};

const RECORD: &str = r#"{"braze_id":"b-1"}"#;

#[tokio::test]
async fn the_account_is_the_tokens_or_the_one_that_is_named_and_a_token_for_all_must_name_one() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let (other, _) = service.sender().await;
    let hex = service.directory.account(AccountRef::Number(account)).unwrap().hex;
    for endpoint in ["json", "bulk"] {
        let post = async |query: String| {
            service
                .post(&format!("/collect/{endpoint}/braze_users?{query}"), RECORD)
                .await
        };
        post(format!("key={token}")).await.counts(1, 0);
        post(format!("key={token}&account_id=")).await.counts(1, 0);
        post(format!("access_token={token}&account_id={account}"))
            .await
            .counts(1, 0);
        post(format!("key={ADMIN_TOKEN}&account_id={hex}")).await.counts(1, 0);
        let message = post(format!("key={ADMIN_TOKEN}")).await.refusal(400);
        assert!(message.contains("account_id"), "{message}");
        post(format!("key={token}&account_id={other}")).await.refusal(403);
        assert!(
            post(format!("key={ADMIN_TOKEN}&account_id=acme"))
                .await
                .refusal(404)
                .contains("acme")
        );
        post("key=wrong".to_owned()).await.refusal(401);
    }
    service.events(account, 8).await;
    service.events(other, 0).await;
}

#[tokio::test]
async fn timestamp_field_says_when_a_record_happened_and_the_id_does_not_depend_on_it() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}&timestamp_field=ts");
    let csv = "braze_id,ts\n1,2026-01-02 03:04:05\n2,soon\n";
    service.post(&path, csv).await.counts(2, 0);
    let json = r#"{"braze_id":"1","ts":"2026-01-02 03:04:05"}"#;
    service
        .post(
            &format!("/c/{account}/braze_users?key={token}&timestamp_field=ts"),
            json,
        )
        .await
        .counts(1, 0);
    service
        .post(&format!("/c/{account}/braze_users?key={token}"), json)
        .await
        .counts(1, 0);
    let mut found: Vec<_> = service
        .events(account, 4)
        .await
        .into_iter()
        .map(|event| event.event)
        .collect();
    found.sort_by_key(|event| (record_key(event), event.event_time.map(|time| time.seconds)));
    let times: Vec<_> = found
        .iter()
        .map(|event| event.event_time.map(|time| time.seconds))
        .collect();
    let told = Some(1_767_323_045);
    assert_eq!(times, [None, told, told, None]);
    assert!(found[..3].iter().all(|event| event.event_id == found[0].event_id));
}

#[tokio::test]
async fn how_a_csv_is_read_is_for_the_sender_to_say() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/collect/bulk/braze_users?key={token}");
    let append = "%7B%22city%22%3A%22Porto%22%7D";
    for (query, body) in [
        (format!("&append={append}"), "braze_id,city\nb-1,Faro\n"),
        (format!("&delimiter=t&append={append}"), "braze_id\tname\nb-1\tx,y\n"),
        ("&delimiter=%7C&headers=braze_id,city".to_owned(), "b-1|Porto"),
    ] {
        service.post(&format!("{path}{query}"), body).await.counts(1, 0);
    }
    for event in service.events(account, 3).await {
        assert_eq!(
            (event.key.as_str(), event.field("city")),
            ("br_user_id:b-1", Some("Porto"))
        );
    }
    for (query, name) in [("&delimiter=xx", "`delimiter`"), ("&append=%5B1%5D", "`append`")] {
        let message = service
            .post(&format!("{path}{query}"), "braze_id\nb-1")
            .await
            .refusal(400);
        assert!(message.contains(name), "{message}");
    }
    let message = service.post(&path, b"braze_id,\xff\nb-1,x\n").await.refusal(400);
    assert!(message.contains("header") && message.contains("`headers`"), "{message}");
    service.events(account, 3).await;
}

#[tokio::test]
async fn a_body_over_10_mb_is_413_but_for_an_upload_in_bulk() {
    let service = harness::shared().await;
    let (_, token) = service.sender().await;
    let large = [
        RECORD.as_bytes(),
        &vec![b'\n'; 10_000_001 - 2 * RECORD.len()],
        RECORD.as_bytes(),
    ]
    .concat();
    service
        .post(&format!("/collect/json/braze_users?key={token}"), &large)
        .await
        .refusal(413);
    service
        .post(&format!("/collect/bulk/braze_users?key={token}"), &large)
        .await
        .counts(2, 0);
    // Blanks in front do not make a CSV of it.
    service
        .post(
            &format!("/collect/bulk/braze_users?key={token}"),
            format!("{}{RECORD}", "\n".repeat(100_000)),
        )
        .await
        .counts(1, 0);
    // Neither does calling it a CSV make it any shorter.
    let path = format!("/collect/json/braze_users?key={token}");
    let mut connection = http::Connection::open(service.addresses.http).await;
    connection
        .begin(&path, "content-type: text/csv\r\ntransfer-encoding: chunked")
        .await;
    connection.write(format!("{:x}\r\n", large.len())).await;
    connection.write(&large).await;
    connection.write("\r\n0\r\n\r\n").await;
    connection.answer().await.refusal(413);
}

#[tokio::test]
async fn what_is_left_out_of_an_event_and_what_is_rejected_is_counted() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let count = async |name: &str| {
        let page = http::get(service.addresses.admin, "/metrics").await.body;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or(0.0)
    };
    let dropped = "ingest_identities_dropped_total";
    let nobody = "ingest_rejected_total{reason=\"no_identity\"}";
    let before = (count(dropped).await, count(nobody).await);
    let long = "x".repeat(257);
    let body = format!(r#"[{{"braze_id":"{long}","twitter_handle":"ann"}},{{"braze_id":"{long}"}}]"#);
    service
        .post(&format!("/c/{account}/braze_users?key={token}"), body)
        .await
        .counts(1, 1);
    let after = (count(dropped).await, count(nobody).await);
    assert!(
        after.0 >= before.0 + 1.0 && after.1 >= before.1 + 1.0,
        "{before:?} {after:?}"
    );
    assert_eq!(service.events(account, 1).await[0].key, "tw_uid:ann");
    assert_eq!(service.rejected(account, 1).await[0].code, "no_identity");
}
