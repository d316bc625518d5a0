//! A webhook's trace goes on into the record: proved against a collector that keeps the spans it is sent.

use std::sync::{Arc, Mutex};

use kafka::testing::brokers;
use model::AccountNumber;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::harness::process::Process;
use crate::harness::{self, ADMIN_TOKEN, Service, http, topic};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Trace and span id of a `traceparent`.
fn ids(traceparent: Option<&str>) -> (String, String) {
    let parts: Vec<_> = traceparent.expect("a traceparent").split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

#[tokio::test]
async fn the_record_of_an_event_and_of_a_refusal_carry_the_webhooks_trace() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    let path = format!("/c/{account}/braze_users?key={token}");
    let body = br#"[{"braze_id":"b-1"},{}]"#;
    http::post(service.addresses.http, &path, &[&header], body)
        .await
        .counts(1, 1);
    let event = ids(service.events(account, 1).await[0].traceparent.as_deref());
    let kept = ids(service.rejected(account, 1).await[0].traceparent.as_deref());
    assert_eq!(event.0, TRACE);
    assert_ne!(event.1, CALLER, "the record names the publish span, not the caller's");
    assert_eq!(event, kept, "both were published together");
}

#[tokio::test]
async fn a_record_of_a_request_that_begins_no_trace_says_that_nobody_recorded_one() {
    let (_broker, service) = Service::alone(|config| config.http.traces_per_second = 0).await;
    let (account, token) = service.sender().await;
    let path = format!("/c/{account}/braze_users?key={token}");
    for user in ["b-1", "b-2"] {
        let body = format!(r#"{{"braze_id":"{user}"}}"#);
        let answer = http::post(service.addresses.http, &path, &[], body.as_bytes()).await;
        answer.counts(1, 0);
    }
    let events = service.events(account, 2).await;
    let [first, second] = [&events[0], &events[1]].map(|event| event.traceparent.as_deref().expect("a traceparent"));
    assert!(first.ends_with("-00") && second.ends_with("-00"), "{first}, {second}");
    assert_ne!(first, second);
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn the_webhooks_traceparent_is_the_ancestor_of_the_publish_span_that_the_record_names() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    let serve = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    tasks.spawn(serve.serve_with_incoming(TcpListenerStream::new(listener)));

    let brokers = brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let kafka = brokers.config();
    let account = AccountNumber::new(1234).unwrap();
    let directory = control::Directory::open(&kafka, &control::Auth::default())
        .await
        .unwrap();
    directory
        .accounts()
        .ensure(&[(account, "Demo".to_owned())], jiff::Timestamp::now())
        .await
        .unwrap();
    let mut process = Process::start(&kafka, &[("INGEST_SVC__TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    http::post(process.http, &path, &[&header], br#"{"braze_id":"b-1"}"#)
        .await
        .counts(1, 0);
    process.terminate();
    assert_eq!(process.ended().await, Some(0), "{}", process.log());

    let (_, publish_id) = ids(topic::events(&kafka, account, 1).await[0].traceparent.as_deref());
    let spans = collector.0.lock().unwrap().clone();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let find = |id: &str| {
        let span = spans.iter().find(|span| hex(&span.span_id) == id);
        span.unwrap_or_else(|| panic!("no span {id} in {spans:#?}"))
    };
    let publish = find(&publish_id);
    let server = find(&hex(&publish.parent_span_id));
    assert_eq!(
        (publish.name.as_str(), server.name.as_str()),
        ("publish", "POST /c/{account}/{stream}")
    );
    assert_eq!(
        (hex(&server.trace_id), hex(&server.parent_span_id)),
        (TRACE.to_owned(), CALLER.to_owned())
    );
    let leaked = format!("{spans:?}");
    assert!(
        !leaked.contains(ADMIN_TOKEN) && !leaked.contains("key="),
        "a span holds the query string"
    );
}
