//! `lytics.export.v1.ExportLogService`.

use control::Directory;
use kafka::{RecordView, Topics};
use model::name;
use prost::Message;
use proto::export::v1::export_log_service_server::ExportLogService;
use proto::export::v1::tail_export_log_request::From;
use proto::export::v1::{ExportLogEntry, TailExportLogRequest, TailExportLogResponse};
use tonic::{Request, Response, Status};

use super::tail::{Answers, Begin, Tails};
use super::{READ, child};

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) tails: Tails,
    pub(super) topics: Topics,
}

#[tonic::async_trait]
impl ExportLogService for Service {
    type TailExportLogStream = Answers<TailExportLogResponse>;

    async fn tail_export_log(
        &self,
        request: Request<TailExportLogRequest>,
    ) -> Result<Response<Self::TailExportLogStream>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (metadata, extensions, request) = request.into_parts();
        let (account, id) = child(&caller, &request.name, name::EXPORT_JOBS, READ)?;
        let job = self.directory.export_jobs().get(account, id)?.name();
        let begin = request.from.map(|from| match from {
            From::Newest(newest) => Begin::Newest(newest),
            From::Oldest(()) => Begin::Oldest,
        });
        let credentials = Request::from_parts(metadata, extensions, ());
        let pick = |record: &RecordView<'_>| {
            let entry = Some(ExportLogEntry::decode(record.payload()?).ok()?);
            Some(TailExportLogResponse { entry })
        };
        let log = (self.topics.export_log(), job);
        self.tails.answer(credentials, log, begin, request.follow, pick)
    }
}
