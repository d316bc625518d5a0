//! Threads for work that nobody waits for: they get what the others leave of the processor.
//!
//! Tokio's own threads take turns at whatever is there, and a task that counts for milliseconds makes all others wait behind it. So what can be
//! as long as a file has a runtime of its own, whose threads the system puts behind those that answer somebody.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How far its threads step back (`nice`): beside one that does not, such a thread gets a tenth of a core.
const STEP_BACK: i32 = 10;

/// A runtime whose threads step back. When it is dropped, its tasks end where they next wait.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    /// Taken when this is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// With a thread for each core; `name` is what the system calls them, 15 bytes of it.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Where its tasks are spawned.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Whoever drops it may be a task, which must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux that is for the thread that asks, not for its process.
fn step_back() {
    if let Err(error) = rustix::process::nice(STEP_BACK) {
        tracing::warn!(%error, "work in the background has the priority of any other");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `proc_pid_stat(5)` says of this thread, behind its name.
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn its_threads_step_back_and_nobody_elses() {
        let usual = niceness();
        let background = Background::start("behind").unwrap();
        let (name, behind) = background
            .handle()
            .spawn(async { (std::thread::current().name().map(str::to_owned), niceness()) })
            .await
            .unwrap();
        assert_eq!((name.as_deref(), behind), (Some("behind"), (usual + STEP_BACK).min(19)));
        assert_eq!(niceness(), usual);
    }
}
