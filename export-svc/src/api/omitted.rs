//! `lytics.export.v1.OmittedChangeService`.

use std::collections::BTreeSet;

use control::{Directory, NewRedrive};
use jiff::Timestamp;
use kafka::{RecordView, Topics};
use model::name;
use prost::Message;
use proto::export::v1::omitted_change_service_server::OmittedChangeService;
use proto::export::v1::tail_omitted_changes_request::From;
use proto::export::v1::{
    ExportEvent, RedriveOmittedChangesRequest, RedriveOmittedChangesResponse, RejectedChange,
    TailOmittedChangesRequest, TailOmittedChangesResponse,
};
use tonic::{Request, Response, Status};

use super::observed::Observer;
use super::tail::{Answers, Begin, Tails};
use super::{READ, WRITE, child};

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) tails: Tails,
    pub(super) topics: Topics,
    pub(super) observer: Observer,
}

#[tonic::async_trait]
impl OmittedChangeService for Service {
    type TailOmittedChangesStream = Answers<TailOmittedChangesResponse>;

    async fn tail_omitted_changes(
        &self,
        request: Request<TailOmittedChangesRequest>,
    ) -> Result<Response<Self::TailOmittedChangesStream>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (metadata, extensions, request) = request.into_parts();
        let (account, id) = child(&caller, &request.name, name::EXPORT_JOBS, READ)?;
        let job = self.directory.export_jobs().get(account, id)?.name();
        let reasons: BTreeSet<_> = request.reasons.into_iter().collect();
        let begin = request.from.map(|from| match from {
            From::Newest(newest) => Begin::Newest(newest),
            From::Oldest(()) => Begin::Oldest,
        });
        let credentials = Request::from_parts(metadata, extensions, ());
        let pick = move |record: &RecordView<'_>| answer(&job, &reasons, record);
        let topic = self.topics.export_rejected();
        self.tails.answer(credentials, topic, begin, request.follow, pick)
    }

    async fn redrive_omitted_changes(
        &self,
        request: Request<RedriveOmittedChangesRequest>,
    ) -> Result<Response<RedriveOmittedChangesResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let RedriveOmittedChangesRequest {
            name,
            reasons,
            revision,
        } = request.into_inner();
        let (account, id) = child(&caller, &name, name::EXPORT_JOBS, WRITE)?;
        let jobs = self.directory.export_jobs();
        let new = NewRedrive {
            reasons: reasons.into_iter().collect(),
            done: self.observer.0.redrive_done(&jobs.get(account, id)?),
        };
        let based_on = (revision != 0).then_some(revision);
        let job = jobs.redrive(account, id, new, based_on, Timestamp::now()).await?;
        Ok(Response::new(RedriveOmittedChangesResponse {
            export_job: Some(self.observer.done(&caller, &job, ExportEvent::Redrive)),
        }))
    }
}

/// The change that a record holds, if it is one of the job's with one of these reasons, or with any if there is none.
fn answer(job: &str, reasons: &BTreeSet<String>, record: &RecordView<'_>) -> Option<TailOmittedChangesResponse> {
    let payload = record.payload().filter(|_| record.key() == Some(job.as_bytes()))?;
    let change = RejectedChange::decode(payload).ok()?;
    let fits = reasons.is_empty() || reasons.contains(&change.reason);
    let kept = record.timestamp_ms();
    let kept = kept.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    fits.then(|| TailOmittedChangesResponse {
        change: Some(change),
        keep_time: kept.map(model::time::to_wire),
    })
}
