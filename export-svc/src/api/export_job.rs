//! `lytics.export.v1.ExportJobService`.

mod create;
mod edit;
pub(super) mod guard;
mod identifiers;
mod options;
mod parse;
mod plan;
mod purchases;
pub(super) mod removal;
mod reset;
mod watch;
mod writes;

use std::sync::Arc;

use control::{Directory, Move, NewExportJob, NewReset};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use kafka::{Reader, ReaderOptions, Topics};
use model::{AccountNumber, name};
use proto::export::v1::export_job_service_server::ExportJobService;
use proto::export::v1::{
    BounceExportJobRequest, BounceExportJobResponse, CreateExportJobRequest, CreateExportJobResponse,
    DeleteExportJobRequest, DeleteExportJobResponse, ExportEvent, ExportJob, GetExportJobRequest, GetExportJobResponse,
    KillExportJobRequest, KillExportJobResponse, ListExportJobsRequest, ListExportJobsResponse, PauseExportJobRequest,
    PauseExportJobResponse, ResetExportJobRequest, ResetExportJobResponse, ResumeExportJobRequest,
    ResumeExportJobResponse, UpdateExportJobRequest, UpdateExportJobResponse, WatchExportJobRequest,
    WatchExportJobResponse,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use self::reset::Target;
use super::observed::Observer;
use super::{READ, WRITE, based_on, child, child_at, page, parent};
use crate::catalog::Catalog;

#[derive(Clone)]
pub(super) struct Service {
    directory: Directory,
    kafka: kafka::Config,
    catalog: Catalog,
    observer: Observer,
    drain: CancellationToken,
    watchers: Arc<Semaphore>,
    watching: TaskTracker,
}

impl Service {
    pub(super) fn new(
        directory: Directory,
        kafka: kafka::Config,
        catalog: Catalog,
        observer: Observer,
        drain: CancellationToken,
    ) -> Self {
        Self {
            directory,
            kafka,
            catalog,
            observer,
            drain,
            watchers: Arc::new(Semaphore::new(watch::WATCHERS_MAX)),
            watching: TaskTracker::new(),
        }
    }

    /// The job that somebody wants to create, beginning now.
    async fn wanted(&self, account: AccountNumber, job: Option<ExportJob>) -> Result<NewExportJob, Status> {
        let mut new = parse::parse(account, job.unwrap_or_default(), Timestamp::now())?;
        // An account that does not exist has no topic to ask.
        self.directory.account(model::AccountRef::Number(account))?;
        new.start = self.ends(account).await?;
        Ok(new)
    }

    /// Where the account's membership topic ends, by partition. Open transactions included: nothing at or beyond it was there
    /// before.
    async fn ends(&self, account: AccountNumber) -> Result<Vec<(i32, i64)>, Status> {
        let bounds = self.ask(account, reset::bounds).await?;
        Ok(bounds.iter().map(|bounds| (bounds.partition, bounds.end)).collect())
    }

    /// Asks Kafka about the account's membership topic.
    async fn ask<T: Send + 'static>(
        &self,
        account: AccountNumber,
        question: impl FnOnce(&Reader, &str) -> Result<T, kafka::Error> + Send + 'static,
    ) -> Result<T, Status> {
        let kafka = self.kafka.clone();
        let topic = Topics::new(&kafka).audience_membership(account.get());
        let shown = topic.clone();
        let ask = move || {
            let options = ReaderOptions {
                read_committed: false,
                ..ReaderOptions::default()
            };
            question(&Reader::open(&kafka, options)?, &topic)
        };
        let answer = tokio::task::spawn_blocking(ask)
            .await
            .map_err(|_| Status::internal("the membership topic could not be read"))?;
        answer.map_err(|error: kafka::Error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                topic = shown,
                "cannot ask about the topic"
            );
            match error {
                kafka::Error::Topic { problem, .. } => Status::failed_precondition(format!(
                    "topic {shown}: {problem}; `export-svc topics ensure --account {account}` creates what is missing"
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
    type WatchExportJobStream = BoxStream<'static, Result<WatchExportJobResponse, Status>>;

    async fn create_export_job(
        &self,
        request: Request<CreateExportJobRequest>,
    ) -> Result<Response<CreateExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let request = request.into_inner();
        let account = parent(&caller, &request.parent, WRITE)?;
        let new = self.wanted(account, request.export_job).await?;
        let (audiences, identifiers) = (new.audiences.clone(), new.identifiers.clone());
        let writes = new.options.writes.clone();
        let jobs = self.jobs(account);
        let (job, warnings) = create::noted(
            Box::pin(jobs.create(account, new, Timestamp::now())),
            |job| self.observer.done(&caller, &job, ExportEvent::Created),
            Box::pin(self.catalog.warnings(account, &audiences, &identifiers, &writes)),
        )
        .await?;
        Ok(Response::new(CreateExportJobResponse {
            export_job: Some(job),
            warnings,
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
            export_job: Some(self.observer.observed(&job)),
        }))
    }

    async fn list_export_jobs(
        &self,
        request: Request<ListExportJobsRequest>,
    ) -> Result<Response<ListExportJobsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let states = format!("{:?}", request.states);
        let list = ["ListExportJobs", &request.parent, &states, &request.authorization];
        let page = page(&list, request.page_size, &request.page_token)?;
        let listed = self.directory.export_jobs().list(account, &page)?;
        let wanted = |job: &ExportJob| {
            let of_state = request.states.is_empty() || request.states.contains(&job.state);
            of_state && [job.authorization.as_str(), ""].contains(&request.authorization.as_str())
        };
        let jobs = listed.items.iter().map(|job| self.observer.observed(job));
        Ok(Response::new(ListExportJobsResponse {
            export_jobs: jobs.filter(wanted).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn watch_export_job(
        &self,
        request: Request<WatchExportJobRequest>,
    ) -> Result<Response<Self::WatchExportJobStream>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (metadata, extensions, WatchExportJobRequest { name }) = request.into_parts();
        let (account, id) = child(&caller, &name, name::EXPORT_JOBS, READ)?;
        self.directory.export_jobs().get(account, id)?;
        let slot = Arc::clone(&self.watchers).try_acquire_owned();
        let slot = slot.map_err(|_| Status::resource_exhausted("too many watch jobs already; try again later"))?;
        let (id, this) = (id.to_owned(), self.clone());
        let credentials = Request::from_parts(metadata, extensions, ());
        let look = move || {
            // The token may have been revoked meanwhile.
            this.directory.admit(&credentials, READ)?.require(account, READ)?;
            Ok(this.observer.observed(&this.directory.export_jobs().get(account, &id)?))
        };
        let (watcher, told) = mpsc::channel(watch::WAITING_MAX);
        let follow = watch::follow(look, watcher, slot, self.drain.clone());
        self.watching.spawn(follow);
        let told = stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
        Ok(Response::new(told.boxed()))
    }

    async fn delete_export_job(
        &self,
        request: Request<DeleteExportJobRequest>,
    ) -> Result<Response<DeleteExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let DeleteExportJobRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        let counters = self.observer.counters(name);
        let jobs = self.directory.export_jobs();
        jobs.delete(account, id, based_on(*revision)).await?;
        self.observer.note(&caller, name, ExportEvent::Deleted, counters, "");
        Ok(Response::new(DeleteExportJobResponse {}))
    }

    async fn update_export_job(
        &self,
        request: Request<UpdateExportJobRequest>,
    ) -> Result<Response<UpdateExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let UpdateExportJobRequest {
            export_job,
            update_mask,
            remove_slugs,
        } = request.into_inner();
        let wanted = export_job.unwrap_or_default();
        let (name, revision) = (wanted.name.clone(), wanted.revision);
        let (account, id) = child_at(&caller, "export_job.name", &name, name::EXPORT_JOBS, WRITE)?;
        let mut edit = edit::parse(wanted, &update_mask.unwrap_or_default(), Timestamp::now())?;
        removal::check(remove_slugs, &edit)?;
        edit.remove_slugs = remove_slugs;
        let mut added = Vec::new();
        if let Some(wanted) = &edit.audiences {
            // A job that does not exist may have no topic to ask.
            let present = self.directory.export_jobs().get(account, id)?.audiences;
            added.extend(wanted.iter().filter(|slug| !present.contains(slug)).cloned());
            edit.start = self.ends(account).await?;
        }
        let jobs = self.jobs(account);
        let (job, warnings) = create::noted(
            Box::pin(jobs.update(account, id, edit, based_on(revision), Timestamp::now())),
            |job| self.observer.done(&caller, &job, ExportEvent::Updated),
            Box::pin(self.catalog.audience_warnings(account, &added)),
        )
        .await?;
        Ok(Response::new(UpdateExportJobResponse {
            export_job: Some(job),
            warnings,
        }))
    }

    async fn reset_export_job(
        &self,
        request: Request<ResetExportJobRequest>,
    ) -> Result<Response<ResetExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let ResetExportJobRequest {
            name,
            audiences,
            to,
            revision,
        } = request.into_inner();
        let (account, id) = child(&caller, &name, name::EXPORT_JOBS, WRITE)?;
        let job = self.directory.export_jobs().get(account, id)?;
        let target = reset::parse(&job.audiences, &audiences, to)?;
        let question = move |reader: &Reader, topic: &str| {
            let at = match &target {
                Target::Time(time) => reader.offsets_at(topic, time.as_millisecond())?,
                Target::Beginning | Target::Offsets(_) => Vec::new(),
            };
            Ok(reset::resolve(&target, &reset::bounds(reader, topic)?, at))
        };
        let new = NewReset {
            offsets: self.ask(account, question).await??,
            audiences,
            done: self.observer.0.reset_done(&job),
        };
        let (jobs, based_on) = (self.directory.export_jobs(), based_on(revision));
        let job = jobs.reset(account, id, new, based_on, Timestamp::now()).await?;
        Ok(Response::new(ResetExportJobResponse {
            export_job: Some(self.observer.done(&caller, &job, ExportEvent::Reset)),
        }))
    }

    async fn pause_export_job(
        &self,
        request: Request<PauseExportJobRequest>,
    ) -> Result<Response<PauseExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let PauseExportJobRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        let (jobs, based_on) = (self.directory.export_jobs(), based_on(*revision));
        self.must_not_have_failed(account, id, Move::Pause)?;
        let job = jobs.pause(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(PauseExportJobResponse {
            export_job: Some(self.observer.done(&caller, &job, ExportEvent::Paused)),
        }))
    }

    async fn resume_export_job(
        &self,
        request: Request<ResumeExportJobRequest>,
    ) -> Result<Response<ResumeExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let ResumeExportJobRequest {
            name,
            revision,
            confirm,
        } = request.get_ref();
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        let (job, message) = self.resume(account, id, based_on(*revision), *confirm).await?;
        let job = self.observer.observed(&job);
        self.observer
            .note(&caller, name, ExportEvent::Resumed, job.counters, message);
        Ok(Response::new(ResumeExportJobResponse { export_job: Some(job) }))
    }

    async fn bounce_export_job(
        &self,
        request: Request<BounceExportJobRequest>,
    ) -> Result<Response<BounceExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let BounceExportJobRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        let (jobs, based_on) = (self.directory.export_jobs(), based_on(*revision));
        self.must_not_be_guarded(account, id, "a bounce does nothing for it")?;
        let job = jobs.bounce(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(BounceExportJobResponse {
            export_job: Some(self.observer.done(&caller, &job, ExportEvent::Bounced)),
        }))
    }

    async fn kill_export_job(
        &self,
        request: Request<KillExportJobRequest>,
    ) -> Result<Response<KillExportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let KillExportJobRequest {
            name,
            revision,
            remove_slugs,
        } = request.get_ref();
        let (account, id) = child(&caller, name, name::EXPORT_JOBS, WRITE)?;
        let (jobs, based_on, now) = (self.jobs(account), based_on(*revision), Timestamp::now());
        let counters = self.observer.counters(name);
        let job = if *remove_slugs {
            jobs.kill_and_remove(account, id, based_on, now).await?
        } else {
            jobs.kill(account, id, based_on, now).await?
        };
        self.observer.note(&caller, name, ExportEvent::Killed, counters, "");
        Ok(Response::new(KillExportJobResponse {
            export_job: Some(self.observer.observed(&job)),
        }))
    }
}
