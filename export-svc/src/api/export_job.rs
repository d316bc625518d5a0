//! `lytics.export.v1.ExportJobService`.

mod parse;

use control::Directory;
use jiff::Timestamp;
use kafka::{Reader, ReaderOptions, Topics};
use model::{AccountNumber, name};
use proto::export::v1::export_job_service_server::ExportJobService;
use proto::export::v1::{
    CreateExportJobRequest, CreateExportJobResponse, DeleteExportJobRequest, DeleteExportJobResponse, ExportJob,
    ExportJobState, GetExportJobRequest, GetExportJobResponse, ListExportJobsRequest, ListExportJobsResponse,
};
use tonic::{Request, Response, Status};

use super::{READ, WRITE, child, page, parent};
use crate::engine::EngineHandle;

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) kafka: kafka::Config,
    pub(super) engine: EngineHandle,
}

impl Service {
    /// The job with what the engine says of it; one that the engine has not met yet is runnable.
    fn observed(&self, job: &control::ExportJob) -> ExportJob {
        let mut wire = job.to_wire();
        match self.engine.job_status(&wire.name) {
            Some(status) => {
                wire.set_state(status.state);
                wire.state_reason = status.reason;
                wire.counters = Some(status.counters);
            }
            None => {
                wire.set_state(ExportJobState::Runnable);
                wire.counters = Some(proto::export::v1::ExportCounters::default());
            }
        }
        wire
    }

    /// Where the membership topic ends now, open transactions included: nothing at or beyond it was there before the job.
    async fn ends(&self, account: AccountNumber) -> Result<Vec<(i32, i64)>, Status> {
        let (kafka, topic) = (
            self.kafka.clone(),
            Topics::new(&self.kafka).audience_membership(account.get()),
        );
        let shown = topic.clone();
        let ends = tokio::task::spawn_blocking(move || -> Result<Vec<(i32, i64)>, kafka::Error> {
            let reader = Reader::open(
                &kafka,
                ReaderOptions {
                    read_committed: false,
                    ..ReaderOptions::default()
                },
            )?;
            let partitions = reader.partitions(&topic)?.into_iter();
            partitions
                .map(|partition| Ok((partition, reader.watermarks(&topic, partition)?.1)))
                .collect()
        });
        let ends = ends
            .await
            .map_err(|_| Status::internal("the membership topic could not be read"))?;
        ends.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                topic = shown,
                "cannot read the ends of the topic"
            );
            match error {
                kafka::Error::Topic { .. } => Status::failed_precondition(format!(
                    "topic {shown} is missing; create it with: export-svc topics ensure --account {account}"
                )),
                _ => Status::unavailable(
                    "the membership topic cannot be read, because Kafka is not available; try again",
                ),
            }
        })
    }
}

#[tonic::async_trait]
impl ExportJobService for Service {
    async fn create_export_job(
        &self,
        request: Request<CreateExportJobRequest>,
    ) -> Result<Response<CreateExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let request = request.into_inner();
        let account = parent(&caller, &request.parent, WRITE)?;
        let mut new = parse::parse(account, request.export_job.unwrap_or_default())?;
        // An account that does not exist has no topic to ask.
        self.directory.account(model::AccountRef::Number(account))?;
        new.start = self.ends(account).await?;
        let job = self
            .directory
            .export_jobs()
            .create(account, new, Timestamp::now())
            .await?;
        tracing::info!(%account, workspace = job.workspace, "created {}", job.name());
        Ok(Response::new(CreateExportJobResponse {
            export_job: Some(self.observed(&job)),
        }))
    }

    async fn get_export_job(
        &self,
        request: Request<GetExportJobRequest>,
    ) -> Result<Response<GetExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (account, id) = child(&caller, &request.get_ref().name, name::EXPORT_JOBS, READ)?;
        let job = self.directory.export_jobs().get(account, id)?;
        Ok(Response::new(GetExportJobResponse {
            export_job: Some(self.observed(&job)),
        }))
    }

    async fn list_export_jobs(
        &self,
        request: Request<ListExportJobsRequest>,
    ) -> Result<Response<ListExportJobsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let listed = self
            .directory
            .export_jobs()
            .list(account, &page(request.page_size, &request.page_token)?)?;
        let export_jobs = listed.items.iter().map(|job| self.observed(job)).collect();
        Ok(Response::new(ListExportJobsResponse {
            export_jobs,
            next_page_token: listed.next_page_token,
        }))
    }

    async fn delete_export_job(
        &self,
        request: Request<DeleteExportJobRequest>,
    ) -> Result<Response<DeleteExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let name = &request.get_ref().name;
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        self.directory.export_jobs().delete(account, id).await?;
        tracing::info!(%account, "deleted {name}");
        Ok(Response::new(DeleteExportJobResponse {}))
    }
}
