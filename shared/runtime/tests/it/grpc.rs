use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use runtime::config::Listen;
use runtime::grpc::{Channel, MESSAGE_BYTES_MAX, Options, Server, Services, connect};
use runtime::lifecycle::Lifecycle;
use secrecy::SecretString;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest};

use crate::{DEADLINE, wait_for};

/// Any service will do: this one is at hand. It says that it was called, then waits to be told to answer.
struct Echo {
    called: mpsc::Sender<Request<()>>,
    answers: Arc<Semaphore>,
}

#[tonic::async_trait]
impl TraceService for Echo {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.called
            .send(request.map(|_| ()))
            .await
            .map_err(|_| Status::aborted("the test is over"))?;
        self.answers
            .acquire()
            .await
            .map_err(|_| Status::aborted("the test is over"))?
            .forget();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A server with [`Echo`] on a port of its own, and a lifecycle that it is a component of.
pub(crate) struct Running {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) endpoint: String,
    pub(crate) called: mpsc::Receiver<Request<()>>,
    /// One permit, one answer.
    pub(crate) answers: Arc<Semaphore>,
}

pub(crate) async fn start(answers: usize) -> Running {
    start_with(answers, Options::default()).await
}

async fn start_with(answers: usize, options: Options) -> Running {
    start_bounded(answers, options, 100).await
}

async fn start_bounded(answers: usize, options: Options, connections_max: usize) -> Running {
    let (called, receiver) = mpsc::channel(16);
    let answers = Arc::new(Semaphore::new(answers));
    let echo = Echo {
        called,
        answers: answers.clone(),
    };
    let lifecycle = Lifecycle::new();
    let listen = Listen::<0> {
        listen: "127.0.0.1:0".to_owned(),
        connections_max,
    };
    let server = Server::bind(&listen, options).await.unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let services = Services::new(FILE_DESCRIPTOR_SET).add(TraceServiceServer::new(echo));
    lifecycle.spawn("grpc", server.serve(services, lifecycle.readiness(), lifecycle.token()));
    Running {
        lifecycle,
        endpoint,
        called: receiver,
        answers,
    }
}

impl Running {
    pub(crate) async fn channel(&self) -> Channel {
        connect(&self.endpoint, None).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.drain("test");
        self.lifecycle.run(DEADLINE).await.unwrap();
    }
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel.clone()).check(request).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

#[tokio::test]
async fn health_follows_readiness_for_the_server_and_for_each_service() {
    let running = start(0).await;
    let channel = running.channel().await;
    let name = "opentelemetry.proto.collector.trace.v1.TraceService";
    let expect = async |wanted: ServingStatus| {
        for service in ["", name] {
            let channel = &channel;
            wait_for("the wanted health", || async move {
                (health(channel, service).await == Ok(wanted)).then_some(())
            })
            .await;
        }
    };
    expect(ServingStatus::NotServing).await;
    running.lifecycle.readiness().started();
    expect(ServingStatus::Serving).await;
    running.lifecycle.readiness().not_ready("kafka", "no broker answers");
    expect(ServingStatus::NotServing).await;
    assert_eq!(health(&channel, "nobody.Knows").await, Err(Code::NotFound));
    running.stop().await;
}

