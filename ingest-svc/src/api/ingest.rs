//! `IngestService`: raw records in over one stream, profile events out to whoever looks.

use std::sync::Arc;

use control::Directory;
use futures::stream::BoxStream;
use model::{AccountNumber, Role, name};
use proto::ingest::v1 as wire;
use proto::ingest::v1::ingest_service_server::IngestService;
use runtime::grpc::status;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{records, tail};
use crate::config::TAILS_MAX;
use crate::mappings::Mappings;
use crate::publish::Publish;
use crate::source::webhook::{Admission, SENDERS, Throttle};

/// Who may look at profile data.
const READERS: [Role; 2] = [Role::Admin, Role::DataManager];

/// The service.
pub(crate) struct Ingest {
    directory: Directory,
    mappings: Mappings,
    publish: Publish,
    admission: Admission,
    throttle: Throttle,
    kafka: kafka::Config,
    tails: Arc<Semaphore>,
    drain: CancellationToken,
}

impl Ingest {
    /// `admission` bounds the bytes of records that wait for Kafka, `throttle` the streams of a token; they end with `drain`.
    pub(crate) fn new(
        directory: Directory,
        mappings: Mappings,
        publish: Publish,
        admission: Admission,
        throttle: Throttle,
        kafka: kafka::Config,
        drain: CancellationToken,
    ) -> Self {
        Self {
            directory,
            mappings,
            publish,
            admission,
            throttle,
            kafka,
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            drain,
        }
    }
}

/// The account that a message's `account` names.
pub(super) fn account(name: &str) -> Result<AccountNumber, Status> {
    name::account(name).map_err(|error| status::invalid_argument("account", error.to_string()))
}

#[tonic::async_trait]
impl IngestService for Ingest {
    type IngestRecordsStream = BoxStream<'static, Result<wire::IngestRecordsResponse, Status>>;

    async fn ingest_records(
        &self,
        request: Request<Streaming<wire::IngestRecordsRequest>>,
    ) -> Result<Response<Self::IngestRecordsStream>, Status> {
        self.directory.admit(&request, &SENDERS)?;
        let parts = records::Parts {
            directory: self.directory.clone(),
            mappings: self.mappings.clone(),
            publish: self.publish.clone(),
            admission: self.admission.clone(),
            throttle: self.throttle.clone(),
        };
        let answers = records::answers(parts, request, self.drain.clone()).await?;
        Ok(Response::new(answers))
    }

    type TailEventsStream = BoxStream<'static, Result<wire::TailEventsResponse, Status>>;

    async fn tail_events(
        &self,
        request: Request<wire::TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        let caller = self.directory.admit(&request, &READERS)?;
        let request = request.into_inner();
        let account = account(&request.account)?;
        caller.require(account, &READERS)?;
        let wanted = tail::Wanted::new(account, request.newest, request.follow)?;
        self.directory.account_number(model::AccountRef::Number(account))?;
        let Ok(slot) = Arc::clone(&self.tails).try_acquire_owned() else {
            let message = format!("{TAILS_MAX} tails are open already; try again when one has ended");
            return Err(Status::resource_exhausted(message));
        };
        Ok(Response::new(tail::open(
            self.kafka.clone(),
            wanted,
            slot,
            self.drain.clone(),
        )?))
    }
}
