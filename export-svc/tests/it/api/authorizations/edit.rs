//! UpdateAuthorization.

use model::Role;
use prost_types::FieldMask;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{Authorization, Budget, UpdateAuthorizationRequest};
use tonic::Code;

use super::create;
use crate::api::{blamed, code};
use crate::service::{Service, config};

fn update(authorization: Authorization, paths: &[&str]) -> UpdateAuthorizationRequest {
    UpdateAuthorizationRequest {
        authorization: Some(authorization),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_is_edited_and_an_edit_of_a_stale_revision_is_aborted() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client.create_authorization(create("Sim", "w")).await.unwrap();
    let created = created.into_inner().authorization.unwrap();
    let new = Authorization {
        description: "of the marketing team".to_owned(),
        budget: Some(Budget {
            requests_per_second: Some(20.0),
            limit_share: None,
        }),
        ..created.clone()
    };
    let answer = client.update_authorization(update(new.clone(), &["description", "budget"]));
    let updated = answer.await.unwrap().into_inner().authorization.unwrap();
    assert!(updated.revision > created.revision);
    let expected = Authorization {
        revision: updated.revision,
        update_time: updated.update_time,
        ..new.clone()
    };
    assert_eq!(updated, expected, "nothing else has changed");
    let stale = client.update_authorization(update(new.clone(), &["description"])).await;
    assert_eq!(code(stale), Code::Aborted);
    let blind = Authorization {
        revision: 0,
        label: "New name".to_owned(),
        ..new
    };
    let renamed = client
        .update_authorization(update(blind.clone(), &["label"]))
        .await
        .unwrap();
    assert_eq!(renamed.into_inner().authorization.unwrap().label, "New name");
    let status = client
        .update_authorization(update(blind, &["instance"]))
        .await
        .unwrap_err();
    assert_eq!(blamed(&status), ["update_mask"]);
    let nobody = Authorization {
        name: "accounts/1234/authorizations/none".to_owned(),
        label: "x".to_owned(),
        ..Authorization::default()
    };
    assert_eq!(
        code(client.update_authorization(update(nobody, &[])).await),
        Code::NotFound
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_of_another_account_cannot_be_edited() {
    let brokers = kafka::testing::brokers();
    let mut config = config(&brokers);
    config.bootstrap.accounts = "1234=Demo,5678=Other".to_owned();
    let service = Service::start(config).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client.create_authorization(create("Sim", "")).await.unwrap();
    let created = created.into_inner().authorization.unwrap();
    let stranger = service.token_of(5678, Role::Admin).await;
    let mut stranger = AuthorizationServiceClient::new(service.connect(Some(&stranger)).await);
    let refused = stranger.update_authorization(update(created, &["label"])).await;
    assert_eq!(code(refused), Code::PermissionDenied);
    service.stop().await;
}
