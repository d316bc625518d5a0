//! Token and role on every method that the contracts declare.

use http::uri::PathAndQuery;
use model::Role;
use prost::Message;
use proto::account::v1 as account;
use proto::authorization::v1 as authorization;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::testing::{call, methods, send};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::jobs;
use crate::service::{ACCOUNT, ADMIN, Service, config};

/// The services of this binary; the others of the contracts are ingest-svc's.
const SERVICES: [&str; 9] = [
    "lytics.account.v1.AccountService",
    "lytics.authorization.v1.AuthorizationService",
    "lytics.export.v1.ExplainService",
    "lytics.export.v1.ExportJobService",
    "lytics.export.v1.ExportPlanService",
    "lytics.export.v1.ExportLogService",
    "lytics.export.v1.OmittedChangeService",
    "lytics.membership.v1.AudienceMembershipService",
    "lytics.membership.v1.AudienceService",
];

/// What requests about one resource, and those about all of a parent, have in common: its name is their first field.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

impl Named {
    /// The name of a resource that a request has as its first field.
    fn within(name: &str) -> String {
        let name = name.to_owned();
        String::from_utf8(Self { name }.encode_to_vec()).unwrap()
    }
}

/// Resources of account 1234.
struct Foreign {
    authorization: String,
    job: String,
}

impl Foreign {
    async fn create(service: &Service) -> Self {
        let authorization = jobs::authorization(service, "Sim", "").await;
        let mut client = ExportJobServiceClient::new(service.admin().await);
        let job = client
            .create_export_job(jobs::create("VIP", "vip", &authorization))
            .await;
        let job = job.unwrap().into_inner().export_job.unwrap().name;
        Self { authorization, job }
    }

    /// One call of each method that names a resource or its parent.
    fn requests(&self) -> Vec<(&'static str, Named)> {
        let named = |path, name: &str| (path, Named { name: name.to_owned() });
        vec![
            named("/lytics.account.v1.AccountService/GetAccount", ACCOUNT),
            named(
                "/lytics.authorization.v1.AuthorizationService/GetAuthorization",
                &self.authorization,
            ),
            named(
                "/lytics.authorization.v1.AuthorizationService/ListAuthorizations",
                ACCOUNT,
            ),
            named(
                "/lytics.authorization.v1.AuthorizationService/CreateAuthorization",
                ACCOUNT,
            ),
            named(
                "/lytics.authorization.v1.AuthorizationService/DeleteAuthorization",
                &self.authorization,
            ),
            named(
                "/lytics.authorization.v1.AuthorizationService/RotateAuthorizationKey",
                &self.authorization,
            ),
            named(
                "/lytics.authorization.v1.AuthorizationService/CheckAuthorization",
                &self.authorization,
            ),
            named("/lytics.membership.v1.AudienceService/ListAudiences", ACCOUNT),
            named("/lytics.membership.v1.AudienceService/ListProfileFields", ACCOUNT),
            named("/lytics.export.v1.ExportJobService/PauseExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/ResumeExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/BounceExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/KillExportJob", &self.job),
            named(
                "/lytics.export.v1.ExportJobService/UpdateExportJob",
                &Named::within(&self.job),
            ),
            named("/lytics.export.v1.ExportJobService/ResetExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/GetExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/WatchExportJob", &self.job),
            named("/lytics.export.v1.ExportJobService/ListExportJobs", ACCOUNT),
            named("/lytics.export.v1.ExportJobService/CreateExportJob", ACCOUNT),
            named("/lytics.export.v1.ExportPlanService/PlanExportJob", ACCOUNT),
            named("/lytics.export.v1.ExplainService/ExplainMember", &self.job),
            named("/lytics.export.v1.ExportLogService/TailExportLog", &self.job),
            named("/lytics.export.v1.OmittedChangeService/TailOmittedChanges", &self.job),
            named(
                "/lytics.export.v1.OmittedChangeService/RedriveOmittedChanges",
                &self.job,
            ),
            named("/lytics.export.v1.ExportJobService/DeleteExportJob", &self.job),
        ]
    }
}

