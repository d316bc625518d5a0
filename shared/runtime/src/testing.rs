//! For the tests of the services: waiting for what nobody announces, and every method that the contracts declare.

pub mod help;

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::time::Instant;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::grpc::Channel;

/// How long anything may take that a test waits for: longer than the longest wait of the services themselves (a drain, 25 s).
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until there is something, and gives it back.
///
/// # Panics
/// When there is nothing by the deadline.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until something holds.
///
/// # Panics
/// When it does not hold by the deadline.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}

/// A method of a gRPC service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// `/<package>.<Service>/<Method>`.
    pub path: String,
    /// It takes a stream of messages rather than one.
    pub takes_stream: bool,
}

/// The methods of these services (`<package>.<Service>`), by the contracts themselves: an encoded `FileDescriptorSet`.
///
/// # Panics
/// When the contracts are none.
pub fn methods(contracts: &[u8], services: &[&str]) -> Vec<Method> {
    let contracts = FileDescriptorSet::decode(contracts).expect("a FileDescriptorSet");
    let mut methods = Vec::new();
    for file in &contracts.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            if services.contains(&name.as_str()) {
                methods.extend(service.method.iter().map(|method| Method {
                    path: format!("/{name}/{}", method.name()),
                    takes_stream: method.client_streaming(),
                }));
            }
        }
    }
    methods
}

/// Calls a method with nothing: an empty message where it takes one, no message where it takes a stream.
///
/// # Errors
/// What the service says.
pub async fn call(channel: &Channel, method: &Method) -> Result<(), Status> {
    if !method.takes_stream {
        return send(channel, &method.path, ()).await;
    }
    let (mut client, path) = client(channel, &method.path).await;
    let nothing = Request::new(futures::stream::empty::<()>());
    let answers = client.streaming(nothing, path, ProstCodec::<(), ()>::default()).await?;
    answers.into_inner().message().await.map(drop)
}

/// Calls the method of this path with one message, whose answer does not matter.
///
/// # Errors
/// What the service says.
pub async fn send(channel: &Channel, path: &str, message: impl Message + 'static) -> Result<(), Status> {
    let (mut client, path) = client(channel, path).await;
    let answer = client.unary(Request::new(message), path, ProstCodec::<_, ()>::default());
    answer.await.map(drop)
}

async fn client(channel: &Channel, path: &str) -> (tonic::client::Grpc<Channel>, PathAndQuery) {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("the service answers");
    (client, PathAndQuery::try_from(path).expect("the path of a method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited in vain: a miracle")]
    async fn waiting_ends() {
        until("a miracle", async || false).await;
    }

    #[test]
    fn methods_are_those_of_the_services_that_are_named() {
        let set = FileDescriptorSet::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
        let contracts = set.encode_to_vec();
        let found = methods(&contracts, &["grpc.health.v1.Health"]);
        assert!(
            found
                .iter()
                .any(|method| method.path == "/grpc.health.v1.Health/Check" && !method.takes_stream)
        );
        assert_eq!(methods(&contracts, &["grpc.health.v1.Other"]), []);
    }
}
