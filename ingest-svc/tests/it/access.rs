//! Token and role on every method that the contracts declare.

use http::uri::PathAndQuery;
use model::Role;
use prost::Message;
use prost_types::FileDescriptorSet;
use runtime::grpc::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::grpc::channel;
use crate::harness::{self, ADMIN_TOKEN};

/// The services of this binary; the others of the contracts are export-svc's.
const SERVICES: [&str; 2] = ["lytics.apitoken.v1.ApiTokenService", "lytics.ingest.v1.IngestService"];

/// Paths of all methods of this binary's services, from the contracts themselves.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    let services = set.file.iter().flat_map(|file| {
        let named = |service| {
            (
                format!(
                    "{}.{}",
                    file.package(),
                    prost_types::ServiceDescriptorProto::name(service)
                ),
                service,
            )
        };
        file.service.iter().map(named)
    });
    services
        .filter(|(name, _)| SERVICES.contains(&name.as_str()))
        .flat_map(|(name, service)| {
            service
                .method
                .iter()
                .map(move |method| format!("/{name}/{}", method.name()))
        })
        .collect()
}

/// Calls a method with nothing: an empty message where it takes one, no message where it takes a stream.
async fn call(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let uri = PathAndQuery::try_from(path).unwrap();
    if path.ends_with("/IngestRecords") {
        let nothing = Request::new(futures::stream::empty::<()>());
        let answers = client.streaming(nothing, uri, ProstCodec::<(), ()>::default()).await?;
        return answers.into_inner().message().await.map(drop);
    }
    client
        .unary(Request::new(()), uri, ProstCodec::<(), ()>::default())
        .await
        .map(drop)
}

#[tokio::test]
async fn no_method_answers_without_a_token_or_with_the_wrong_role() {
    let service = harness::shared().await;
    let account = service.account().await;
    let methods = methods();
    assert_eq!(methods.len(), 6, "a new method belongs into this test: {methods:?}");
    let nobody = channel(service, None).await;
    let stranger = channel(service, Some("lb_1234_0000000000000a_0000")).await;
    let observer = channel(service, Some(&service.token(account, Role::Observer, None).await)).await;
    let admin = channel(service, Some(ADMIN_TOKEN)).await;
    for path in &methods {
        let refused = async |channel| call(channel, path).await.expect_err(path).code();
        assert_eq!(refused(&nobody).await, Code::Unauthenticated, "{path} without a token");
        assert_eq!(refused(&stranger).await, Code::Unauthenticated, "{path} with a bad one");
        assert_eq!(
            refused(&observer).await,
            Code::PermissionDenied,
            "{path} as an observer"
        );
        let code = call(&admin, path)
            .await
            .map_or_else(|status| status.code(), |()| Code::Ok);
        let reached = matches!(code, Code::Ok | Code::InvalidArgument | Code::NotFound);
        assert!(reached, "{path}: {code:?}");
    }
}
