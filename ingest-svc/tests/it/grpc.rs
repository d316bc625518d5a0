//! The gRPC services: tokens, streams of records, tails.

use futures::{StreamExt, TryStreamExt};
use ingest_svc::config::TAILS_MAX;
use model::{AccountNumber, Role};
use proto::apitoken::v1 as tokens;
use proto::apitoken::v1::api_token_service_client::ApiTokenServiceClient;
use proto::ingest::v1::IngestRecordsRequest;
use proto::ingest::v1::ingest_records_response::Outcome;
use runtime::grpc::Channel;
use secrecy::SecretString;
use tonic::Code;

use crate::harness::ingest::{self, record, tail};
use crate::harness::{self, ADMIN_TOKEN, Service};

pub(crate) async fn channel(service: &Service, token: Option<&str>) -> Channel {
    let endpoint = format!("http://{}", service.addresses.grpc);
    runtime::grpc::connect(&endpoint, token.map(SecretString::from).as_ref())
        .await
        .unwrap()
}

pub(crate) async fn token_client(service: &Service, token: Option<&str>) -> ApiTokenServiceClient<Channel> {
    ApiTokenServiceClient::new(channel(service, token).await)
}

async fn ingest_client(service: &Service, token: &str) -> ingest::Client {
    ingest::client(service.addresses.grpc, token).await
}

fn create(account: AccountNumber, role: Role) -> tokens::CreateApiTokenRequest {
    tokens::CreateApiTokenRequest {
        parent: format!("accounts/{account}"),
        api_token: Some(tokens::ApiToken {
            label: "Braze".to_owned(),
            roles: vec![role.to_wire() as i32],
            ..Default::default()
        }),
    }
}

#[tokio::test]
async fn a_token_is_created_used_read_listed_and_deleted() {
    let service = harness::shared().await;
    let account = service.account().await;
    let mut client = token_client(service, Some(ADMIN_TOKEN)).await;
    let created = until_known(&mut client, create(account, Role::DataManager)).await;
    let token = created.api_token.unwrap();
    assert!(
        token.name.starts_with(&format!("accounts/{account}/apiTokens/")),
        "{}",
        token.name
    );
    assert_eq!(
        created.webhook_url,
        format!("http://localhost:8080/c/{account}/braze_users?key={}", created.token)
    );

    let path = created.webhook_url.strip_prefix("http://localhost:8080").unwrap();
    service.post(path, r#"{"braze_id":"b-1"}"#).await.counts(1, 0);

    let get = tokens::GetApiTokenRequest {
        name: token.name.clone(),
    };
    let read = client.get_api_token(get.clone()).await.unwrap().into_inner().api_token;
    assert_eq!(unused(read.unwrap()), token);
    client.create_api_token(create(account, Role::Observer)).await.unwrap();
    let mut list = tokens::ListApiTokensRequest {
        parent: format!("accounts/{account}"),
        page_size: 1,
        ..Default::default()
    };
    let page = client.list_api_tokens(list.clone()).await.unwrap().into_inner();
    let listed: Vec<_> = page.api_tokens.into_iter().map(unused).collect();
    assert_eq!(listed, std::slice::from_ref(&token));
    list.page_token = page.next_page_token;
    let last = client.list_api_tokens(list).await.unwrap().into_inner();
    assert_eq!((last.api_tokens.len(), last.next_page_token.as_str()), (1, ""));

    let delete = |revision| tokens::DeleteApiTokenRequest {
        name: token.name.clone(),
        revision,
    };
    let stale = client.delete_api_token(delete(token.revision + 1)).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted, "{stale}");
    client.delete_api_token(delete(token.revision)).await.unwrap();
    assert_eq!(client.get_api_token(get).await.unwrap_err().code(), Code::NotFound);
    service.post(path, "[]").await.refusal(401);
}

/// As if it had not been used, which may have been noticed by now, or not.
fn unused(token: tokens::ApiToken) -> tokens::ApiToken {
    tokens::ApiToken {
        last_use_time: None,
        ..token
    }
}

/// Creates a token as soon as the service knows the account.
async fn until_known(
    client: &mut ApiTokenServiceClient<Channel>,
    request: tokens::CreateApiTokenRequest,
) -> tokens::CreateApiTokenResponse {
    harness::wait_for("the service knows the account", async || {
        match client.create_api_token(request.clone()).await {
            Ok(created) => Some(created.into_inner()),
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status}");
                None
            }
        }
    })
    .await
}

