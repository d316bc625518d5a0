//! Mappings as resources: put, read, validated, tried out, on all replicas, and beside the live one.

mod commands;
mod resource;
mod shadow;
mod statements;

use model::AccountNumber;
use proto::mapping::v1 as wire;
use proto::mapping::v1::mapping_service_client::MappingServiceClient;
use runtime::grpc::Channel;
use tonic::Status;

use crate::grpc::channel;
use crate::harness::{self, Service, config};

type Client = MappingServiceClient<Channel>;

const WEB: &str = "SELECT user AS id, city FROM web INTO user BY id ALIAS web";

async fn client(service: &Service, token: &str) -> Client {
    MappingServiceClient::new(channel(service, Some(token)).await)
}

fn parent(account: AccountNumber) -> String {
    format!("accounts/{account}")
}

fn name(account: AccountNumber, alias: &str) -> String {
    format!("accounts/{account}/mappings/{alias}")
}

async fn try_put(
    client: &mut Client,
    account: AccountNumber,
    lql: &str,
    at: Option<u64>,
) -> Result<wire::Mapping, Status> {
    let request = wire::PutMappingRequest {
        parent: parent(account),
        lql: lql.to_owned(),
        if_revision: at,
    };
    Ok(client.put_mapping(request).await?.into_inner().mapping.unwrap())
}

async fn put(client: &mut Client, account: AccountNumber, lql: &str) -> wire::Mapping {
    try_put(client, account, lql, None).await.unwrap()
}

async fn get(client: &mut Client, name: &str, version: Option<u64>) -> Result<wire::Mapping, Status> {
    let request = wire::GetMappingRequest {
        name: name.to_owned(),
        version,
    };
    Ok(client.get_mapping(request).await?.into_inner().mapping.unwrap())
}

async fn delete(client: &mut Client, name: &str, at: Option<u64>) -> Result<(), Status> {
    let request = wire::DeleteMappingRequest {
        name: name.to_owned(),
        if_revision: at,
    };
    client.delete_mapping(request).await.map(drop)
}

/// The mapping that the last event of the account was made by, and its version, once a record was posted to a service. None while
/// no mapping reads the stream.
async fn made_by(service: &Service, path: &str, account: AccountNumber, record: &str) -> Option<(String, u64)> {
    let answer = service.post(path, record).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    if answer.json()["data"]["message_count"] == 0 {
        return None;
    }
    let events = harness::topic::events_so_far(&service.kafka, account).await;
    let newest = events
        .iter()
        .max_by_key(|event| event.event.receive_time.map(|at| (at.seconds, at.nanos)));
    let event = &newest.unwrap().event;
    Some((event.mapping.clone(), event.mapping_version))
}

/// Waits until a service makes events by this version of a mapping.
async fn until_made_by(service: &Service, path: &str, account: AccountNumber, record: &str, wanted: (&str, u64)) {
    harness::wait_for("the mapping is live", async || {
        let (mapping, version) = made_by(service, path, account, record).await?;
        ((mapping.as_str(), version) == wanted).then_some(())
    })
    .await;
}

/// Two services on one broker, and an account with a token that both know.
async fn two_replicas() -> (kafka::testing::InProcessBroker, [Service; 2], AccountNumber, String) {
    let broker = kafka::testing::InProcessBroker::start(1, &[]).unwrap();
    let one = Service::start(config(&broker.config())).await;
    let other = Service::start(config(&broker.config())).await;
    let (account, token) = one.sender().await;
    harness::wait_for("the other replica knows the token", async || {
        let path = format!("/c/{account}/braze_users?dryrun=true&key={token}");
        (other.post(&path, "[]").await.status == 200).then_some(())
    })
    .await;
    (broker, [one, other], account, token)
}

#[tokio::test]
async fn a_put_is_live_on_every_replica_and_the_event_names_the_version() {
    let (_broker, replicas, account, token) = two_replicas().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    let record = r#"{"braze_id":"b-1","plan":"gold"}"#;
    let lql = "SELECT braze_id AS id, plan FROM braze_users INTO user BY id ALIAS mine";
    assert_eq!(
        made_by(&replicas[0], &path, account, record).await,
        Some(("braze_users".to_owned(), 0))
    );
    let mut client = client(&replicas[0], &token).await;
    let first = put(&mut client, account, lql).await;
    assert_eq!((first.version, first.stream.as_str()), (1, "braze_users"));
    for replica in &replicas {
        until_made_by(replica, &path, account, record, ("mine", 1)).await;
    }
    put(&mut client, account, &lql.replace("plan", "tolower(plan) AS plan")).await;
    for replica in &replicas {
        until_made_by(replica, &path, account, record, ("mine", 2)).await;
    }
    // A deletion gives the stream back to what ships with the service, and no version is given twice.
    delete(&mut client, &first.name, None).await.unwrap();
    for replica in &replicas {
        until_made_by(replica, &path, account, record, ("braze_users", 0)).await;
    }
    assert_eq!(put(&mut client, account, lql).await.version, 3);
}