/// A role that is good for something, but not for this method.
fn wrong_role(path: &str) -> Role {
    let method = path.rsplit('/').next().unwrap();
    if [
        "/lytics.account.v1.AccountService/CreateAccount",
        "/lytics.account.v1.AccountService/DeleteAccount",
    ]
    .contains(&path)
    {
        Role::Admin
    } else if ["Explain", "Get", "List", "Tail", "Watch"]
        .iter()
        .any(|verb| method.starts_with(verb))
    {
        Role::DataWrite
    } else {
        Role::Observer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_answers_without_a_token_or_with_the_wrong_role() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let methods = methods(proto::DESCRIPTORS, &SERVICES);
    assert_eq!(methods.len(), 31, "a new method belongs into this test: {methods:?}");
    let nobody = service.connect(None).await;
    let stranger = service.connect(Some("lb_1234_0000000000000a_0000")).await;
    for method in &methods {
        let path = &method.path;
        assert_eq!(
            call(&nobody, method).await.expect_err(path).code(),
            Code::Unauthenticated,
            "{path} without a token"
        );
        assert_eq!(
            call(&stranger, method).await.expect_err(path).code(),
            Code::Unauthenticated,
            "{path} with a bad one"
        );
    }
    for role in [Role::Admin, Role::Observer, Role::DataWrite] {
        let channel = service.connect(Some(&service.token(role).await)).await;
        for method in methods.iter().filter(|method| wrong_role(&method.path) == role) {
            let path = &method.path;
            let status = call(&channel, method).await.expect_err(path);
            assert_eq!(
                status.code(),
                Code::PermissionDenied,
                "{path} as {role}: {}",
                status.message()
            );
        }
    }
    let admin = service.connect(Some(ADMIN)).await;
    for method in &methods {
        let path = &method.path;
        let code = call(&admin, method)
            .await
            .map_or_else(|status| status.code(), |()| Code::Ok);
        assert!(
            !matches!(
                code,
                Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented
            ),
            "{path}: {code:?}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_in_its_own_account_only() {
    let brokers = kafka::testing::brokers();
    let mut config = config(&brokers);
    config.bootstrap.accounts = "1234=Demo,5678=Other".to_owned();
    let service = Service::start(config).await;
    let own = service.connect(Some(&service.token_of(5678, Role::Admin).await)).await;
    let mut authorizations = AuthorizationServiceClient::new(own.clone());
    let list = |parent: &str| authorization::ListAuthorizationsRequest {
        parent: parent.to_owned(),
        ..Default::default()
    };
    let status = authorizations
        .list_authorizations(list("accounts/1234"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{}", status.message());
    assert!(authorizations.list_authorizations(list("accounts/5678")).await.is_ok());
    let foreign = Foreign::create(&service).await;
    for (path, request) in foreign.requests() {
        let status = send(&own, path, request).await.expect_err(path);
        assert_eq!(status.code(), Code::PermissionDenied, "{path}: {}", status.message());
    }
    let admin = service.admin().await;
    for (path, request) in foreign.requests().into_iter().filter(|(path, _)| path.contains("/Get")) {
        send(&admin, path, request).await.expect("it still exists");
    }
    let mut accounts = account::account_service_client::AccountServiceClient::new(own);
    let listed = accounts
        .list_accounts(account::ListAccountsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        listed.accounts.iter().map(|account| account.number).collect::<Vec<_>>(),
        [5678]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_from_then_on() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let token = service.token(Role::Observer).await;
    let channel = service.connect(Some(&token)).await;
    let path = "/lytics.account.v1.AccountService/ListAccounts";
    send(&channel, path, ()).await.unwrap();
    let id = token.split('_').nth(2).unwrap();
    service
        .directory
        .api_tokens()
        .delete(1234.to_string().parse().unwrap(), id, None)
        .await
        .unwrap();
    assert_eq!(
        send(&channel, path, ()).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_token_was_last_used_here_is_known_soon() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let token = service.token(Role::Observer).await;
    let (account, id) = (1234.to_string().parse().unwrap(), token.split('_').nth(2).unwrap());
    let channel = service.connect(Some(&token)).await;
    send(&channel, "/lytics.account.v1.AccountService/ListAccounts", ())
        .await
        .unwrap();
    runtime::testing::until("its use is written", async || {
        let token = service.directory.api_tokens().get(account, id).unwrap();
        token.last_use_time.is_some()
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_from_its_allowed_sources_alone() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let token = service.token(Role::Observer).await;
    let (account, id) = (1234.to_string().parse().unwrap(), token.split('_').nth(2).unwrap());
    let channel = service.connect(Some(&token)).await;
    for (source, code) in [("192.0.2.1", Code::PermissionDenied), ("127.0.0.1", Code::Ok)] {
        let source: control::AllowedSource = source.parse().unwrap();
        let allow = move |settings: &mut control::ApiTokenSettings| settings.allowed_sources = vec![source];
        let tokens = service.directory.api_tokens();
        tokens
            .update(account, id, None, allow, jiff::Timestamp::now())
            .await
            .unwrap();
        let answer = send(&channel, "/lytics.account.v1.AccountService/ListAccounts", ()).await;
        assert_eq!(
            answer.map_or_else(|status| status.code(), |_| Code::Ok),
            code,
            "{source}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reflection_and_probes_answer_without_a_token() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let nobody = service.connect(None).await;
    send(&nobody, "/grpc.health.v1.Health/Check", ()).await.unwrap();
    let url = format!("http://{}/readyz", service.admin);
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    let mut reflection = tonic::client::Grpc::new(nobody);
    reflection.ready().await.unwrap();
    let path = PathAndQuery::from_static("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    let empty = Request::new(futures::stream::empty::<()>());
    reflection
        .streaming(empty, path, ProstCodec::<(), ()>::default())
        .await
        .expect("reflection is served");
    service.stop().await;
}
