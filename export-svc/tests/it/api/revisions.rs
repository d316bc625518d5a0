//! Changes of what somebody has read, if it is still that.

use proto::account::v1::account_service_client::AccountServiceClient;
use proto::account::v1::{Account, CreateAccountRequest, DeleteAccountRequest};
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{
    Authorization, DeleteAuthorizationRequest, RotateAuthorizationKeyRequest, UpdateAuthorizationRequest,
};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{DeleteExportJobRequest, PauseExportJobRequest};
use tonic::Code;

use super::{authorizations, code, jobs};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_and_a_resource_deleted_only_as_it_was_read() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client.create_authorization(authorizations::create("Sim", "")).await;
    let created = created.unwrap().into_inner().authorization.unwrap();
    let edit = UpdateAuthorizationRequest {
        authorization: Some(Authorization {
            name: created.name.clone(),
            description: "changed meanwhile".to_owned(),
            ..Authorization::default()
        }),
        update_mask: None,
    };
    let edited = client.update_authorization(edit).await.unwrap().into_inner();
    let edited = edited.authorization.unwrap();
    let rotate = |revision| RotateAuthorizationKeyRequest {
        name: created.name.clone(),
        rest_api_key: "another-key".to_owned(),
        revision,
    };
    let stale = client.rotate_authorization_key(rotate(created.revision)).await;
    assert_eq!(code(stale), Code::Aborted);
    let rotated = client.rotate_authorization_key(rotate(edited.revision)).await.unwrap();
    let rotated = rotated.into_inner().authorization.unwrap();

    let mut of_jobs = ExportJobServiceClient::new(service.admin().await);
    let job = of_jobs
        .create_export_job(jobs::create("VIP", "vip", &created.name))
        .await;
    let job = job.unwrap().into_inner().export_job.unwrap();
    let pause = PauseExportJobRequest {
        name: job.name.clone(),
        revision: job.revision,
    };
    let paused = of_jobs.pause_export_job(pause).await.unwrap().into_inner();
    let delete = |revision| DeleteExportJobRequest {
        name: job.name.clone(),
        revision,
    };
    let stale = of_jobs.delete_export_job(delete(job.revision)).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    let paused = paused.export_job.unwrap().revision;
    assert!(stale.message().contains(&format!("is at revision {paused}")), "{stale}");
    of_jobs.delete_export_job(delete(paused)).await.unwrap();

    let delete = |revision| DeleteAuthorizationRequest {
        name: created.name.clone(),
        revision,
    };
    assert_eq!(
        code(client.delete_authorization(delete(edited.revision)).await),
        Code::Aborted
    );
    client.delete_authorization(delete(rotated.revision)).await.unwrap();

    let mut client = AccountServiceClient::new(service.admin().await);
    let account = Account {
        number: 99,
        label: "Other".to_owned(),
        ..Account::default()
    };
    let create = CreateAccountRequest { account: Some(account) };
    let account = client
        .create_account(create)
        .await
        .unwrap()
        .into_inner()
        .account
        .unwrap();
    let delete = |revision| DeleteAccountRequest {
        name: account.name.clone(),
        revision,
    };
    let stale = client.delete_account(delete(account.revision + 1)).await;
    assert_eq!(code(stale), Code::Aborted);
    client.delete_account(delete(account.revision)).await.unwrap();
    service.stop().await;
}