#[tokio::test]
async fn a_restart_keeps_the_mapping_and_its_versions() {
    let (broker, service) = Service::alone(|_| {}).await;
    let (account, token) = service.sender().await;
    let mut before = client(&service, &token).await;
    put(&mut before, account, WEB).await;
    put(&mut before, account, &WEB.replace("city", "city AS town")).await;
    service.lifecycle.drain("the test restarts it");
    let service = Service::start(config(&broker.config())).await;
    let path = format!("/c/{account}/web?key={token}");
    // From the first record on.
    let record = r#"{"user":"1","city":"Porto"}"#;
    let made = made_by(&service, &path, account, record).await;
    assert_eq!(made, Some(("web".to_owned(), 2)));
    let mut after = client(&service, &token).await;
    let first = get(&mut after, &name(account, "web"), Some(1)).await.unwrap();
    assert_eq!((first.lql.as_str(), first.version), (WEB, 1));
}

#[tokio::test]
async fn a_stream_of_ones_own_is_read_and_what_where_does_not_want_is_neither_published_nor_kept() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/web?key={token}");
    let view = r#"{"user":"1","event":"view"}"#;
    service.post(&path, view).await.counts(0, 1);
    service.rejected(account, 1).await;
    let lql = "SELECT user AS id FROM web INTO user BY id WHERE event != \"heartbeat\" ALIAS web";
    put(&mut client(service, &token).await, account, lql).await;
    until_made_by_shared(service, &path, view).await;
    let before = harness::topic::events_so_far(&service.kafka, account).await.len();
    let body = format!(r#"[{{"user":"1","event":"heartbeat"}},{view},{{"event":"view"}}]"#);
    let data = service.post(&path, body).await.counts(2, 1);
    assert_eq!(data["not_wanted_count"], 1);
    assert!(
        data["rejected"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("identifies nobody"),
        "{data}"
    );
    service.events(account, before + 1).await;
    let kept = harness::topic::rejected_so_far(&service.kafka, account).await;
    let heartbeat = |payload: &[u8]| payload.windows(9).any(|part| part == b"heartbeat");
    assert!(kept.iter().all(|kept| !heartbeat(&kept.payload)));
    assert!(kept.iter().any(|kept| kept.code == "no_identity"));
}

/// Waits until records of a stream are taken.
async fn until_made_by_shared(service: &Service, path: &str, record: &str) {
    harness::wait_for("the stream is read", async || {
        let data = service.post(path, record).await.json();
        (data["data"]["message_count"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_record_of_a_request_is_made_by_one_version_also_if_a_put_comes_between() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    put(&mut client, account, WEB).await;
    let path = format!("/c/{account}/web?key={token}");
    until_made_by(service, &path, account, r#"{"user":"1"}"#, ("web", 1)).await;
    let bulk = format!("/collect/bulk/web?account_id={account}&key={token}");
    // More than a window of records, so that some are published before the rest is sent.
    let row = "{\"user\":\"2\"}\n";
    let mut upload = service.begin(&bulk, 1_200 * row.len()).await;
    upload.write(row.repeat(1_100)).await;
    let of_upload = async || {
        let events = harness::topic::events_so_far(&service.kafka, account).await;
        let of_upload = events.into_iter().filter(|event| event.key == "id:2");
        of_upload.map(|event| event.event.mapping_version).collect::<Vec<_>>()
    };
    harness::wait_for("a window is published", async || {
        (!of_upload().await.is_empty()).then_some(())
    })
    .await;
    put(&mut client, account, &WEB.replace("city", "city AS town")).await;
    until_made_by(service, &path, account, r#"{"user":"1"}"#, ("web", 2)).await;
    upload.write(row.repeat(100)).await;
    assert_eq!(upload.answer().await.status, 200);
    assert_eq!(of_upload().await, vec![1; 1_200]);
}
