//! What the tests share: a broker of the test's own, the binaries in processes, the simulator, the topics read back.

pub(crate) mod broker;
pub(crate) mod collector;
pub(crate) mod compose;
pub(crate) mod grpcurl;
pub(crate) mod http;
pub(crate) mod local;
pub(crate) mod process;
pub(crate) mod reader;
pub(crate) mod relay;
pub(crate) mod sim;
pub(crate) mod system;
pub(crate) mod topic;

use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take that a test waits for: longer than the longest wait of the services themselves (a drain, 25 s).
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until there is something, and gives it back.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}
