//! AuthorizationService.

mod edit;
mod health;

use std::time::Duration;

use kafka::{Polled, Position, Reader, ReaderOptions, Topics};
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{
    Authorization, CreateAuthorizationRequest, DeleteAuthorizationRequest, GetAuthorizationRequest,
    ListAuthorizationsRequest, RotateAuthorizationKeyRequest,
};
use tonic::Code;

use super::{blamed, code};
use crate::service::{ACCOUNT, KEYS, Service, config};

const KEY: &str = "b1946ac9-2f5a-4c0f-9c4e-5d0c3f7e9a11";

const NEW_KEY: &str = "9d3e51c2-77aa-4b1d-8e0f-1c2b3a495867";

fn rotate(name: &str, key: &str) -> RotateAuthorizationKeyRequest {
    RotateAuthorizationKeyRequest {
        name: name.to_owned(),
        rest_api_key: key.to_owned(),
        revision: 0,
    }
}

pub(super) fn create(label: &str, workspace: &str) -> CreateAuthorizationRequest {
    let authorization = Authorization {
        provider: "braze".to_owned(),
        method: "braze".to_owned(),
        label: label.to_owned(),
        instance: "US-01".to_owned(),
        workspace: workspace.to_owned(),
        ..Authorization::default()
    };
    CreateAuthorizationRequest {
        parent: ACCOUNT.to_owned(),
        authorization: Some(authorization),
        rest_api_key: KEY.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_is_created_read_listed_and_deleted() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client
        .create_authorization(create("Sim", ""))
        .await
        .unwrap()
        .into_inner()
        .authorization
        .unwrap();
    assert!(
        created.name.starts_with("accounts/1234/authorizations/"),
        "{}",
        created.name
    );
    assert!(
        created.name.ends_with(&created.workspace),
        "a workspace of its own: {}",
        created.workspace
    );
    let name = created.name.clone();
    let get = || GetAuthorizationRequest { name: name.clone() };
    let read = client
        .get_authorization(get())
        .await
        .unwrap()
        .into_inner()
        .authorization;
    assert_eq!(read.as_ref(), Some(&created));
    let list = ListAuthorizationsRequest {
        parent: ACCOUNT.to_owned(),
        ..Default::default()
    };
    let listed = client
        .list_authorizations(list)
        .await
        .unwrap()
        .into_inner()
        .authorizations;
    assert_eq!(listed, [created]);
    assert_eq!(
        code(client.create_authorization(create("Sim", "")).await),
        Code::AlreadyExists
    );
    client
        .delete_authorization(DeleteAuthorizationRequest {
            name: name.clone(),
            revision: 0,
        })
        .await
        .unwrap();
    assert_eq!(code(client.get_authorization(get()).await), Code::NotFound);
    let nowhere = CreateAuthorizationRequest {
        parent: "accounts/99".to_owned(),
        ..create("Sim", "")
    };
    assert_eq!(code(client.create_authorization(nowhere).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_in_place_and_everything_else_stays() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client.create_authorization(create("Sim", "w")).await.unwrap();
    let created = created.into_inner().authorization.unwrap();
    let rotated = client.rotate_authorization_key(rotate(&created.name, NEW_KEY)).await;
    let rotated = rotated.unwrap().into_inner().authorization.unwrap();
    assert!(rotated.revision > created.revision);
    let unchanged = Authorization {
        revision: created.revision,
        update_time: created.update_time,
        health: created.health.clone(),
        ..rotated
    };
    assert_eq!(unchanged, created);
    let status = client
        .rotate_authorization_key(rotate(&created.name, "two words"))
        .await
        .unwrap_err();
    assert_eq!(blamed(&status), ["rest_api_key"]);
    assert!(!status.message().contains("two words"), "{}", status.message());
    let nobody = rotate("accounts/1234/authorizations/none", NEW_KEY);
    assert_eq!(code(client.rotate_authorization_key(nobody).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_authorization_is_told_at_once_and_the_key_in_none_of_them() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let bad = CreateAuthorizationRequest {
        parent: ACCOUNT.to_owned(),
        authorization: Some(Authorization {
            instance: "US-99".to_owned(),
            ..Authorization::default()
        }),
        rest_api_key: "two words".to_owned(),
    };
    let status = client.create_authorization(bad).await.unwrap_err();
    assert_eq!(
        blamed(&status),
        [
            "authorization.provider",
            "authorization.method",
            "authorization.label",
            "rest_api_key",
            "authorization.instance",
        ]
    );
    assert!(
        status.message().contains("US-01") && status.message().contains("EU-02"),
        "{}",
        status.message()
    );
    assert!(!format!("{status:?}").contains("two words"));
    service.stop().await;
}

/// Every record of the control topic as it is stored: keys, values and headers.
fn control_topic(kafka: &kafka::Config) -> Vec<u8> {
    let topic = Topics::new(kafka).control();
    let mut reader = Reader::open(kafka, ReaderOptions::default()).unwrap();
    reader.assign(&topic, &[(0, Position::Beginning)]).unwrap();
    let mut bytes = Vec::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while std::time::Instant::now() < deadline {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(Polled::Record(record))) => {
                bytes.extend_from_slice(record.key().unwrap_or_default());
                bytes.extend_from_slice(record.payload().unwrap_or_default());
            }
            Some(Ok(Polled::Eof { .. })) => return bytes,
            Some(Err(_)) | None => {}
        }
    }
    panic!("the end of {topic} was not reached");
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_braze_key_is_neither_on_the_topic_nor_in_any_answer() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client
        .create_authorization(create("Sim", ""))
        .await
        .unwrap()
        .into_inner();
    let name = created.authorization.clone().unwrap().name;
    let read = client
        .get_authorization(GetAuthorizationRequest { name: name.clone() })
        .await
        .unwrap()
        .into_inner();
    let list = ListAuthorizationsRequest {
        parent: ACCOUNT.to_owned(),
        ..Default::default()
    };
    let listed = client.list_authorizations(list).await.unwrap().into_inner();
    let rotated = client.rotate_authorization_key(rotate(&name, NEW_KEY)).await.unwrap();
    let rotated = rotated.into_inner();
    let answers = format!("{created:?}{read:?}{listed:?}{rotated:?}");
    assert!(!answers.contains(KEY) && !answers.contains(NEW_KEY), "{answers}");
    let kafka = brokers.config();
    let stored = tokio::task::spawn_blocking(move || control_topic(&kafka))
        .await
        .unwrap();
    assert!(holds(&stored, &name), "the record itself is there");
    for key in [KEY, NEW_KEY] {
        assert!(!holds(&stored, key) && !holds(&stored, &key[..18]));
    }
    let sealer = control::sealing::Sealer::from_config(&KEYS.into()).unwrap();
    let (account, id) = model::name::child(&name, model::name::AUTHORIZATIONS).unwrap();
    let kept = service
        .directory
        .authorizations()
        .get(account, id)
        .unwrap()
        .rest_api_key(&sealer)
        .unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&kept),
        NEW_KEY,
        "and it opens with the key of the installation"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_who_want_one_label_at_once_over_two_replicas_one_gets_it() {
    let brokers = kafka::testing::brokers();
    let (one, other) = (
        Service::start(config(&brokers)).await,
        Service::start(config(&brokers)).await,
    );
    let (one_client, other_client) = (one.admin().await, other.admin().await);
    let racing = (0..10).map(|n| {
        let channel = if n % 2 == 0 {
            one_client.clone()
        } else {
            other_client.clone()
        };
        let mut client = AuthorizationServiceClient::new(channel);
        async move {
            client
                .create_authorization(create("Sim", ""))
                .await
                .map(drop)
                .map_err(|status| status.code())
        }
    });
    let outcomes = futures::future::join_all(racing).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(Code::AlreadyExists))
        .count();
    assert_eq!((won, lost), (1, 9), "{outcomes:?}");
    one.stop().await;
    other.stop().await;
}
