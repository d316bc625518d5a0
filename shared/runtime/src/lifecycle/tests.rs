use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use super::*;

const BUDGET: Duration = Duration::from_secs(10);

/// A component as they all are: works until the token is cancelled.
async fn until(token: CancellationToken) -> Result<(), anyhow::Error> {
    token.cancelled().await;
    Ok(())
}

/// Looks at readiness in the very moment in which a token wakes those who wait for it.
struct AtCancellation {
    readiness: Readiness,
    was_ready: Mutex<Option<bool>>,
}

impl Wake for AtCancellation {
    fn wake(self: Arc<Self>) {
        *self.was_ready.lock().unwrap() = Some(self.readiness.is_ready());
    }
}

#[test]
fn readiness_turns_before_any_component_is_told_to_stop() {
    let lifecycle = Lifecycle::new();
    lifecycle.readiness().started();
    let observer = Arc::new(AtCancellation {
        readiness: lifecycle.readiness(),
        was_ready: Mutex::new(None),
    });
    let token = lifecycle.token();
    let mut told = std::pin::pin!(token.cancelled());
    let waker = observer.clone().into();
    assert!(told.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(lifecycle.readiness().is_ready());
    lifecycle.drain("test");
    assert_eq!(*observer.was_ready.lock().unwrap(), Some(false));
}

#[tokio::test]
async fn a_failing_task_drains_the_others_and_is_named_in_the_error() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("steady", until(lifecycle.token()));
    lifecycle.spawn("broken", async { Err(anyhow::anyhow!("disk on fire")) });
    let readiness = lifecycle.readiness();
    let error = lifecycle.run(BUDGET).await.unwrap_err();
    assert_eq!(
        format!("{:#}", anyhow::Error::from(error)),
        "task broken failed: disk on fire"
    );
    assert_eq!(readiness.reasons(), ["draining: task broken failed: disk on fire"]);
}

#[tokio::test]
async fn a_panic_is_a_failure_of_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn::<anyhow::Error>("fragile", async { panic!("index {}", 7) });
    let error = lifecycle.run(BUDGET).await.unwrap_err();
    assert_eq!(error.to_string(), "task fragile panicked: index 7");
}

#[tokio::test]
async fn a_task_that_ends_before_the_drain_is_a_failure_of_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn::<anyhow::Error>("quitter", async { Ok(()) });
    let error = lifecycle.run(BUDGET).await.unwrap_err();
    assert_eq!(error.to_string(), "task quitter ended before the drain began");
}

#[tokio::test(start_paused = true)]
async fn components_drain_in_parallel_and_what_exceeds_the_budget_is_named_and_aborted() {
    let lifecycle = Lifecycle::new();
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (token, ended) = (lifecycle.token(), ended.clone());
        lifecycle.spawn::<anyhow::Error>("slow", async move {
            token.cancelled().await;
            tokio::time::sleep(BUDGET - Duration::from_secs(1)).await;
            ended.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    lifecycle.spawn::<anyhow::Error>("stuck", std::future::pending());
    lifecycle.spawn_last("admin", until(lifecycle.drained()));
    lifecycle.drain("test");
    let error = lifecycle.run(BUDGET).await.unwrap_err();
    assert_eq!(error.to_string(), "not drained within 10s: stuck");
    assert_eq!(
        ended.load(Ordering::Relaxed),
        3,
        "one after the other they would not have fitted the budget"
    );
}

#[tokio::test]
async fn the_last_tasks_stop_after_every_component_has_ended() {
    let lifecycle = Lifecycle::new();
    let component_ended = Arc::new(AtomicUsize::new(0));
    let (drained, seen) = (lifecycle.drained(), component_ended.clone());
    lifecycle.spawn_last("admin", async move {
        drained.cancelled().await;
        match seen.load(Ordering::SeqCst) {
            1 => Ok(()),
            _ => Err(anyhow::anyhow!("stopped while a component was running")),
        }
    });
    let token = lifecycle.token();
    lifecycle.spawn::<anyhow::Error>("component", async move {
        token.cancelled().await;
        tokio::task::yield_now().await;
        component_ended.store(1, Ordering::SeqCst);
        Ok(())
    });
    lifecycle.drain("test");
    lifecycle.run(BUDGET).await.unwrap();
}
