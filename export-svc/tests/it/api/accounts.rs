//! AccountService.

use proto::account::v1::account_service_client::AccountServiceClient;
use proto::account::v1::{Account, CreateAccountRequest, DeleteAccountRequest, GetAccountRequest, ListAccountsRequest};
use runtime::grpc::Channel;
use tonic::Code;

use super::{blamed, code};
use crate::service::{Service, config};

fn create(number: u64, hex: &str) -> CreateAccountRequest {
    let account = Account {
        number,
        hex: hex.to_owned(),
        label: "Acme".to_owned(),
        ..Account::default()
    };
    CreateAccountRequest { account: Some(account) }
}

async fn numbers(client: &mut AccountServiceClient<Channel>) -> Vec<u64> {
    let (mut numbers, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAccountsRequest {
            page_size: 2,
            page_token,
        };
        let page = client.list_accounts(request).await.unwrap().into_inner();
        numbers.extend(page.accounts.iter().map(|account| account.number));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return numbers;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_created_read_listed_and_deleted() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AccountServiceClient::new(service.admin().await);
    let created = client
        .create_account(create(7, ""))
        .await
        .unwrap()
        .into_inner()
        .account
        .unwrap();
    assert_eq!((created.name.as_str(), created.hex.len()), ("accounts/7", 32));
    assert!(created.revision > 0);
    let name = created.name.clone();
    let read = client
        .get_account(GetAccountRequest { name: name.clone() })
        .await
        .unwrap()
        .into_inner()
        .account;
    assert_eq!(read, Some(created.clone()));
    assert_eq!(code(client.create_account(create(7, "")).await), Code::AlreadyExists);
    assert_eq!(
        code(client.create_account(create(8, &created.hex)).await),
        Code::AlreadyExists,
        "digits are unique too"
    );
    client.create_account(create(9, &"ab".repeat(16))).await.unwrap();
    assert_eq!(numbers(&mut client).await, [1234, 7, 9]);
    client
        .delete_account(DeleteAccountRequest {
            name: name.clone(),
            revision: 0,
        })
        .await
        .unwrap();
    assert_eq!(
        code(client.get_account(GetAccountRequest { name: name.clone() }).await),
        Code::NotFound
    );
    assert_eq!(
        code(client.delete_account(DeleteAccountRequest { name, revision: 0 }).await),
        Code::NotFound
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_account_is_told_at_once() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AccountServiceClient::new(service.admin().await);
    let bad = Account {
        number: 0,
        hex: "xyz".to_owned(),
        label: " ".to_owned(),
        ..Account::default()
    };
    let status = client
        .create_account(CreateAccountRequest { account: Some(bad) })
        .await
        .unwrap_err();
    assert_eq!(blamed(&status), ["account.number", "account.label", "account.hex"]);
    let status = client
        .get_account(GetAccountRequest {
            name: "1234".to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(blamed(&status), ["name"]);
    let foreign = ListAccountsRequest {
        page_size: 0,
        page_token: "made up".to_owned(),
    };
    assert_eq!(
        blamed(&client.list_accounts(foreign).await.unwrap_err()),
        ["page_token"]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_its_membership_topic_from_the_start() {
    let Some(kafka) = kafka::testing::real_only("an_account_has_its_membership_topic_from_the_start") else {
        return;
    };
    let service = Service::start(config(&kafka::testing::Brokers::Real(kafka.clone()))).await;
    let mut client = AccountServiceClient::new(service.admin().await);
    client.create_account(create(7, "")).await.unwrap();
    for account in [7, 1234] {
        let problems = kafka::topics::check_membership(&kafka, account).await.unwrap();
        assert_eq!(problems, [""; 0], "account {account}");
    }
    service.stop().await;
}
