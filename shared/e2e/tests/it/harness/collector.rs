//! An OTLP collector that keeps the spans it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Ends when dropped.
pub(crate) struct Collector {
    received: Received,
    address: SocketAddr,
    _server: JoinSet<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Received::default());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(received.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            received,
            address,
            _server: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything it was sent, as text.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.received.0.lock().unwrap())
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received.0.lock().unwrap();
        let scopes = received
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|spans| &spans.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The span of this id.
    pub(crate) fn span(&self, id: &str) -> Span {
        let spans = self.spans();
        let found = spans.iter().find(|span| hex(&span.span_id) == id);
        found.unwrap_or_else(|| panic!("no span {id} in {spans:#?}")).clone()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
