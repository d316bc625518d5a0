//! What was omitted is sent again, and never over a newer state.

use std::time::Duration;

use braze_sim::Fault;
use control::{ExportJob, NewRedrive};
use export_svc::engine::EngineConfig;
use jiff::Timestamp;
use prost::Message;
use proto::export::v1::{ExportEvent, ExportLogEntry};

use super::rig::{Rig, config, job};

/// What Braze says of somebody whom it has blocked.
const BLOCKED: &str = "external_id is blacklisted";

/// Asks for what was omitted for these reasons, when so many redrives are done; the number.
pub(super) async fn redrive(rig: &Rig, job: &ExportJob, reasons: &[&str], done: u64) -> u64 {
    let new = NewRedrive {
        reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
        done,
    };
    let jobs = rig.directory.export_jobs();
    let job = jobs.redrive(rig.account, &job.id, new, None, Timestamp::now()).await;
    job.unwrap().redrive.unwrap().number
}

/// What the log says of each redrive that is done.
async fn outcomes(rig: &Rig) -> Vec<String> {
    let records = rig.read(rig.topics.export_log()).await.into_iter();
    let entries = records.map(|(_, value)| ExportLogEntry::decode(&value[..]).unwrap());
    let done = entries.filter(|entry| entry.event() == ExportEvent::Redriven);
    done.map(|entry| entry.message).collect()
}

pub(super) async fn until_outcomes(rig: &Rig, expected: &[&str]) {
    runtime::testing::until(&format!("the log says {expected:?}"), async || {
        outcomes(rig).await == expected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_a_reason_that_is_gone_arrives_and_what_was_overtaken_is_not_sent() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    for id in ["cust-1", "cust-2", "cust-3"] {
        rig.sim.refuse_object(id, BLOCKED);
    }
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    rig.enter("vip", "4", &[("email", "kim@example.org")]).await;
    engine.settled(&vip, (0, 0, 1, 3)).await;
    rig.sim.clear_faults();
    // Profile 2 has left, and another profile has said the last word on the user of profile 3.
    rig.exit("vip", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&vip, (0, 1, 1, 3)).await;
    rig.exit("vip", "33", &[("user_id", "cust-3")]).await;
    engine.settled(&vip, (0, 2, 1, 3)).await;
    let before = rig.sim.journal().len();
    let number = redrive(&rig, &vip, &[], 0).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.settled(&vip, (1, 2, 1, 3)).await;
    engine.until(&vip, |status| status.redrive == number).await;
    until_outcomes(&rig, &["1 sent again, 2 overtaken by later changes, 1 still unusable"]).await;
    rig.sim.idle().await;
    assert_eq!(rig.sim.journal().len(), before + 1, "one request, with one update");
    for id in ["cust-2", "cust-3"] {
        assert!(rig.slugs(id).is_none_or(|slugs| slugs.is_empty()), "{id}");
    }
    // Only for the reasons that are named, also for a new owner.
    engine.drain().await;
    redrive(&rig, &vip, &["no_identifier"], number).await;
    let engine = rig.start();
    until_outcomes(
        &rig,
        &[
            "1 sent again, 2 overtaken by later changes, 1 still unusable",
            "0 sent again, 0 overtaken by later changes, 1 still unusable",
        ],
    )
    .await;
    engine.settled(&vip, (1, 2, 1, 3)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_with_a_redriven_change_in_flight_sends_it_again_and_a_later_exit_has_the_last_word() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.sim.refuse_object("cust-1", BLOCKED);
    rig.sim.refuse_object("cust-2", BLOCKED);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&vip, (0, 0, 0, 2)).await;
    rig.sim.clear_faults();
    // It is taken, and takes effect long after the crash.
    let late = Duration::from_millis(500);
    rig.sim.inject(Fault::drop_after().applied_after(late).next(1));
    redrive(&rig, &vip, &[], 0).await;
    let arrivals = rig.sim.journal().len();
    rig.sim.until_arrivals(u64::try_from(arrivals + 1).unwrap()).await;
    engine.crash().await;
    rig.sim.clear_faults();
    // Profile 2 leaves before anybody is there to see it.
    rig.exit("vip", "2", &[("user_id", "cust-2")]).await;
    let engine = rig.start_with(config());
    rig.until_slugs("cust-1", &["vip"]).await;
    engine
        .until(&vip, |status| status.redrive == 1 && status.pending == 0)
        .await;
    rig.sim.idle().await;
    assert!(rig.slugs("cust-2").is_none_or(|slugs| slugs.is_empty()));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_redrives_when_it_is_resumed() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.sim.refuse_object("cust-1", BLOCKED);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (0, 0, 0, 1)).await;
    rig.sim.clear_faults();
    rig.pause(&vip).await;
    redrive(&rig, &vip, &[], 0).await;
    engine.drain().await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.lag.is_some()).await;
    assert_eq!(status.redrive, 0);
    rig.resume(&vip).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine
        .until(&vip, |status| status.redrive == 1 && status.pending == 0)
        .await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_comes_while_an_enter_waits_to_be_sent_again_has_the_last_word() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        pending_max: 16,
        ..config()
    });
    let (vip, news) = (rig.create(job("vip")).await, rig.create(job("news")).await);
    engine.until(&news, |_| true).await;
    rig.sim.refuse_object("cust-1", BLOCKED);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (0, 0, 0, 1)).await;
    rig.sim.clear_faults();
    // As much is pending as leaves no room for what is to be sent again.
    rig.sim.inject(Fault::hold());
    for number in 10..18 {
        let (profile, id) = (number.to_string(), format!("cust-{number}"));
        rig.enter("news", &profile, &[("user_id", &id)]).await;
    }
    engine.until(&news, |status| status.pending == 8).await;
    redrive(&rig, &vip, &[], 0).await;
    engine.until(&vip, |status| status.pending == 1).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    engine.until(&vip, |status| status.pending == 2).await;
    rig.sim.clear_faults();
    until_outcomes(&rig, &["0 sent again, 1 overtaken by later changes, 0 still unusable"]).await;
    engine.settled(&vip, (0, 1, 0, 1)).await;
    rig.sim.idle().await;
    assert!(rig.slugs("cust-1").is_none_or(|slugs| slugs.is_empty()));
    engine.drain().await;
}
