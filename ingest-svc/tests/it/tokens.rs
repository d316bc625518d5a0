//! What a token allows, wherever it is used: how much, from where, until when; and what is known of its use.

use std::num::NonZeroU32;

use control::{AllowedSource, ApiTokenSettings, Limits};
use futures::future::join_all;
use kafka::testing::InProcessBroker;
use model::{AccountNumber, Role};
use proto::apitoken::v1 as wire;
use tonic::{Code, Request};

use crate::grpc::token_client;
use crate::harness::ingest::{self, record};
use crate::harness::{self, ADMIN_TOKEN, Service, http};

const GOOD: &str = r#"{"braze_id":"b-1"}"#;

fn settings() -> ApiTokenSettings {
    ApiTokenSettings {
        roles: vec![Role::DataManager],
        ..ApiTokenSettings::default()
    }
}

fn limited(requests_per_second: u32, requests_max: u32) -> ApiTokenSettings {
    ApiTokenSettings {
        limits: Limits {
            requests_per_second: NonZeroU32::new(requests_per_second),
            requests_max: NonZeroU32::new(requests_max),
        },
        ..settings()
    }
}

fn allowed(sources: &[&str]) -> ApiTokenSettings {
    let sources = sources.iter().map(|source| source.parse::<AllowedSource>().unwrap());
    ApiTokenSettings {
        allowed_sources: sources.collect(),
        ..settings()
    }
}

fn name(account: AccountNumber, token: &str) -> String {
    format!("accounts/{account}/apiTokens/{}", id(token))
}

fn id(token: &str) -> &str {
    token.split('_').nth(2).unwrap()
}

fn path(account: AccountNumber, token: &str) -> String {
    format!("/c/{account}/braze_users?key={token}")
}

async fn until_answered(service: &Service, path: &str, status: u16) -> http::Answer {
    harness::wait_for("it is answered so", async || {
        let answer = service.post(path, "[]").await;
        (answer.status == status).then_some(answer)
    })
    .await
}

async fn has_metric(service: &Service, line: &str) -> bool {
    http::get(service.addresses.admin, "/metrics").await.body.contains(line)
}

