//! What grpcurl does, without grpcurl: asks a server by reflection what it serves, and calls it with JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::Value;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::DEADLINE;

/// A connection to one server.
pub(crate) struct Grpcurl(Channel);

impl Grpcurl {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        Self(endpoint.connect().await.unwrap())
    }

    async fn ask(&self, question: MessageRequest) -> Result<MessageResponse, String> {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question.clone()),
        };
        let mut client = ServerReflectionClient::new(self.0.clone());
        let answers = client.server_reflection_info(tokio_stream::once(request)).await;
        let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
        match answer.message_response.unwrap() {
            MessageResponse::ErrorResponse(error) => Err(format!("{question:?}: {}", error.error_message)),
            answer => Ok(answer),
        }
    }

    /// `grpcurl <address> list`
    pub(crate) async fn services(&self) -> Vec<String> {
        match self.ask(MessageRequest::ListServices(String::new())).await {
            Ok(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|found| found.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// `grpcurl <address> describe <service>`
    pub(crate) async fn describe(&self, service: &str) -> Result<ServiceDescriptor, String> {
        let mut files = BTreeMap::new();
        let mut wanted = vec![MessageRequest::FileContainingSymbol(service.to_owned())];
        while let Some(question) = wanted.pop() {
            let MessageResponse::FileDescriptorResponse(answer) = self.ask(question).await? else {
                panic!("no files of {service}")
            };
            for file in answer.file_descriptor_proto {
                let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
                let imports = file.dependency.iter().filter(|name| !files.contains_key(*name));
                wanted.extend(imports.cloned().map(MessageRequest::FileByFilename));
                files.insert(file.name().to_owned(), file);
            }
        }
        let file = files.into_values().collect();
        let pool = DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file }).unwrap();
        let found = pool.get_service_by_name(service);
        found.ok_or_else(|| format!("{service} is no service"))
    }

    async fn method(&self, path: &str) -> Result<MethodDescriptor, String> {
        let (service, name) = path.split_once('/').ok_or_else(|| format!("{path} is no method"))?;
        let service = self.describe(service).await?;
        let found = service.methods().find(|method| method.name() == name);
        found.ok_or_else(|| format!("{} has no method {name}", service.full_name()))
    }

    /// `grpcurl -H <header>… -d <json> <address> <service>/<method>`: the answers as JSON. All that the server may stream must
    /// come within the deadline.
    pub(crate) async fn call(&self, headers: &[String], json: &str, path: &str) -> Result<Vec<Value>, String> {
        let method = self.method(path).await?;
        let mut messages = Vec::new();
        // Without data it sends one message without fields.
        let json = if json.is_empty() { "{}" } else { json };
        for value in serde_json::Deserializer::from_str(json).into_iter::<Value>() {
            let value = value.map_err(|error| format!("{json}: {error}"))?;
            let message = DynamicMessage::deserialize(method.input(), value);
            messages.push(message.map_err(|error| format!("{json}: {error}"))?);
        }
        let mut request = Request::new(tokio_stream::iter(messages));
        for header in headers {
            let (name, value) = header
                .split_once(": ")
                .ok_or_else(|| format!("{header} is no header"))?;
            let name: AsciiMetadataKey = name.parse().unwrap();
            let value: AsciiMetadataValue = value.parse().unwrap();
            request.metadata_mut().insert(name, value);
        }
        let answers = timeout(DEADLINE, exchange(self.0.clone(), request, path, method.output())).await;
        let answers = answers.map_err(|_| "no end of the answers".to_owned())?;
        answers.map_err(|status| status.to_string())
    }
}

/// One call. On the wire a call of one message is a stream of one, so this serves methods of all four kinds.
async fn exchange(
    channel: Channel,
    request: Request<tokio_stream::Iter<std::vec::IntoIter<DynamicMessage>>>,
    path: &str,
    output: MessageDescriptor,
) -> Result<Vec<Value>, Status> {
    let mut client = Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{path}").parse().unwrap();
    let mut stream = client.streaming(request, path, Dynamic(output)).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await? {
        answers.push(serde_json::to_value(&answer).unwrap());
    }
    Ok(answers)
}

/// Encodes any message; decodes messages of this type.
#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message
            .encode(into)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
