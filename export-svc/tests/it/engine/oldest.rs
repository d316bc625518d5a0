//! The age of the oldest change that is not confirmed.

use braze_sim::Fault;
use proto::export::v1::ExportJobState;

use super::rig::{Rig, job};

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_unconfirmed_change_is_told_while_it_waits_also_of_a_paused_job_and_after_a_restart() {
    let rig = Rig::new().await;
    let begun = jiff::Timestamp::now().as_millisecond();
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |status| status.lag == Some(0)).await;
    rig.sim.inject(Fault::hold());
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    let status = engine.until(&vip, |status| status.oldest.is_some()).await;
    let oldest = status.oldest.unwrap().as_millis();
    assert!((begun..=jiff::Timestamp::now().as_millisecond()).contains(&oldest));
    rig.sim.clear_faults();
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.until(&vip, |status| status.oldest.is_none()).await;
    // Nobody reads for it, and something comes.
    rig.pause(&vip).await;
    engine
        .until(&vip, |status| status.state == ExportJobState::Paused)
        .await;
    engine.drain().await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    let engine = rig.start();
    engine.until(&vip, |status| status.oldest.is_some()).await;
    rig.resume(&vip).await;
    rig.until_slugs("cust-2", &["vip"]).await;
    engine.until(&vip, |status| status.oldest.is_none()).await;
    engine.drain().await;
}
