//! `ImportJobService`: which files go to which stream, and how far each is.

mod edit;
mod observed;
mod parse;
mod segments;
mod source;
mod watch;

use std::sync::Arc;

use control::sealing::Sealer;
use control::{Directory, ImportMove, ImportSource};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use model::{AccountNumber, AccountRef, Role, name};
use proto::imports::v1 as wire;
use proto::imports::v1::import_job_service_server::ImportJobService;
use runtime::grpc::status::{self, failed_precondition};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

pub(crate) use self::observed::Observer;
use super::resource::{READ, WRITE, based_on, child, page, parent};
use crate::mappings::Mappings;

/// What a job cannot do without.
const NO_KEYS: &str = "no secret can be opened: set secrets.keys to the keys that export-svc has";

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Imports {
    directory: Directory,
    /// Knows how the files of jobs fare.
    observer: Observer,
    mappings: Mappings,
    sealer: Option<Arc<Sealer>>,
    braze: braze::Client,
    drain: CancellationToken,
    watchers: Arc<Semaphore>,
    watching: TaskTracker,
}

impl Imports {
    /// `sealer` opens the secrets of authorizations; watchers end with `drain`.
    pub(crate) fn new(
        directory: Directory,
        observer: Observer,
        mappings: Mappings,
        sealer: Option<Arc<Sealer>>,
        braze: braze::Client,
        drain: CancellationToken,
    ) -> Self {
        Self {
            directory,
            observer,
            mappings,
            sealer,
            braze,
            drain,
            watchers: Arc::new(Semaphore::new(watch::WATCHERS_MAX)),
            watching: TaskTracker::new(),
        }
    }

    /// The job as it is now.
    fn shown(&self, job: &control::ImportJob) -> wire::ImportJob {
        let mut shown = self.observer.shown(job);
        shown.mapping = self.mapping(job.account, &job.stream);
        shown
    }

    /// The account's own mapping that reads the stream.
    fn mapping(&self, account: AccountNumber, stream: &str) -> String {
        let mapping = self.mappings.choose(account, stream).mapping;
        let own = mapping.ok().filter(|mapping| mapping.version() != 0);
        own.map(|mapping| name::format_child(account, name::MAPPINGS, mapping.alias()))
            .unwrap_or_default()
    }

    /// What looks wrong with a job that can be created all the same.
    fn warnings(&self, job: &control::ImportJob) -> Vec<String> {
        let mapping = self.mappings.choose(job.account, &job.stream).mapping;
        let refused = mapping.err().map(|refusal| {
            let stream = &job.stream;
            format!("{refusal}: every record is rejected until a mapping FROM {stream} is put")
        });
        refused.into_iter().collect()
    }

    /// That the secrets which a source needs can be opened here.
    fn must_open(&self, account: AccountNumber, source: &ImportSource) -> Result<(), Status> {
        let storage = match source {
            ImportSource::Storage(files) => &files.authorization,
            ImportSource::SegmentExport(_) if self.sealer.is_none() => return Err(failed_precondition(NO_KEYS)),
            ImportSource::SegmentExport(files) => &files.storage_authorization,
            ImportSource::Upload(_) => return Ok(()),
        };
        let (_, id) = name::child(storage, name::STORAGE_AUTHORIZATIONS)
            .map_err(|error| status::invalid_argument("import_job.source", error.to_string()))?;
        let storage = self.directory.storage_authorizations().get(account, id)?;
        match &self.sealer {
            Some(sealer) => storage
                .secret(sealer)
                .map(drop)
                .map_err(|error| failed_precondition(error.to_string())),
            None if storage.has_secret() => Err(failed_precondition(NO_KEYS)),
            None => Ok(()),
        }
    }

    /// The caller's account and job, if it can be moved so in the state that is observed.
    fn movable<'a, T>(
        &self,
        request: &Request<T>,
        name: &'a str,
        what: ImportMove,
    ) -> Result<(AccountNumber, &'a str), Status> {
        let caller = self.directory.admit(request, WRITE)?;
        let (account, id) = child(&caller, "name", name, name::IMPORT_JOBS, WRITE)?;
        let job = self.directory.import_jobs().get(account, id)?;
        match what.refusal(self.observer.state(&job)) {
            Some(problem) => Err(failed_precondition(format!("{name} {problem}"))),
            None => Ok((account, id)),
        }
    }

    /// What was done with a job, which is shown as it is then.
    fn done<T>(&self, request: &Request<T>, job: &control::ImportJob, what: &str) -> Option<wire::ImportJob> {
        let caller = self.directory.caller(request).ok();
        let token = caller.as_ref().and_then(|caller| caller.token());
        let token = token.map_or("admin token", |token| token.name.as_str());
        tracing::info!(token, job = job.name(), "{what} {}", job.name());
        Some(self.shown(job))
    }
}

