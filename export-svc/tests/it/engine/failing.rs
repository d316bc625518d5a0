//! Jobs that meet nothing but errors: they sleep, fail after a while, and go on when they are bounced.

use std::time::Duration;

use braze_sim::{Fault, Key};
use export_svc::engine::{EngineConfig, JobStatus};
use proto::export::v1::ExportJobState;

use super::rig::{KEY, Rig, config, job};

fn state(wanted: ExportJobState) -> impl Fn(&JobStatus) -> bool {
    move |status| status.state == wanted
}

/// Gives up soon.
fn impatient() -> EngineConfig {
    EngineConfig {
        probe_after: Duration::from_millis(50),
        sleep_max: Duration::from_millis(100),
        fail_after: Duration::from_millis(500),
        // So that errors are consecutive on a slow machine, too.
        request_timeout: Duration::from_secs(30),
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_meets_only_errors_fails_sends_nothing_and_goes_on_where_it_was_when_it_is_bounced() {
    for key_refused in [false, true] {
        let rig = Rig::new().await;
        let engine = rig.start_with(impatient());
        let vip = rig.create(job("vip")).await;
        engine.until(&vip, |_| true).await;
        if key_refused {
            rig.sim.reject_key(KEY);
        } else {
            rig.sim.inject(Fault::status(503));
        }
        rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
        let reason = engine.until(&vip, state(ExportJobState::Failed)).await.reason;
        assert!(reason.contains(if key_refused { "401" } else { "503" }), "{reason}");
        assert!(reason.contains("jobs bounce"), "{reason}");
        rig.sim.clear_faults();
        rig.sim.put_key(Key::new(KEY));
        engine.drain().await;
        // Braze is well again, and whoever serves the job knows that it has failed.
        let engine = rig.start();
        engine.until(&vip, state(ExportJobState::Failed)).await;
        let news = rig.create(job("news")).await;
        engine.until(&news, |_| true).await;
        rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
        rig.enter("news", "3", &[("user_id", "cust-3")]).await;
        engine.settled(&news, (1, 0, 0, 0)).await;
        rig.sim.idle().await;
        assert_eq!((rig.slugs("cust-1"), rig.slugs("cust-2")), (None, None));
        rig.bounce(&vip).await;
        engine.settled(&vip, (2, 0, 0, 0)).await;
        engine.until(&vip, state(ExportJobState::Runnable)).await;
        rig.until_slugs("cust-1", &["vip"]).await;
        rig.until_slugs("cust-2", &["vip"]).await;
        engine.drain().await;
        // It has been bounced once and for all. What was written down before is told, too, while progress is read.
        let engine = rig.start();
        let bounced = |status: &JobStatus| status.state == ExportJobState::Runnable && status.bounces == 1;
        engine.until(&vip, bounced).await;
        engine.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_sleeps_while_braze_is_away_and_a_bounce_tries_at_once() {
    let rig = Rig::new().await;
    // Nobody tries again by himself.
    let hour = Duration::from_secs(3_600);
    let engine = rig.start_with(EngineConfig {
        backoff_min: hour,
        backoff_max: hour,
        sleep_max: hour,
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.sim.inject(Fault::status(503));
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    let reason = engine.until(&vip, state(ExportJobState::Sleeping)).await.reason;
    assert!(reason.contains("503"), "{reason}");
    rig.sim.clear_faults();
    rig.bounce(&vip).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.until(&vip, state(ExportJobState::Runnable)).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.drain().await;
}
