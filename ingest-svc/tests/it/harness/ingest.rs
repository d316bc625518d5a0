//! `IngestService` as its clients use it.

use std::net::SocketAddr;

use model::AccountNumber;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{IngestRecordsRequest, IngestRecordsResponse, TailEventsRequest};
use runtime::grpc::Channel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub(crate) type Client = IngestServiceClient<Channel>;

pub(crate) async fn client(address: SocketAddr, token: &str) -> Client {
    let channel = runtime::grpc::connect(&format!("http://{address}"), Some(&token.into())).await;
    IngestServiceClient::new(channel.unwrap())
}

/// A record for the stream `braze_users`.
pub(crate) fn record(account: AccountNumber, record: impl Into<String>) -> IngestRecordsRequest {
    IngestRecordsRequest {
        account: format!("accounts/{account}"),
        stream: "braze_users".to_owned(),
        record: record.into().into(),
        timestamp_field: String::new(),
    }
}

/// Opens a stream of records with its first: where to put further ones, and the answers.
pub(crate) async fn open(
    client: &mut Client,
    first: IngestRecordsRequest,
) -> (mpsc::Sender<IngestRecordsRequest>, Streaming<IngestRecordsResponse>) {
    let (sender, receiver) = mpsc::channel(1);
    sender.send(first).await.unwrap();
    let answers = client.ingest_records(ReceiverStream::new(receiver)).await;
    (sender, answers.unwrap().into_inner())
}

pub(crate) fn tail(account: AccountNumber, newest: u32, follow: bool) -> TailEventsRequest {
    TailEventsRequest {
        account: format!("accounts/{account}"),
        newest,
        follow,
    }
}