#[tokio::test]
async fn only_an_admin_of_the_account_manages_its_tokens() {
    let service = harness::shared().await;
    let (account, manager) = service.sender().await;
    let (other, _) = service.sender().await;
    let others_admin = service.token(other, Role::Admin, None).await;
    let own_admin = service.token(account, Role::Admin, None).await;
    let name = format!("accounts/{account}/apiTokens/none");
    for (token, wanted) in [
        (None, [Code::Unauthenticated; 5]),
        (Some("nonsense"), [Code::Unauthenticated; 5]),
        (Some(manager.as_str()), [Code::PermissionDenied; 5]),
        (Some(others_admin.as_str()), [Code::PermissionDenied; 5]),
        (
            Some(own_admin.as_str()),
            [Code::Ok, Code::NotFound, Code::Ok, Code::NotFound, Code::NotFound],
        ),
    ] {
        let mut client = token_client(service, token).await;
        let list = tokens::ListApiTokensRequest {
            parent: format!("accounts/{account}"),
            ..Default::default()
        };
        let update = tokens::UpdateApiTokenRequest {
            api_token: Some(tokens::ApiToken {
                name: name.clone(),
                label: "new".to_owned(),
                ..Default::default()
            }),
            update_mask: None,
        };
        let codes = [
            client
                .create_api_token(create(account, Role::Observer))
                .await
                .map_or_else(|status| status.code(), |_| Code::Ok),
            client
                .get_api_token(tokens::GetApiTokenRequest { name: name.clone() })
                .await
                .map_or_else(|status| status.code(), |_| Code::Ok),
            client
                .list_api_tokens(list)
                .await
                .map_or_else(|status| status.code(), |_| Code::Ok),
            client
                .delete_api_token(tokens::DeleteApiTokenRequest {
                    name: name.clone(),
                    revision: 0,
                })
                .await
                .map_or_else(|status| status.code(), |_| Code::Ok),
            client
                .update_api_token(update)
                .await
                .map_or_else(|status| status.code(), |_| Code::Ok),
        ];
        assert_eq!(codes, wanted, "{token:?}");
    }
}

#[tokio::test]
async fn a_bad_name_or_token_is_invalid_argument_and_names_the_field() {
    let service = harness::shared().await;
    let mut client = token_client(service, Some(ADMIN_TOKEN)).await;
    let bad_parent = tokens::CreateApiTokenRequest {
        parent: "1234".to_owned(),
        api_token: None,
    };
    let status = client.create_api_token(bad_parent).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message().starts_with("parent: ")),
        (Code::InvalidArgument, true),
        "{status}"
    );
    let no_role = tokens::CreateApiTokenRequest {
        parent: "accounts/1".to_owned(),
        api_token: None,
    };
    let status = client.create_api_token(no_role).await.unwrap_err();
    assert!(status.message().contains("api_token.roles"), "{status}");
    let status = client
        .get_api_token(tokens::GetApiTokenRequest {
            name: "accounts/1".to_owned(),
        })
        .await
        .unwrap_err();
    assert!(status.message().starts_with("name: "), "{status}");
}

