use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use runtime::telemetry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::{DEADLINE, grpc};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Keeps what it is sent. It stands outside: a plain tonic server, so that its own calls make no spans.
struct Collector {
    received: mpsc::Sender<ExportTraceServiceRequest>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received
            .send(request.into_inner())
            .await
            .map_err(|_| Status::aborted("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(span: &Span, key: &str) -> Option<String> {
    let value = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?
        .value
        .clone()?
        .value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The only test of this binary that sets telemetry up: that works once per process.
#[tokio::test]
async fn a_call_becomes_a_span_under_the_callers_trace_and_reaches_the_collector_on_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let otlp_endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    let (received, mut batches) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let collector = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Collector { received }))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.clone().cancelled_owned());
    let collector = TaskTracker::new().spawn(collector);

    let config = telemetry::Config {
        otlp_endpoint,
        log_filter: "off".to_owned(),
        ..Default::default()
    };
    let guard = telemetry::init("runtime-it", &config).unwrap();
    telemetry::init("another-service", &config)
        .unwrap()
        .shutdown(DEADLINE)
        .await;

    // One call with a traceparent written by hand, one made inside a span of ours.
    let mut running = grpc::start(2).await;
    let mut by_hand = Request::new(ExportTraceServiceRequest::default());
    by_hand
        .metadata_mut()
        .insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
    let plain = tonic::transport::Endpoint::new(running.endpoint.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    TraceServiceClient::new(plain).export(by_hand).await.unwrap();
    let inside = tracing::info_span!("client work");
    runtime::trace::set_parent(&inside, {
        let mut headers = http::HeaderMap::new();
        headers.insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
        runtime::trace::from_headers(&headers)
    });
    let mut client = TraceServiceClient::new(running.channel().await);
    client
        .export(ExportTraceServiceRequest::default())
        .instrument(inside)
        .await
        .unwrap();
    running.called.recv().await.unwrap();
    running.stop().await;
    guard.shutdown(DEADLINE).await;

    stop.cancel();
    collector.await.unwrap().unwrap();
    let mut spans = Vec::new();
    while let Some(batch) = batches.recv().await {
        for resource in batch.resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let name = attributes
                .into_iter()
                .find(|a| a.key == "service.name")
                .unwrap()
                .value
                .unwrap()
                .value;
            assert_eq!(
                name,
                Some(Value::StringValue("runtime-it".to_owned())),
                "the first call names the process"
            );
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans.retain(|span| hex(&span.trace_id) == TRACE);

    let work = spans
        .iter()
        .find(|span| span.name == "client work")
        .expect("the client's span");
    let method = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let served: Vec<_> = spans.iter().filter(|span| span.name == method).collect();
    let parents: Vec<_> = served.iter().map(|span| hex(&span.parent_span_id)).collect();
    assert_eq!(hex(&work.parent_span_id), CALLER);
    assert_eq!(parents, [CALLER.to_owned(), hex(&work.span_id)], "{spans:#?}");
    for span in served {
        assert_eq!(span.kind, 2, "a server's span");
        assert_eq!(text(span, "rpc.method").as_deref(), Some("Export"));
        assert_eq!(text(span, "rpc.grpc.status_code").as_deref(), Some("0"));
    }
}
