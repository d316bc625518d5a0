//! Guards: a job pauses itself before too many members of an audience are removed.

use std::ops::Range;

use braze_sim::Fault;
use control::{AudienceEvents, ExportJob, NewExportJob};
use export_svc::engine::JobStatus;
use futures::future::join_all;
use jiff::Timestamp;
use proto::export::v1::ExportJobState;

use super::rig::{Rig, job};

/// A job with a guard, of an audience and its members.
fn guarded_job(audience: &str) -> NewExportJob {
    NewExportJob {
        existing_users: true,
        guard_percent: 20,
        ..job(audience)
    }
}

/// Users are called as their profiles.
async fn enter(rig: &Rig, audience: &str, profiles: Range<u32>) {
    let names: Vec<_> = profiles.map(|profile| profile.to_string()).collect();
    let enters = names
        .iter()
        .map(async |name| rig.enter(audience, name, &[("user_id", name)]).await);
    join_all(enters).await;
}

async fn exit(rig: &Rig, audience: &str, profiles: Range<u32>) {
    let names: Vec<_> = profiles.map(|profile| profile.to_string()).collect();
    let exits = names
        .iter()
        .map(async |name| rig.exit(audience, name, &[("user_id", name)]).await);
    join_all(exits).await;
}

async fn confirm(rig: &Rig, job: &ExportJob) {
    let jobs = rig.directory.export_jobs();
    jobs.confirm(rig.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
}

fn is_guarded(status: &JobStatus) -> bool {
    status.guarded && status.state == ExportJobState::Paused
}

/// How many users have the slug.
fn members(rig: &Rig, audience: &str) -> usize {
    let users = rig.sim.users("default");
    users
        .iter()
        .filter(|user| user.array("lytics_segments").contains(&audience))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_pauses_itself_before_more_than_its_share_of_the_members_is_removed_until_somebody_confirms() {
    let rig = Rig::new().await;
    let engine = rig.start();
    enter(&rig, "vip", 0..400).await;
    let vip = rig.create(guarded_job("vip")).await;
    let news = rig.create(guarded_job("news")).await;
    engine.settled(&vip, (400, 0, 0, 0)).await;
    exit(&rig, "vip", 0..200).await;
    let status = engine.until(&vip, is_guarded).await;
    for told in [
        "audience vip had 400 members",
        "80 of them have left",
        "20 %",
        "jobs resume --confirm",
    ] {
        assert!(status.reason.contains(told), "{told}: {}", status.reason);
    }
    // Others go on, also after a crash, and whoever takes over holds what was held.
    enter(&rig, "news", 0..1).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.crash().await;
    let engine = rig.start();
    engine.until(&vip, is_guarded).await;
    enter(&rig, "news", 1..2).await;
    engine.settled(&news, (2, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert!(members(&rig, "vip") >= 320, "{}", members(&rig, "vip"));
    // All that have left by now are confirmed at once, and those who leave from now on are not.
    confirm(&rig, &vip).await;
    let all = engine.until(&vip, |status| status.counters.removed == 200).await;
    assert_eq!(
        (all.state, all.guarded, all.confirms),
        (ExportJobState::Runnable, false, 1)
    );
    rig.sim.idle().await;
    assert_eq!(members(&rig, "vip"), 200);
    exit(&rig, "vip", 200..300).await;
    let status = engine.until(&vip, is_guarded).await;
    assert!(
        status.reason.contains("200 members an hour ago, 40 of"),
        "{}",
        status.reason
    );
    rig.sim.idle().await;
    assert!(members(&rig, "vip") >= 160, "{}", members(&rig, "vip"));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_within_the_hour_is_known_to_whoever_takes_over() {
    let rig = Rig::new().await;
    let engine = rig.start();
    enter(&rig, "vip", 0..150).await;
    let vip = rig.create(guarded_job("vip")).await;
    engine.settled(&vip, (150, 0, 0, 0)).await;
    exit(&rig, "vip", 0..25).await;
    engine.until(&vip, |status| status.counters.removed == 25).await;
    engine.drain().await;
    let engine = rig.start();
    exit(&rig, "vip", 25..50).await;
    let status = engine.until(&vip, is_guarded).await;
    assert!(
        status.reason.contains("150 members an hour ago, 30 of"),
        "{}",
        status.reason
    );
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_is_read_again_has_left_once() {
    let rig = Rig::new().await;
    let engine = rig.start();
    enter(&rig, "vip", 0..150).await;
    let vip = rig.create(guarded_job("vip")).await;
    engine.settled(&vip, (150, 0, 0, 0)).await;
    rig.sim.inject(Fault::status(503));
    exit(&rig, "vip", 0..19).await;
    engine.until(&vip, |status| status.pending == 19).await;
    rig.pause(&vip).await;
    engine
        .until(&vip, |status| status.state == ExportJobState::Paused)
        .await;
    rig.sim.clear_faults();
    rig.resume(&vip).await;
    // 29 of 150, of whom 19 were handed on twice.
    exit(&rig, "vip", 19..29).await;
    engine.settled(&vip, (150, 29, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_the_job_and_what_is_not_sent_is_none_of_the_guards_business() {
    let rig = Rig::new().await;
    let engine = rig.start();
    // The audience is not new to Braze, so that no exit is needless.
    let first = rig.create(guarded_job("vip")).await;
    let jobs = rig.directory.export_jobs();
    jobs.delete(rig.account, &first.id, None).await.unwrap();
    enter(&rig, "vip", 0..150).await;
    exit(&rig, "vip", 150..250).await;
    let vip = rig.create(guarded_job("vip")).await;
    engine.settled(&vip, (150, 100, 0, 0)).await;
    // Nor what somebody wants to be sent again.
    rig.reset_to_beginning(&vip).await;
    engine.settled(&vip, (300, 200, 0, 0)).await;
    enter(&rig, "news", 0..150).await;
    let enters = NewExportJob {
        events: AudienceEvents::Enters,
        ..guarded_job("news")
    };
    let news = rig.create(enters).await;
    exit(&rig, "news", 0..100).await;
    engine.settled(&news, (150, 0, 100, 0)).await;
    engine.drain().await;
}
