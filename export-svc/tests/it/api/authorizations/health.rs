//! The health of authorizations: at creation, at rotation, daily, and at every replica.

use braze_sim::{Fault, Key, Sim};
use control::NewAuthorization;
use control::sealing::Sealer;
use jiff::{SignedDuration, Timestamp};
use kafka::testing::Brokers;
use model::AccountNumber;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{
    Authorization, CheckAuthorizationRequest, CreateAuthorizationRequest, GetAuthorizationRequest, Health,
    HealthStatus, ListAuthorizationsRequest,
};
use runtime::grpc::Channel;

use super::{KEY, NEW_KEY, create, rotate};
use crate::service::{ACCOUNT, KEYS, Service, config};

async fn over(brokers: &Brokers, sim: &Sim) -> Service {
    let mut config = config(brokers);
    config.braze.endpoint = Some(sim.base_url().to_owned());
    Service::start(config).await
}

/// A service over a simulator that knows no key, and a client of it.
async fn started() -> (Brokers, Sim, Service, AuthorizationServiceClient<Channel>) {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = over(&brokers, &sim).await;
    let client = AuthorizationServiceClient::new(service.admin().await);
    (brokers, sim, service, client)
}

async fn created(
    client: &mut AuthorizationServiceClient<Channel>,
    request: CreateAuthorizationRequest,
) -> Authorization {
    let created = client.create_authorization(request).await;
    created
        .expect("whatever Braze says, it is created")
        .into_inner()
        .authorization
        .unwrap()
}

