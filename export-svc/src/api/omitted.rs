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
use runtime::grpc::status::invalid_argument;
use tonic::{Request, Response, Status};

use super::observed::Observer;
use super::tail::{Answers, Begin, Tails};
use super::{READ, WRITE, child};
use crate::consume::reasons;

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
        let reasons = known(request.reasons)?;
        let begin = request.from.map(|from| match from {
            From::Newest(newest) => Begin::Newest(newest),
            From::Oldest(()) => Begin::Oldest,
        });
        let credentials = Request::from_parts(metadata, extensions, ());
        let pick = move |record: &RecordView<'_>| answer(&reasons, record);
        let omitted = (self.topics.export_rejected(), job);
        self.tails.answer(credentials, omitted, begin, request.follow, pick)
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
            reasons: known(reasons)?,
            done: self.observer.0.redrive_done(&jobs.get(account, id)?),
        };
        let based_on = (revision != 0).then_some(revision);
        let job = jobs.redrive(account, id, new, based_on, Timestamp::now()).await?;
        Ok(Response::new(RedriveOmittedChangesResponse {
            export_job: Some(self.observer.done(&caller, &job, ExportEvent::Redrive)),
        }))
    }
}

/// The reasons that are asked for, if there are such.
fn known(asked: Vec<String>) -> Result<BTreeSet<String>, Status> {
    match asked
        .iter()
        .find(|asked| !reasons().any(|known| known == asked.as_str()))
    {
        None => Ok(asked.into_iter().collect()),
        Some(_) => {
            let known: Vec<_> = reasons().collect();
            Err(invalid_argument("reasons", format!("must be of {}", known.join(", "))))
        }
    }
}

/// The change that a record holds, if it has one of these reasons, or any if there is none.
fn answer(reasons: &BTreeSet<String>, record: &RecordView<'_>) -> Option<TailOmittedChangesResponse> {
    let change = RejectedChange::decode(record.payload()?).ok()?;
    let fits = reasons.is_empty() || reasons.contains(&change.reason);
    let kept = record.timestamp_ms();
    let kept = kept.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    fits.then(|| TailOmittedChangesResponse {
        change: Some(change),
        keep_time: kept.map(model::time::to_wire),
    })
}
