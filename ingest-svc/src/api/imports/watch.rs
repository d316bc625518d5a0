//! `WatchImportJob`: a job as it is, and then whenever that changes.

use std::time::Duration;

use proto::imports::v1::{ImportJob, ImportJobState, WatchImportJobResponse};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Watchers at once, in one process.
pub(super) const WATCHERS_MAX: usize = 256;
/// Messages that wait for a watcher.
pub(super) const WAITING_MAX: usize = 4;
/// How often a job is looked at, and so told at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is said about a job that does not change.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a watcher may leave its messages unread.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// Tells the watcher what `look` sees, until it has left, has read nothing for too long, may not look any more, or the job has
/// ended for good, or the process drains.
pub(super) async fn follow(
    look: impl Fn() -> Result<ImportJob, Status>,
    watcher: mpsc::Sender<Result<WatchImportJobResponse, Status>>,
    _slot: OwnedSemaphorePermit,
    drain: CancellationToken,
) {
    let told = drain.run_until_cancelled(tell(look, &watcher)).await;
    if told.is_none() {
        let ending = Status::unavailable("the service is ending; watch again");
        // Whoever does not read it learns it from the connection.
        drop(watcher.try_send(Err(ending)));
    }
}

async fn tell(
    look: impl Fn() -> Result<ImportJob, Status>,
    watcher: &mpsc::Sender<Result<WatchImportJobResponse, Status>>,
) {
    let mut last: Option<(ImportJob, Instant)> = None;
    while !watcher.is_closed() {
        let seen = look();
        let known = last.as_ref().is_some_and(|(job, told)| {
            let same = seen.as_ref().is_ok_and(|seen| seen == job);
            same && told.elapsed() < HEARTBEAT
        });
        if !known {
            let ended = seen.as_ref().map_or(true, has_ended);
            last = seen.as_ref().ok().map(|job| (job.clone(), Instant::now()));
            let message = seen.map(|job| WatchImportJobResponse { import_job: Some(job) });
            let sent = timeout(WRITE_MAX, watcher.send(message)).await;
            if ended || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// It stays as it is.
fn has_ended(job: &ImportJob) -> bool {
    matches!(job.state(), ImportJobState::Killed | ImportJobState::Completed)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proto::imports::v1::ImportCounters;
    use tokio::sync::Semaphore;

    use super::*;

    type Told = mpsc::Receiver<Result<WatchImportJobResponse, Status>>;

    fn slot(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        Arc::clone(slots).try_acquire_owned().unwrap()
    }

    async fn rows(told: &mut Told) -> u64 {
        let message = told.recv().await.unwrap().unwrap();
        message.import_job.unwrap().counters.unwrap_or_default().rows
    }

    fn read(rows: u64) -> ImportJob {
        let counters = Some(ImportCounters {
            rows,
            ..ImportCounters::default()
        });
        ImportJob {
            counters,
            ..ImportJob::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_is_told_what_changes_and_now_and_then_that_nothing_does() {
        let job = Arc::new(Mutex::new(ImportJob::default()));
        let (sender, mut told) = mpsc::channel(WAITING_MAX);
        let seen = Arc::clone(&job);
        let look = move || Ok(seen.lock().unwrap().clone());
        let slots = Arc::new(Semaphore::new(1));
        let follow = follow(look, sender, slot(&slots), CancellationToken::new());
        let watch = async {
            assert_eq!(rows(&mut told).await, 0);
            *job.lock().unwrap() = read(7);
            let begun = Instant::now();
            assert_eq!(rows(&mut told).await, 7);
            assert!(begun.elapsed() < HEARTBEAT);
            assert_eq!(rows(&mut told).await, 7);
            let quiet = begun.elapsed();
            assert!(
                quiet >= HEARTBEAT && quiet < 2 * HEARTBEAT,
                "nothing had changed: {quiet:?}"
            );
            job.lock().unwrap().set_state(ImportJobState::Killed);
            assert_eq!(rows(&mut told).await, 7);
            assert!(told.recv().await.is_none(), "it has ended for good");
        };
        tokio::join!(follow, watch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_that_reads_nothing_loses_its_place() {
        let (sender, told) = mpsc::channel(WAITING_MAX);
        let number = Mutex::new(0);
        let look = || {
            *number.lock().unwrap() += 1;
            Ok(read(*number.lock().unwrap()))
        };
        let slots = Arc::new(Semaphore::new(1));
        let begun = Instant::now();
        follow(look, sender, slot(&slots), CancellationToken::new()).await;
        assert!(begun.elapsed() < 2 * WRITE_MAX);
        assert_eq!(told.len(), WAITING_MAX);
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_learns_why_it_sees_no_more() {
        let slots = Arc::new(Semaphore::new(2));
        let drain = CancellationToken::new();
        let (sender, mut told) = mpsc::channel(WAITING_MAX);
        let gone = || Err(Status::not_found("the job"));
        follow(gone, sender, slot(&slots), drain.clone()).await;
        assert_eq!(told.recv().await.unwrap().unwrap_err().code(), tonic::Code::NotFound);
        let (sender, mut told) = mpsc::channel(WAITING_MAX);
        let follow = follow(|| Ok(ImportJob::default()), sender, slot(&slots), drain.clone());
        let watch = async {
            rows(&mut told).await;
            drain.cancel();
            assert_eq!(told.recv().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        };
        tokio::join!(follow, watch);
    }
}
