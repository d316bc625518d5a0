//! What is observed of a job is in its log.

use braze_sim::Fault;
use control::{ExportJob, NewExportJob};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_not_caught_up_before_braze_has_accepted_what_was_open_then() {
    let rig = Rig::new().await;
    let engine = rig.start();
    for profile in ["1", "2"] {
        rig.enter("vip", profile, &[("user_id", profile)]).await;
    }
    rig.sim.inject(Fault::hold());
    let existing = NewExportJob {
        existing_users: true,
        ..job("vip")
    };
    let vip = rig.create(existing).await;
    engine
        .until(&vip, |status| status.lag == Some(0) && status.pending == 2)
        .await;
    rig.sim.clear_faults();
    let synced = runtime::testing::wait_for("it has caught up", async || {
        let mut entries = log(&rig, &vip).await.into_iter();
        entries.find(|entry| entry.event() == ExportEvent::Synced)
    })
    .await;
    assert_eq!(synced.counters.unwrap().added, 2);
    engine.drain().await;
}