#[tonic::async_trait]
impl ImportJobService for Imports {
    type WatchImportJobStream = BoxStream<'static, Result<wire::WatchImportJobResponse, Status>>;

    async fn create_import_job(
        &self,
        request: Request<wire::CreateImportJobRequest>,
    ) -> Result<Response<wire::CreateImportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::CreateImportJobRequest { parent: of, import_job } = request.get_ref();
        let account = parent(&caller, of, WRITE)?;
        let new = parse::parse(account, import_job.clone().unwrap_or_default())?;
        // An account that does not exist has no authorizations.
        self.directory.account_number(AccountRef::Number(account))?;
        self.must_open(account, &new.source)?;
        let jobs = self.directory.import_jobs();
        let job = jobs.create(account, new, Timestamp::now()).await?;
        Ok(Response::new(wire::CreateImportJobResponse {
            import_job: self.done(&request, &job, "created"),
            warnings: self.warnings(&job),
        }))
    }

    async fn get_import_job(
        &self,
        request: Request<wire::GetImportJobRequest>,
    ) -> Result<Response<wire::GetImportJobResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (account, id) = child(&caller, "name", &request.get_ref().name, name::IMPORT_JOBS, READ)?;
        let job = self.directory.import_jobs().get(account, id)?;
        Ok(Response::new(wire::GetImportJobResponse {
            import_job: Some(self.shown(&job)),
        }))
    }

    async fn list_import_jobs(
        &self,
        request: Request<wire::ListImportJobsRequest>,
    ) -> Result<Response<wire::ListImportJobsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let list = ["ListImportJobs", &request.parent, &format!("{:?}", request.states)];
        let page = page(&list, request.page_size, &request.page_token)?;
        let listed = self.directory.import_jobs().list(account, &page)?;
        let jobs = listed.items.iter().map(|job| self.shown(job));
        let wanted = |job: &wire::ImportJob| request.states.is_empty() || request.states.contains(&job.state);
        Ok(Response::new(wire::ListImportJobsResponse {
            import_jobs: jobs.filter(wanted).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn watch_import_job(
        &self,
        request: Request<wire::WatchImportJobRequest>,
    ) -> Result<Response<Self::WatchImportJobStream>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (metadata, extensions, wire::WatchImportJobRequest { name }) = request.into_parts();
        let (account, id) = child(&caller, "name", &name, name::IMPORT_JOBS, READ)?;
        self.directory.import_jobs().get(account, id)?;
        let slot = Arc::clone(&self.watchers).try_acquire_owned();
        let slot = slot.map_err(|_| Status::resource_exhausted("too many watch jobs already; try again later"))?;
        let (id, this) = (id.to_owned(), self.clone());
        let credentials = Request::from_parts(metadata, extensions, ());
        let look = move || {
            // The token may have been revoked meanwhile.
            this.directory.admit(&credentials, READ)?.require(account, READ)?;
            Ok(this.shown(&this.directory.import_jobs().get(account, &id)?))
        };
        let (watcher, told) = mpsc::channel(watch::WAITING_MAX);
        let follow = watch::follow(look, watcher, slot, self.drain.clone());
        self.watching.spawn(follow);
        let told = stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
        Ok(Response::new(told.boxed()))
    }

    async fn update_import_job(
        &self,
        request: Request<wire::UpdateImportJobRequest>,
    ) -> Result<Response<wire::UpdateImportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::UpdateImportJobRequest {
            import_job,
            update_mask,
        } = request.get_ref();
        let wanted = import_job.clone().unwrap_or_default();
        let (name, based_on) = (wanted.name.clone(), based_on(wanted.revision));
        let (account, id) = child(&caller, "import_job.name", &name, name::IMPORT_JOBS, WRITE)?;
        let edit = edit::parse(wanted, &update_mask.clone().unwrap_or_default())?;
        let jobs = self.directory.import_jobs();
        let job = jobs.update(account, id, edit, based_on, Timestamp::now()).await?;
        Ok(Response::new(wire::UpdateImportJobResponse {
            import_job: self.done(&request, &job, "changed"),
        }))
    }

    async fn delete_import_job(
        &self,
        request: Request<wire::DeleteImportJobRequest>,
    ) -> Result<Response<wire::DeleteImportJobResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::DeleteImportJobRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, "name", name, name::IMPORT_JOBS, WRITE)?;
        let jobs = self.directory.import_jobs();
        jobs.delete(account, id, based_on(*revision)).await?;
        let token = caller.token().map_or("admin token", |token| token.name.as_str());
        tracing::info!(token, job = name, "deleted {name}");
        Ok(Response::new(wire::DeleteImportJobResponse {}))
    }

    async fn pause_import_job(
        &self,
        request: Request<wire::PauseImportJobRequest>,
    ) -> Result<Response<wire::PauseImportJobResponse>, Status> {
        let wire::PauseImportJobRequest { name, revision } = request.get_ref();
        let (account, id) = self.movable(&request, name, ImportMove::Pause)?;
        let (jobs, based_on) = (self.directory.import_jobs(), based_on(*revision));
        let job = jobs.pause(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(wire::PauseImportJobResponse {
            import_job: self.done(&request, &job, "paused"),
        }))
    }

    async fn resume_import_job(
        &self,
        request: Request<wire::ResumeImportJobRequest>,
    ) -> Result<Response<wire::ResumeImportJobResponse>, Status> {
        let wire::ResumeImportJobRequest { name, revision } = request.get_ref();
        let (account, id) = self.movable(&request, name, ImportMove::Resume)?;
        let (jobs, based_on) = (self.directory.import_jobs(), based_on(*revision));
        let job = jobs.resume(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(wire::ResumeImportJobResponse {
            import_job: self.done(&request, &job, "resumed"),
        }))
    }

    async fn bounce_import_job(
        &self,
        request: Request<wire::BounceImportJobRequest>,
    ) -> Result<Response<wire::BounceImportJobResponse>, Status> {
        let wire::BounceImportJobRequest { name, revision } = request.get_ref();
        let (account, id) = self.movable(&request, name, ImportMove::Bounce)?;
        let (jobs, based_on) = (self.directory.import_jobs(), based_on(*revision));
        let job = jobs.bounce(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(wire::BounceImportJobResponse {
            import_job: self.done(&request, &job, "bounced"),
        }))
    }

    async fn kill_import_job(
        &self,
        request: Request<wire::KillImportJobRequest>,
    ) -> Result<Response<wire::KillImportJobResponse>, Status> {
        let wire::KillImportJobRequest { name, revision } = request.get_ref();
        let (account, id) = self.movable(&request, name, ImportMove::Kill)?;
        let (jobs, based_on) = (self.directory.import_jobs(), based_on(*revision));
        let job = jobs.kill(account, id, based_on, Timestamp::now()).await?;
        Ok(Response::new(wire::KillImportJobResponse {
            import_job: self.done(&request, &job, "killed"),
        }))
    }

    async fn list_import_files(
        &self,
        request: Request<wire::ListImportFilesRequest>,
    ) -> Result<Response<wire::ListImportFilesResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let (account, id) = child(&caller, "parent", &request.parent, name::IMPORT_JOBS, READ)?;
        let list = ["ListImportFiles", &request.parent, &format!("{:?}", request.states)];
        let page = page(&list, request.page_size, &request.page_token)?;
        let job = self.directory.import_jobs().get(account, id)?;
        let files = self.observer.files(&job).into_iter();
        let wanted = files.filter(|(_, file)| request.states.is_empty() || request.states.contains(&file.state));
        let listed = page.cut(wanted);
        Ok(Response::new(wire::ListImportFilesResponse {
            import_files: listed.items,
            next_page_token: listed.next_page_token,
        }))
    }

    async fn list_segments(
        &self,
        request: Request<wire::ListSegmentsRequest>,
    ) -> Result<Response<wire::ListSegmentsResponse>, Status> {
        let caller = self.directory.admit(&request, SEGMENTS)?;
        let name = &request.get_ref().authorization;
        child(&caller, "authorization", name, name::AUTHORIZATIONS, SEGMENTS)?;
        segments::list(&self.directory, self.sealer.as_deref(), &self.braze, request.get_ref()).await
    }
}

/// May ask Braze for segments with the account's key.
const SEGMENTS: &[Role] = WRITE;
