//! Token and role on every method that the contracts declare.

use model::Role;
use runtime::testing::{call, methods};
use tonic::Code;

use crate::grpc::channel;
use crate::harness::{self, ADMIN_TOKEN};

/// The services of this binary; the others of the contracts are export-svc's.
const SERVICES: [&str; 4] = [
    "lytics.apitoken.v1.ApiTokenService",
    "lytics.ingest.v1.IngestService",
    "lytics.imports.v1.ImportJobService",
    "lytics.imports.v1.StorageAuthorizationService",
];

#[tokio::test]
async fn no_method_answers_without_a_token_or_with_the_wrong_role() {
    let service = harness::shared().await;
    let account = service.account().await;
    let methods = methods(proto::DESCRIPTORS, &SERVICES);
    assert_eq!(methods.len(), 26, "a new method belongs into this test: {methods:?}");
    let nobody = channel(service, None).await;
    let stranger = channel(service, Some("lb_1234_0000000000000a_0000")).await;
    let observer = channel(service, Some(&service.token(account, Role::Observer, None).await)).await;
    let sender = channel(service, Some(&service.token(account, Role::DataWrite, None).await)).await;
    let admin = channel(service, Some(ADMIN_TOKEN)).await;
    for method in &methods {
        let path = &method.path;
        let refused = async |channel| call(channel, method).await.expect_err(path).code();
        assert_eq!(refused(&nobody).await, Code::Unauthenticated, "{path} without a token");
        assert_eq!(refused(&stranger).await, Code::Unauthenticated, "{path} with a bad one");
        // An observer may look at jobs and storage authorizations, and a sender at neither.
        let other = if path.contains("imports") { &sender } else { &observer };
        assert_eq!(refused(other).await, Code::PermissionDenied, "{path} with another role");
        let code = call(&admin, method)
            .await
            .map_or_else(|status| status.code(), |()| Code::Ok);
        let reached = matches!(code, Code::Ok | Code::InvalidArgument | Code::NotFound);
        assert!(reached, "{path}: {code:?}");
    }
}
