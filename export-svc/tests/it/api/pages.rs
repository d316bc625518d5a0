//! Page tokens: each is good for the list that gave it.

use proto::account::v1::account_service_client::AccountServiceClient;
use proto::account::v1::{Account, CreateAccountRequest, ListAccountsRequest};
use proto::authorization::v1::ListAuthorizationsRequest;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{ExportJobState, ListExportJobsRequest};
use proto::membership::v1::ListAudiencesRequest;
use proto::membership::v1::audience_service_client::AudienceServiceClient;
use tonic::Status;

use super::plan::{change, publish};
use super::{blamed, jobs};
use crate::service::{ACCOUNT, Service, config};

/// Asks a list of this account for its first entry, or for what comes after a token. Gives back the next token.
type Asked = Result<String, Status>;

async fn accounts(service: &Service, page_token: &str) -> Asked {
    let request = ListAccountsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let mut client = AccountServiceClient::new(service.admin().await);
    Ok(client.list_accounts(request).await?.into_inner().next_page_token)
}

async fn authorizations(service: &Service, parent: &str, page_token: &str) -> Asked {
    let request = ListAuthorizationsRequest {
        parent: parent.to_owned(),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    Ok(client.list_authorizations(request).await?.into_inner().next_page_token)
}

async fn export_jobs(service: &Service, states: &[ExportJobState], authorization: &str, page_token: &str) -> Asked {
    let request = ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        page_size: 1,
        page_token: page_token.to_owned(),
        states: states.iter().map(|state| (*state).into()).collect(),
        authorization: authorization.to_owned(),
    };
    let mut client = ExportJobServiceClient::new(service.admin().await);
    Ok(client.list_export_jobs(request).await?.into_inner().next_page_token)
}

async fn audiences(service: &Service, page_token: &str) -> Asked {
    let request = ListAudiencesRequest {
        parent: ACCOUNT.to_owned(),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let mut client = AudienceServiceClient::new(service.admin().await);
    Ok(client.list_audiences(request).await?.into_inner().next_page_token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_refused_by_every_list_but_the_one_that_gave_it() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let account = Account {
        number: 99,
        label: "Other".to_owned(),
        ..Account::default()
    };
    let create = CreateAccountRequest { account: Some(account) };
    let mut client = AccountServiceClient::new(service.admin().await);
    client.create_account(create).await.unwrap();
    let sim = jobs::authorization(&service, "Sim", "").await;
    jobs::authorization(&service, "Other", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    for audience in ["vip", "gold"] {
        client
            .create_export_job(jobs::create(audience, audience, &sim))
            .await
            .unwrap();
    }
    publish(
        &service,
        vec![change("vip", 1, true, "a"), change("gold", 1, true, "a")],
    )
    .await;
    let tokens = [
        accounts(&service, "").await.unwrap(),
        authorizations(&service, ACCOUNT, "").await.unwrap(),
        export_jobs(&service, &[], "", "").await.unwrap(),
        export_jobs(&service, &[ExportJobState::Paused], "", "").await.unwrap(),
        export_jobs(&service, &[], &sim, "").await.unwrap(),
        audiences(&service, "").await.unwrap(),
    ];
    for (giver, token) in tokens.iter().enumerate() {
        assert_ne!(token, "", "list {giver} has a second page");
        let asked = [
            accounts(&service, token).await,
            authorizations(&service, ACCOUNT, token).await,
            export_jobs(&service, &[], "", token).await,
            export_jobs(&service, &[ExportJobState::Paused], "", token).await,
            export_jobs(&service, &[], &sim, token).await,
            audiences(&service, token).await,
        ];
        for (taker, answer) in asked.into_iter().enumerate() {
            match answer {
                Ok(next) => assert_eq!((taker, next.as_str()), (giver, "")),
                Err(refused) => {
                    assert_ne!(taker, giver, "{refused}");
                    assert_eq!(blamed(&refused), ["page_token"]);
                }
            }
        }
    }
    let elsewhere = authorizations(&service, "accounts/99", &tokens[1]).await;
    assert_eq!(blamed(&elsewhere.unwrap_err()), ["page_token"]);
    service.stop().await;
}