#[tokio::test]
async fn the_first_message_of_a_stream_names_the_field_that_says_when_its_records_happened() {
    let service = harness::shared().await;
    let account = service.account().await;
    let token = service.token(account, Role::DataWrite, None).await;
    let mut client = ingest_client(service, &token).await;
    let first = IngestRecordsRequest {
        timestamp_field: "at".to_owned(),
        ..record(account, r#"{"braze_id":"b-0","at":"2026-01-02 03:04:05"}"#)
    };
    let second = record(account, r#"{"braze_id":"b-1","at":"2026-01-02 03:04:06"}"#);
    let records = futures::stream::iter([first, second]);
    let answers = client.ingest_records(records).await.unwrap().into_inner();
    assert_eq!(answers.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let events = service.events(account, 2).await;
    let mut times: Vec<_> = events
        .iter()
        .map(|event| event.event.event_time.unwrap().seconds)
        .collect();
    times.sort_unstable();
    assert_eq!(times, [1_767_323_045, 1_767_323_046]);
}

#[tokio::test]
async fn each_record_of_a_stream_is_answered_in_order_after_it_is_in_kafka() {
    let service = harness::shared().await;
    let account = service.account().await;
    let token = service.token(account, Role::DataWrite, None).await;
    let mut client = ingest_client(service, &token).await;
    let first = record(account, r#"{"braze_id":"b-0"}"#);
    let (sender, mut answers) = ingest::open(&mut client, first).await;
    let answer = answers.message().await.unwrap().unwrap();
    let Some(Outcome::EventId(id)) = answer.outcome else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (answer.index, &id),
        (0, &service.events(account, 1).await[0].event.event_id)
    );

    let rest = [
        r#"{"city":"x"}"#,
        r#"{"braze_id":"b-2"}"#,
        "broken",
        r#"{"email":"a@example.com"}"#,
    ];
    for text in rest {
        sender.send(record(account, text)).await.unwrap();
    }
    drop(sender);
    let answers: Vec<_> = answers.map(Result::unwrap).collect().await;
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| (answer.index, matches!(answer.outcome, Some(Outcome::EventId(_)))))
        .collect();
    assert_eq!(outcomes, [(1, false), (2, true), (3, false), (4, true)]);
    service.events(account, 3).await;
    let mut codes: Vec<_> = service
        .rejected(account, 2)
        .await
        .into_iter()
        .map(|kept| kept.code)
        .collect();
    codes.sort();
    assert_eq!(codes, ["malformed", "no_identity"]);
}

#[tokio::test]
async fn a_stream_needs_a_role_in_the_account_of_its_first_message() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let (other, _) = service.sender().await;
    let observer = service.token(account, Role::Observer, None).await;
    for (token, account, code) in [
        (token.as_str(), other.to_string(), Code::PermissionDenied),
        (observer.as_str(), account.to_string(), Code::PermissionDenied),
        ("nonsense", account.to_string(), Code::Unauthenticated),
        (token.as_str(), "x".to_owned(), Code::InvalidArgument),
        (ADMIN_TOKEN, "999999999".to_owned(), Code::NotFound),
    ] {
        let first = IngestRecordsRequest {
            account: format!("accounts/{account}"),
            ..record(other, "{}")
        };
        let mut client = ingest_client(service, token).await;
        let refused = client.ingest_records(futures::stream::iter([first])).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    service.rejected(other, 0).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = ingest_client(service, &token).await;
    let first = record(account, r#"{"braze_id":"b-0"}"#);
    let (sender, mut answers) = ingest::open(&mut client, first).await;
    answers.message().await.unwrap().unwrap();
    service
        .directory
        .api_tokens()
        .delete(account, token.split('_').nth(2).unwrap(), None)
        .await
        .unwrap();
    let status = harness::wait_for("the stream ends", async || {
        // The stream is gone once it has ended, which its answers tell.
        let _ended = sender.send(record(account, r#"{"braze_id":"b-0"}"#)).await.is_err();
        answers.message().await.err()
    })
    .await;
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_tail_gives_the_newest_events_of_one_account_then_those_that_follow() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let (other, others_token) = service.sender().await;
    let post = async |account: AccountNumber, token: &str, id: u32| {
        let path = format!("/c/{account}/braze_users?key={token}");
        service
            .post(&path, format!(r#"{{"braze_id":"b-{id}"}}"#))
            .await
            .counts(1, 0);
    };
    for id in 0..5 {
        post(account, &token, id).await;
        post(other, &others_token, 100 + id).await;
    }
    let mut client = ingest_client(service, &token).await;
    let ended: Vec<_> = client
        .tail_events(tail(account, 3, false))
        .await
        .unwrap()
        .into_inner()
        .collect()
        .await;
    assert_eq!(
        ended.into_iter().map(|event| id(event.unwrap())).collect::<Vec<_>>(),
        ["b-2", "b-3", "b-4"]
    );

    let mut following = client.tail_events(tail(account, 1, true)).await.unwrap().into_inner();
    assert_eq!(id(following.message().await.unwrap().unwrap()), "b-4");
    post(other, &others_token, 200).await;
    post(account, &token, 5).await;
    assert_eq!(id(following.message().await.unwrap().unwrap()), "b-5");
}

fn id(response: proto::ingest::v1::TailEventsResponse) -> String {
    response.event.unwrap().identities[0].value.clone()
}

#[tokio::test]
async fn a_tail_shows_profile_data_so_it_needs_a_data_manager() {
    let service = harness::shared().await;
    let (account, _) = service.sender().await;
    let (_, others) = service.sender().await;
    for role in [Role::Observer, Role::DataWrite] {
        let token = service.token(account, role, None).await;
        let refused = ingest_client(service, &token)
            .await
            .tail_events(tail(account, 1, false))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{role}");
    }
    let refused = ingest_client(service, &others)
        .await
        .tail_events(tail(account, 1, false))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_tails_thread_ends_when_its_client_leaves() {
    let (_broker, service) = Service::alone(|_| {}).await;
    let (account, token) = service.sender().await;
    let mut client = ingest_client(&service, &token).await;
    let mut open = Vec::new();
    for _ in 0..TAILS_MAX {
        open.push(client.tail_events(tail(account, 1, true)).await.unwrap());
    }
    let refused = client.tail_events(tail(account, 1, true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    open.clear();
    harness::wait_for("a thread of a client that left has ended", async || {
        client.tail_events(tail(account, 1, true)).await.ok()
    })
    .await;
    service.lifecycle.drain("the test is over");
}