#[tokio::test]
async fn a_health_watcher_hears_of_the_drain_and_does_not_hold_it_up() {
    let running = start(0).await;
    running.lifecycle.readiness().started();
    let channel = running.channel().await;
    let request = HealthCheckRequest { service: String::new() };
    let mut watched = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    while watched.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    running.stop().await;
    assert_eq!(
        watched.next().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert!(watched.next().await.is_none());
}

#[tokio::test]
async fn a_connection_beyond_the_bound_is_counted_and_served_once_another_closes() {
    let metrics = runtime::telemetry::install_metrics();
    let running = start_bounded(0, Options::default(), 1).await;
    let address = running.endpoint.strip_prefix("http://").unwrap();
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let full = "server_connections_full_total{port=\"grpc\"} 1\n";
    wait_for("the port is full", || async {
        metrics.render().contains(full).then_some(())
    })
    .await;
    drop(silent);
    assert_eq!(
        health(&running.channel().await, "nobody.Knows").await,
        Err(Code::NotFound)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_given_up_at_the_end_of_the_grace() {
    let options = Options {
        drain_grace: std::time::Duration::from_millis(50),
        ..Options::default()
    };
    let mut running = start_with(0, options).await;
    let channel = running.channel().await;
    TaskTracker::new().spawn(async move {
        TraceServiceClient::new(channel)
            .export(ExportTraceServiceRequest::default())
            .await
    });
    running.called.recv().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn peers_that_never_speak_do_not_hold_the_drain_up() {
    // Longer than the test waits: what ends the drain is that there is no call.
    let options = Options {
        drain_grace: 10 * DEADLINE,
        ..Options::default()
    };
    let running = start_with(0, options).await;
    let address = running.endpoint.strip_prefix("http://").unwrap();
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"PRI * HTTP/2")
        .await
        .unwrap();
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    // Accepted after them, so they were accepted, too.
    assert_eq!(
        health(&running.channel().await, "nobody.Knows").await,
        Err(Code::NotFound)
    );
    running.stop().await;
}

/// One test body for both versions, whose generated types differ in nothing but their names.
macro_rules! reflection_test {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let running = start(0).await;
            let ask = |question| ServerReflectionRequest {
                host: String::new(),
                message_request: Some(question),
            };
            let questions = [
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(
                    "grpc.health.v1.Health".to_owned(),
                )),
            ];
            let mut client = ServerReflectionClient::new(running.channel().await);
            let mut answers = client
                .server_reflection_info(tokio_stream::iter(questions))
                .await
                .unwrap()
                .into_inner();
            let Some(MessageResponse::ListServicesResponse(list)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("not a list of services");
            };
            let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            assert_eq!(
                names,
                [
                    "opentelemetry.proto.collector.trace.v1.TraceService",
                    "grpc.health.v1.Health"
                ]
            );
            let Some(MessageResponse::FileDescriptorResponse(files)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("not a file descriptor");
            };
            assert!(!files.file_descriptor_proto[0].is_empty());
            drop((client, answers));
            running.stop().await;
        }
    };
}

reflection_test!(reflection_v1_lists_and_describes_the_services, v1);
reflection_test!(reflection_v1alpha_lists_and_describes_the_services, v1alpha);

#[tokio::test]
async fn a_call_carries_the_token_as_a_bearer() {
    let mut running = start(1).await;
    let token = SecretString::from("lb_1_a_b");
    let channel = connect(&running.endpoint, Some(&token)).await.unwrap();
    TraceServiceClient::new(channel)
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    let seen = running.called.recv().await.unwrap();
    assert_eq!(
        seen.metadata().get("authorization").unwrap().to_str().unwrap(),
        "Bearer lb_1_a_b"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_drain_finishes_the_call_in_flight_and_takes_no_new_ones() {
    let mut running = start(0).await;
    let channel = running.channel().await;
    let tasks = TaskTracker::new();
    let call = tasks.spawn(async move {
        TraceServiceClient::new(channel)
            .export(ExportTraceServiceRequest::default())
            .await
    });
    running.called.recv().await.unwrap();
    running.lifecycle.drain("test");
    let run = tasks.spawn(running.lifecycle.run(DEADLINE));
    wait_for("no new connections", || async {
        connect(&running.endpoint, None).await.err()
    })
    .await;
    assert!(!run.is_finished(), "the call in flight is waited for");
    running.answers.add_permits(1);
    call.await.unwrap().unwrap();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_without_reaching_the_service() {
    use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
    let mut running = start(1).await;
    let schema_url = "x".repeat(MESSAGE_BYTES_MAX + 1);
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            schema_url,
            ..Default::default()
        }],
    };
    let status = TraceServiceClient::new(running.channel().await)
        .export(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(running.called.try_recv().is_err());
    running.stop().await;
}

#[tokio::test]
async fn calls_are_counted_by_their_status_and_unknown_methods_share_one_label() {
    let metrics = runtime::telemetry::install_metrics();
    let mut running = start(1).await;
    TraceServiceClient::new(running.channel().await)
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    running.called.recv().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(running.channel().await);
    grpc.ready().await.unwrap();
    let path = "/invented.Service/Method".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let status = grpc
        .unary(Request::new(HealthCheckRequest::default()), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let counted = [
        "grpc_server_calls_total{service=\"opentelemetry.proto.collector.trace.v1.TraceService\",method=\"Export\",code=\"Ok\"}",
        "grpc_server_calls_total{service=\"unknown\",method=\"unknown\",code=\"Unimplemented\"}",
    ];
    wait_for("both calls are counted", || async {
        let text = metrics.render();
        counted.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
    assert!(!metrics.render().contains("invented"));
    running.stop().await;
}
