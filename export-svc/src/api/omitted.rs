//! `lytics.export.v1.OmittedChangeService`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use control::Directory;
use futures::stream::{self, Stream, StreamExt};
use model::name;
use proto::export::v1::omitted_change_service_server::OmittedChangeService;
use proto::export::v1::tail_omitted_changes_request::From;
use proto::export::v1::{TailOmittedChangesRequest, TailOmittedChangesResponse};
use runtime::grpc::status::invalid_argument;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{READ, child};
use crate::omitted::{self, Error, Omitted, Wanted};

/// The most that can be asked for from the end: as many as Lytics lists.
const NEWEST_MAX: u32 = 1_000;
/// Calls at a time, each of which has a client of Kafka.
const CALLS_MAX: usize = 8;
/// Answers that may wait for the caller to take them.
const ANSWERS_MAX: usize = 64;
/// How long the newest may be looked for, and how long an answer may wait.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Service {
    directory: Directory,
    kafka: kafka::Config,
    drain: CancellationToken,
    calls: Arc<Semaphore>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<TailOmittedChangesResponse, Status>> + Send>>;

impl Service {
    pub(super) fn new(directory: Directory, kafka: kafka::Config, drain: CancellationToken) -> Self {
        Self {
            directory,
            kafka,
            drain,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }
}

#[tonic::async_trait]
impl OmittedChangeService for Service {
    type TailOmittedChangesStream = Answers;

    async fn tail_omitted_changes(
        &self,
        request: Request<TailOmittedChangesRequest>,
    ) -> Result<Response<Answers>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (metadata, extensions, request) = request.into_parts();
        let credentials = Request::from_parts(metadata, extensions, ());
        let (account, id) = child(&caller, &request.name, name::EXPORT_JOBS, READ)?;
        let job = self.directory.export_jobs().get(account, id)?;
        let wanted = wanted(job.name(), request)?;
        let permit = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{CALLS_MAX} calls read omitted changes already; try again later"
            ))
        })?;
        let (answers, mut taken) = mpsc::channel(ANSWERS_MAX);
        let (kafka, drain, runtime) = (self.kafka.clone(), self.drain.clone(), Handle::current());
        let directory = self.directory.clone();
        let read = tokio::task::spawn_blocking(move || {
            // A call may outlive its token.
            let allowed = || directory.admit(&credentials, READ);
            let listening = || !answers.is_closed() && !drain.is_cancelled() && allowed().is_ok();
            let take = |omitted| {
                let sent = tokio::time::timeout(PATIENCE, answers.send(Ok(answer(omitted))));
                match runtime.block_on(drain.run_until_cancelled(sent)) {
                    Some(Ok(Ok(()))) => Ok(()),
                    Some(Err(_)) => Err(Error::Patience(PATIENCE)),
                    Some(Ok(Err(_))) | None => Err(Error::Gone),
                }
            };
            let ended = omitted::tail(&kafka, &wanted, listening, take);
            drop(permit);
            ended.map_err(|error| allowed().err().map_or_else(|| status(&error), Status::from))
        });
        // What is read is answered first, then how it ended.
        let ended = stream::once(read).filter_map(|ended| async {
            match ended {
                Ok(ended) => ended.err().map(Err),
                Err(_) => Some(Err(Status::internal("the omitted changes could not be read"))),
            }
        });
        let taken = stream::poll_fn(move |context| taken.poll_recv(context));
        Ok(Response::new(Box::pin(taken.chain(ended))))
    }
}

fn wanted(job: String, request: TailOmittedChangesRequest) -> Result<Wanted, Status> {
    let newest = match request.from {
        None => Some(NEWEST_MAX),
        Some(From::Newest(newest)) if newest <= NEWEST_MAX => Some(newest),
        Some(From::Newest(_)) => {
            let problem = format!("must be at most {NEWEST_MAX}; ask for the oldest and all after it instead");
            return Err(invalid_argument("newest", problem));
        }
        Some(From::Oldest(())) => None,
    };
    Ok(Wanted {
        job,
        reasons: request.reasons.into_iter().collect(),
        newest: newest.map(|newest| usize::try_from(newest).unwrap_or(usize::MAX)),
        follow: request.follow,
        patience: PATIENCE,
    })
}

fn answer(omitted: Omitted) -> TailOmittedChangesResponse {
    let kept = omitted
        .kept_ms
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    TailOmittedChangesResponse {
        change: Some(omitted.change),
        keep_time: kept.map(model::time::to_wire),
    }
}

fn status(error: &Error) -> Status {
    match error {
        Error::Patience(_) => Status::deadline_exceeded(error.to_string()),
        Error::Gone => Status::unavailable("this replica is shutting down; ask another one"),
        Error::Kafka(kafka::Error::Topic { topic, problem }) => Status::failed_precondition(format!(
            "topic {topic}: {problem}; `export-svc topics ensure` creates what is missing"
        )),
        Error::Kafka(error) => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "omitted changes cannot be read"
            );
            Status::unavailable("the rejected changes cannot be read, because Kafka is not available; try again")
        }
    }
}
