//! Answers with what a topic has of a job, oldest first, and what comes: for services that read such topics back.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use control::Directory;
use futures::stream::{self, Stream, StreamExt};
use kafka::RecordView;
use runtime::grpc::status::invalid_argument;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::READ;
use crate::tail::{self, Error, Wanted};

/// The most that can be asked for from the end: as many as Lytics lists.
const NEWEST_MAX: u32 = 1_000;
/// Calls at a time, each of which has a client of Kafka.
const CALLS_MAX: usize = 8;
/// Answers that may wait for the caller to take them.
const ANSWERS_MAX: usize = 64;
/// How long the newest may be looked for, and how long an answer may wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the calls share; cheap to clone.
#[derive(Clone)]
pub(super) struct Tails {
    directory: Directory,
    kafka: kafka::Config,
    drain: CancellationToken,
    calls: Arc<Semaphore>,
}

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Where an answer begins.
pub(super) enum Begin {
    Newest(u32),
    Oldest,
}

impl Tails {
    pub(super) fn new(directory: Directory, kafka: kafka::Config, drain: CancellationToken) -> Self {
        Self {
            directory,
            kafka,
            drain,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    /// Answers whoever has these `credentials` with what `pick` makes of the records that a topic has under a key. Without `begin`
    /// from the newest 1,000 on.
    pub(super) fn answer<T: Send + 'static>(
        &self,
        credentials: Request<()>,
        (topic, key): (String, String),
        begin: Option<Begin>,
        follow: bool,
        pick: impl Fn(&RecordView<'_>) -> Option<T> + Send + 'static,
    ) -> Result<Response<Answers<T>>, Status> {
        let wanted = Wanted {
            newest: newest(begin)?,
            follow,
            patience: PATIENCE,
        };
        let permit = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{CALLS_MAX} calls read omitted changes or logs already; try again later"
            ))
        })?;
        let (answers, mut taken) = mpsc::channel(ANSWERS_MAX);
        let (kafka, drain, runtime) = (self.kafka.clone(), self.drain.clone(), Handle::current());
        let directory = self.directory.clone();
        let read = tokio::task::spawn_blocking(move || {
            // A call may outlive its token.
            let allowed = || directory.admit(&credentials, READ);
            let listening = || !answers.is_closed() && !drain.is_cancelled() && allowed().is_ok();
            let take = |answer| {
                let sent = tokio::time::timeout(PATIENCE, answers.send(Ok(answer)));
                match runtime.block_on(drain.run_until_cancelled(sent)) {
                    Some(Ok(Ok(()))) => Ok(()),
                    Some(Err(_)) => Err(Error::Patience(PATIENCE)),
                    Some(Ok(Err(_))) | None => Err(Error::Gone),
                }
            };
            let ended = tail::tail(&kafka, (&topic, &key), &wanted, pick, listening, take);
            drop(permit);
            ended.map_err(|error| allowed().err().map_or_else(|| status(&error), Status::from))
        });
        // What is read is answered first, then how it ended.
        let ended = stream::once(read).filter_map(|ended| async {
            match ended {
                Ok(ended) => ended.err().map(Err),
                Err(_) => Some(Err(Status::internal("the topic could not be read"))),
            }
        });
        let taken = stream::poll_fn(move |context| taken.poll_recv(context));
        Ok(Response::new(Box::pin(taken.chain(ended))))
    }
}

fn newest(begin: Option<Begin>) -> Result<Option<usize>, Status> {
    let newest = match begin.unwrap_or(Begin::Newest(NEWEST_MAX)) {
        Begin::Oldest => return Ok(None),
        Begin::Newest(newest) if newest <= NEWEST_MAX => newest,
        Begin::Newest(_) => {
            let problem = format!("must be at most {NEWEST_MAX}; ask for the oldest and all after it instead");
            return Err(invalid_argument("newest", problem));
        }
    };
    Ok(Some(usize::try_from(newest).unwrap_or(usize::MAX)))
}

fn status(error: &Error) -> Status {
    match error {
        Error::Patience(_) => Status::deadline_exceeded(error.to_string()),
        Error::Gone => Status::unavailable("this replica is shutting down; ask another one"),
        Error::Kafka(kafka::Error::Topic { topic, problem }) => Status::failed_precondition(format!(
            "topic {topic}: {problem}; `export-svc topics ensure` creates what is missing"
        )),
        Error::Kafka(error) => {
            tracing::warn!(error = error as &dyn std::error::Error, "a topic cannot be read back");
            Status::unavailable("the topic cannot be read, because Kafka is not available; try again")
        }
    }
}