#[tokio::test]
async fn a_token_over_its_rate_is_429_with_retry_after_and_no_other_is() {
    let service = harness::shared().await;
    let account = service.account().await;
    let slow = service.token_with(account, limited(1, 0), None).await;
    let other = service.token(account, Role::DataManager, None).await;
    let (slow, other) = (path(account, &slow), path(account, &other));
    // However slow the machine, so many do not take so many seconds.
    let refused = harness::wait_for("it is over its rate", async || {
        let answers = join_all((0..32).map(|_| service.post(&slow, "[]"))).await;
        answers.into_iter().find(|answer| answer.status != 200)
    })
    .await;
    assert!(refused.refusal(429).starts_with("more than 1 requests a second"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    for answer in join_all((0..32).map(|_| service.post(&other, "[]"))).await {
        answer.counts(0, 0);
    }
    until_answered(service, &slow, 200).await;
    assert!(has_metric(service, r#"ingest_bounds_reached_total{bound="token_rate"}"#).await);
    assert!(has_metric(service, r#"ingest_refused_total{reason="token_rate"}"#).await);
}

#[tokio::test]
async fn the_limits_of_a_token_without_its_own_are_the_installations() {
    let (_broker, service) = Service::alone(|config| config.http.token_requests_max = NonZeroU32::MIN).await;
    let (account, token) = service.sender().await;
    let own = service.token_with(account, limited(0, 2), None).await;
    let (token, own) = (path(account, &token), path(account, &own));
    let of_own = service.begin(&own, GOOD.len()).await;
    let (first, _) = service.two_at_once(&token, GOOD, 429).await;
    service.post(&own, "[]").await.counts(0, 0);
    drop((first, of_own));
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_token_with_too_many_requests_in_progress_is_429_until_one_is_answered() {
    let service = harness::shared().await;
    let account = service.account().await;
    let token = service.token_with(account, limited(0, 1), None).await;
    let path = path(account, &token);
    let (mut first, refused) = service.two_at_once(&path, GOOD, 429).await;
    assert!(refused.refusal(429).starts_with("more than 1 requests at once"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    first.write(GOOD).await;
    first.answer().await.counts(1, 0);
    until_answered(service, &path, 200).await;
    assert!(has_metric(service, r#"ingest_bounds_reached_total{bound="token_requests"}"#).await);
}

#[tokio::test]
async fn a_stream_of_records_is_one_of_its_tokens_requests() {
    let service = harness::shared().await;
    let account = service.account().await;
    let token = service.token_with(account, limited(0, 1), None).await;
    let mut client = ingest::client(service.addresses.grpc, &token).await;
    let (sender, mut answers) = ingest::open(&mut client, record(account, GOOD)).await;
    answers.message().await.unwrap().unwrap();
    service.post(&path(account, &token), "[]").await.refusal(429);
    let second = client
        .ingest_records(futures::stream::iter([record(account, GOOD)]))
        .await;
    let refused = second.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let explained = runtime::grpc::status::explain(&refused);
    assert!(explained.ends_with("(try again in 1s)"), "{explained}");
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
    drop(answers);
    until_answered(service, &path(account, &token), 200).await;
}

#[tokio::test]
async fn a_token_is_good_from_its_allowed_sources_alone() {
    let service = harness::shared().await;
    let account = service.account().await;
    let elsewhere = service
        .token_with(account, allowed(&["192.0.2.0/24", "braze:US-03"]), None)
        .await;
    let here = service.token_with(account, allowed(&["127.0.0.1"]), None).await;
    service.post(&path(account, &here), "[]").await.counts(0, 0);
    // Nobody is trusted to say so.
    let forged = ["x-forwarded-for: 192.0.2.1"];
    let answer = http::post(service.addresses.http, &path(account, &elsewhere), &forged, b"[]").await;
    assert_eq!(
        answer.refusal(403),
        "Not permitted: the API token may not be used from 127.0.0.1"
    );
    let mut client = ingest::client(service.addresses.grpc, &elsewhere).await;
    let refused = client
        .ingest_records(futures::stream::iter([record(account, GOOD)]))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    service.events(account, 0).await;
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_comes_from() {
    let (_broker, service) = Service::alone(|config| {
        config.auth.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let account = service.account().await;
    let token = service.token_with(account, allowed(&["192.0.2.1"]), None).await;
    let path = path(account, &token);
    for (forwarded, status) in [
        ("192.0.2.1", 200),
        ("203.0.113.1, 192.0.2.1, 10.0.0.9", 200),
        ("192.0.2.1, 203.0.113.1", 403),
        ("nonsense", 403),
    ] {
        let header = format!("x-forwarded-for: {forwarded}");
        let answer = http::post(service.addresses.http, &path, &[&header], b"[]").await;
        assert_eq!(answer.status, status, "{forwarded}");
    }
    service.post(&path, "[]").await.refusal(403);

    let mut client = ingest::client(service.addresses.grpc, &token).await;
    for (forwarded, refused) in [("192.0.2.1", None), ("203.0.113.1", Some(Code::PermissionDenied))] {
        let mut request = Request::new(futures::stream::iter([record(account, GOOD)]));
        request
            .metadata_mut()
            .insert("x-forwarded-for", forwarded.parse().unwrap());
        let answers = client.ingest_records(request).await;
        assert_eq!(answers.err().map(|status| status.code()), refused, "{forwarded}");
    }
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn when_a_token_was_last_used_is_known_soon_and_is_written_once() {
    let (_broker, service) = Service::alone(|_| {}).await;
    let (account, token) = service.sender().await;
    let before = service.directory.api_tokens().get(account, id(&token)).unwrap();
    for _ in 0..50 {
        service.post(&path(account, &token), "[]").await.counts(0, 0);
    }
    let changed = service.directory.changed();
    let used = harness::wait_for("its use is written", async || {
        let token = service.directory.api_tokens().get(account, id(&token)).unwrap();
        token.last_use_time.map(|_| token)
    })
    .await;
    assert!(used.last_use_time.unwrap() >= used.create_time);
    assert_eq!(used.revision, before.revision, "a use is no edit");
    let written = *changed.borrow();
    for _ in 0..50 {
        service.post(&path(account, &token), "[]").await.counts(0, 0);
    }
    assert_eq!(*changed.borrow(), written);
    service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn what_one_replica_revokes_or_changes_every_other_knows() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let one = Service::start(harness::config(&broker.config())).await;
    let other = Service::start(harness::config(&broker.config())).await;
    let (account, token) = one.sender().await;
    let path = path(account, &token);
    until_answered(&other, &path, 200).await;
    let mut client = token_client(&one, Some(ADMIN_TOKEN)).await;
    let mut update = wire::UpdateApiTokenRequest {
        api_token: Some(wire::ApiToken {
            name: name(account, &token),
            allowed_sources: vec!["192.0.2.1".to_owned()],
            ..Default::default()
        }),
        update_mask: None,
    };
    client.update_api_token(update.clone()).await.unwrap();
    until_answered(&one, &path, 403).await;
    until_answered(&other, &path, 403).await;
    update.api_token.as_mut().unwrap().allowed_sources.clear();
    update.update_mask = Some(prost_types::FieldMask {
        paths: vec!["allowed_sources".to_owned()],
    });
    client.update_api_token(update).await.unwrap();
    until_answered(&other, &path, 200).await;

    let delete = wire::DeleteApiTokenRequest {
        name: name(account, &token),
        revision: 0,
    };
    client.delete_api_token(delete).await.unwrap();
    until_answered(&one, &path, 401).await;
    until_answered(&other, &path, 401).await;
    one.lifecycle.drain("the test is over");
    other.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_update_is_answered_with_the_token_as_it_is_and_a_stale_one_is_aborted() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = token_client(service, Some(ADMIN_TOKEN)).await;
    let get = wire::GetApiTokenRequest {
        name: name(account, &token),
    };
    let read = client
        .get_api_token(get.clone())
        .await
        .unwrap()
        .into_inner()
        .api_token
        .unwrap();
    let wanted = wire::ApiToken {
        label: "Renamed".to_owned(),
        description: "of the second campaign".to_owned(),
        roles: vec![Role::DataWrite.to_wire() as i32],
        limits: Some(wire::Limits {
            requests_per_second: 7,
            requests_max: 3,
        }),
        allowed_sources: vec!["127.0.0.1".to_owned(), "braze:EU-02".to_owned()],
        ..read.clone()
    };
    let update = wire::UpdateApiTokenRequest {
        api_token: Some(wanted.clone()),
        update_mask: None,
    };
    let updated = client.update_api_token(update.clone()).await.unwrap().into_inner();
    let updated = updated.api_token.unwrap();
    assert!(updated.revision > read.revision);
    let expected = wire::ApiToken {
        revision: updated.revision,
        update_time: updated.update_time,
        last_use_time: updated.last_use_time,
        ..wanted
    };
    assert_eq!(updated, expected);
    let again = client.get_api_token(get).await.unwrap().into_inner();
    assert_eq!(again.api_token.unwrap().revision, updated.revision);

    let stale = client.update_api_token(update.clone()).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted, "{stale}");
    let mut bad = update;
    let token = bad.api_token.as_mut().unwrap();
    (token.label, token.allowed_sources) = (" ".to_owned(), vec!["everywhere".to_owned()]);
    let refused = client.update_api_token(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for field in ["api_token.label: ", "api_token.allowed_sources: "] {
        assert!(refused.message().contains(field), "{refused}");
    }
}
