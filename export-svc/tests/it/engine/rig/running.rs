//! An engine that runs, and what a test waits for.

use std::time::Duration;

use control::ExportJob;
use export_svc::engine::{EngineHandle, JobStatus};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DEADLINE;

/// One engine; several may run one after the other.
pub(crate) struct Running {
    pub(crate) handle: EngineHandle,
    pub(super) drain: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    /// Finishes as on SIGTERM.
    pub(crate) async fn drain(self) {
        self.drain.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it drains")
            .unwrap();
    }

    /// Begins to finish, and goes on with the test.
    pub(crate) fn begin_drain(&self) {
        self.drain.cancel();
    }

    /// Ends as in a crash.
    pub(crate) async fn crash(self) {
        self.handle.abandon();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends")
            .unwrap();
    }

    /// Waits until the job's status is as wanted.
    pub(crate) async fn until(&self, job: &ExportJob, condition: impl Fn(&JobStatus) -> bool) -> JobStatus {
        let status = || self.handle.job_status(&job.name());
        until(
            || status().as_ref().is_some_and(&condition),
            || format!("the status is {:?}", status()),
        )
        .await;
        status().unwrap()
    }

    /// Waits until everything that was published is settled: (added, removed, omitted, rejected).
    pub(crate) async fn settled(&self, job: &ExportJob, counters: (u64, u64, u64, u64)) {
        let of = |status: &JobStatus| {
            let counters = &status.counters;
            (counters.added, counters.removed, counters.omitted, counters.rejected)
        };
        let status = self
            .until(job, |status| status.pending == 0 && of(status) == counters)
            .await;
        assert_eq!(of(&status), counters);
    }
}

/// Waits for a condition that nobody announces.
pub(crate) async fn until(condition: impl Fn() -> bool, what: impl Fn() -> String) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {}", what());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
