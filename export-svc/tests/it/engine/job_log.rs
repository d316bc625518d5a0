//! What is observed of a job is in its log.

use control::ExportJob;
use prost::Message;
use proto::export::v1::{ExportEvent, ExportJobState, ExportLogEntry};

use super::rig::{KEY, Rig, job};

async fn log(rig: &Rig, job: &ExportJob) -> Vec<ExportLogEntry> {
    let records = rig.read(rig.topics.export_log()).await.into_iter();
    let of_job = records.filter(|(key, _)| key == job.name().as_bytes());
    of_job
        .map(|(_, value)| ExportLogEntry::decode(&value[..]).unwrap())
        .collect()
}

/// Waits until the log of a job says this and no more.
async fn until_log(rig: &Rig, job: &ExportJob, expected: &[ExportEvent]) -> Vec<ExportLogEntry> {
    runtime::testing::until(&format!("the log says {expected:?}"), async || {
        let said: Vec<_> = log(rig, job).await.iter().map(ExportLogEntry::event).collect();
        said == expected
    })
    .await;
    log(rig, job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_starts_catches_up_sleeps_and_goes_on_says_so_and_a_successor_says_nothing_twice() {
    use ExportEvent::{Sleeping, Started, Synced};
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    until_log(&rig, &vip, &[Started, Synced]).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.sim.reject_key(KEY);
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    engine
        .until(&vip, |status| status.state == ExportJobState::Sleeping)
        .await;
    let said = until_log(&rig, &vip, &[Started, Synced, Sleeping]).await;
    let sleeping = said.last().unwrap();
    assert!(sleeping.message.contains("refuses the authorization"), "{sleeping:?}");
    assert_eq!(sleeping.counters.unwrap().added, 1, "as it was by then");
    assert!(sleeping.time.is_some() && sleeping.token.is_empty());
    engine.drain().await;
    // The next owner finds it asleep, and nothing new in that.
    let engine = rig.start();
    engine
        .until(&vip, |status| status.state == ExportJobState::Sleeping)
        .await;
    rig.sim.put_key(braze_sim::Key::new(KEY));
    engine.settled(&vip, (2, 0, 0, 0)).await;
    until_log(&rig, &vip, &[Started, Synced, Sleeping, Started, Synced]).await;
    engine.drain().await;
}