async fn health(client: &mut AuthorizationServiceClient<Channel>, name: &str) -> Health {
    let request = GetAuthorizationRequest { name: name.to_owned() };
    let read = client.get_authorization(request).await.unwrap().into_inner();
    read.authorization.unwrap().health.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_asked_about_at_once_and_a_refused_one_is_told_with_the_permission_it_needs() {
    let (_brokers, sim, service, mut client) = started().await;
    sim.handle()
        .put_key(Key::new("other").with_permissions(["users.export.ids"]));
    let with_key = |label: &str, key: &str| CreateAuthorizationRequest {
        rest_api_key: key.to_owned(),
        ..create(label, "")
    };
    let unable = created(&mut client, with_key("Unable", "other")).await.health.unwrap();
    assert_eq!(unable.status(), HealthStatus::Unhealthy);
    assert!(unable.check_time.is_some());
    for word in ["exports", "users.track", "403"] {
        assert!(unable.reason.contains(word), "{word}: {}", unable.reason);
    }
    let unheard = created(&mut client, with_key("Unheard of", KEY)).await;
    let seen = unheard.health.unwrap();
    assert_eq!(seen.status(), HealthStatus::Unhealthy);
    assert!(
        seen.reason.contains("401") && !seen.reason.contains(KEY),
        "{}",
        seen.reason
    );
    // The right key in its place.
    sim.handle().put_key(Key::new(NEW_KEY));
    let rotated = client
        .rotate_authorization_key(rotate(&unheard.name, NEW_KEY))
        .await
        .unwrap();
    let seen = rotated.into_inner().authorization.unwrap().health.unwrap();
    assert_eq!((seen.status(), seen.reason.as_str()), (HealthStatus::Healthy, ""));
    assert_eq!(health(&mut client, &unheard.name).await, seen);
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
    let statuses: Vec<_> = listed
        .into_iter()
        .map(|listed| listed.health.unwrap().status())
        .collect();
    assert_eq!(statuses, [HealthStatus::Unhealthy, HealthStatus::Healthy]);
    let calls = sim.handle().journal();
    assert!(
        calls.iter().all(|call| call.accepted + call.refused == 0),
        "asking touches nobody"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_braze_is_away_an_authorization_is_created_all_the_same_and_its_health_is_unknown() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let seen = created(&mut client, create("Sim", "")).await.health.unwrap();
    assert_eq!(seen.status(), HealthStatus::Unknown);
    assert!(!seen.reason.is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_tells_what_one_has_seen_also_after_a_restart() {
    let (brokers, sim) = (
        kafka::testing::brokers(),
        Sim::start(braze_sim::Options::default()).await.unwrap(),
    );
    let (one, other) = (over(&brokers, &sim).await, over(&brokers, &sim).await);
    let mut client = AuthorizationServiceClient::new(one.admin().await);
    let created = created(&mut client, create("Sim", "")).await;
    let seen = created.health.unwrap();
    assert_eq!(seen.status(), HealthStatus::Unhealthy);
    let mut client = AuthorizationServiceClient::new(other.admin().await);
    runtime::testing::until("the other replica knows", async || {
        client
            .clone()
            .get_authorization(GetAuthorizationRequest {
                name: created.name.clone(),
            })
            .await
            .is_ok_and(|read| read.into_inner().authorization.unwrap().health.as_ref() == Some(&seen))
    })
    .await;
    one.stop().await;
    other.stop().await;
    let again = over(&brokers, &sim).await;
    client = AuthorizationServiceClient::new(again.admin().await);
    runtime::testing::until("the next one knows", async || {
        health(&mut client.clone(), &created.name).await == seen
    })
    .await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_owns_the_slot_asks_about_a_key_that_nobody_has_asked_about_for_long() {
    let (_brokers, sim, service, client) = started().await;
    sim.handle().put_key(Key::new(KEY));
    let new = NewAuthorization {
        label: "Sim".to_owned(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: None,
        budget: control::Budget::default(),
        rest_api_key: KEY.into(),
    };
    let sealer = Sealer::from_config(&KEYS.into()).unwrap();
    let authorizations = service.directory.authorizations();
    // By a replica that was gone before it had asked.
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let created = authorizations.create(AccountNumber::new(1234).unwrap(), new, 4, &sealer, long_ago);
    let name = created.await.unwrap().name();
    runtime::testing::until("it has been asked about", async || {
        health(&mut client.clone(), &name).await.status() == HealthStatus::Healthy
    })
    .await;
    service.stop().await;
}

/// Status by use, and the reason of each.
fn uses(health: &Health) -> Vec<(&str, &str, HealthStatus)> {
    let told = health.uses.iter();
    told.map(|used_for| (&*used_for.r#use, &*used_for.permission, used_for.status()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_be_used_for_is_told_and_a_permission_that_is_optional_makes_nobody_unhealthy() {
    let (_brokers, sim, service, mut client) = started().await;
    sim.handle().put_key(Key::new(KEY).with_permissions(["users.track"]));
    let seen = created(&mut client, create("Exports only", "")).await.health.unwrap();
    assert_eq!((seen.status(), seen.reason.as_str()), (HealthStatus::Healthy, ""));
    assert_eq!(
        uses(&seen),
        [
            ("export", "users.track", HealthStatus::Healthy),
            ("explain", "users.export.ids", HealthStatus::Unhealthy),
        ]
    );
    assert!(!seen.uses[0].optional && seen.uses[1].optional);
    assert!(
        seen.uses[1].reason.contains("users.export.ids"),
        "{}",
        seen.uses[1].reason
    );
    sim.handle()
        .put_key(Key::new(NEW_KEY).with_permissions(["users.export.ids"]));
    let other = CreateAuthorizationRequest {
        rest_api_key: NEW_KEY.to_owned(),
        ..create("Explains only", "")
    };
    let seen = created(&mut client, other).await.health.unwrap();
    assert_eq!(seen.status(), HealthStatus::Unhealthy);
    let statuses: Vec<_> = seen.uses.iter().map(|used_for| used_for.status()).collect();
    assert_eq!(statuses, [HealthStatus::Unhealthy, HealthStatus::Healthy]);
    let calls = sim.handle().journal();
    assert!(
        calls.iter().all(|call| call.accepted + call.refused == 0),
        "asking touches nobody"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_know_now_is_told_what_braze_says_and_a_hundred_at_once_make_it_be_asked_once() {
    let (_brokers, sim, service, mut client) = started().await;
    sim.handle().put_key(Key::new(KEY));
    let name = created(&mut client, create("Sim", "")).await.name;
    sim.handle().reject_key(KEY);
    let before = sim.handle().journal().len();
    let asking = (0..100).map(|_| {
        let (mut client, name) = (client.clone(), name.clone());
        async move { client.check_authorization(CheckAuthorizationRequest { name }).await }
    });
    for answer in futures::future::join_all(asking).await {
        let seen = answer.unwrap().into_inner().authorization.unwrap().health.unwrap();
        assert_eq!(seen.status(), HealthStatus::Unhealthy);
        assert!(
            !seen.reason.contains(KEY) && seen.reason.contains("401"),
            "{}",
            seen.reason
        );
    }
    let calls = sim.handle().journal().len() - before;
    assert_eq!(calls, 2, "one for each use");
    assert_eq!(health(&mut client, &name).await.status(), HealthStatus::Unhealthy);
    let nobody = CheckAuthorizationRequest {
        name: format!("{ACCOUNT}/authorizations/none"),
    };
    let refused = client.check_authorization(nobody).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_before_braze_has_answered_has_asked_all_the_same() {
    let (_brokers, sim, service, mut client) = started().await;
    sim.handle().put_key(Key::new(KEY));
    let name = created(&mut client, create("Sim", "")).await.name;
    let before = sim.handle().journal().len();
    sim.handle().inject(Fault::hold());
    let request = || CheckAuthorizationRequest { name: name.clone() };
    tokio::select! {
        _ = client.check_authorization(request()) => panic!("Braze does not answer"),
        () = async { sim.handle().until_held(1).await } => {}
    }
    let mut other = AuthorizationServiceClient::new(service.admin().await);
    other.check_authorization(request()).await.unwrap();
    sim.handle().clear_faults();
    assert!(
        sim.handle().journal().len() - before <= 2,
        "no call but those for the first"
    );
    service.stop().await;
}
