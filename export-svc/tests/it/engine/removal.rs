//! What becomes of the slugs of audiences that leave their job, or whose job is killed, if they are to be removed.

use std::time::Duration;

use braze_sim::Fault;
use control::{AudienceEvents, Error, ExportJob, ExportJobEdit, NewExportJob, Options, OptionsEdit, UserCap};
use export_svc::engine::{EngineConfig, JobStatus};
use jiff::Timestamp;
use prost::Message;
use proto::export::v1::{ExportEvent, ExportJobState, ExportLogEntry, WorkspaceProgress};

use super::rig::{Rig, Running, config, job, until};

/// The job has removed the slugs of so many audiences, and removes no others.
fn removed(audiences: usize) -> impl Fn(&JobStatus) -> bool {
    move |status| status.removals.len() == audiences && status.removals.iter().all(|removal| removal.done)
}

/// Updates of its removals that Braze has accepted.
fn updates(status: &JobStatus) -> u64 {
    status.removals.iter().map(|removal| removal.counters.removed).sum()
}

/// Waits until it is written down that the slugs of all audiences of a killed job are removed.
async fn written_down(rig: &Rig, engine: &Running, job: &ExportJob) {
    let left = || {
        let job = rig.directory.export_jobs().get(rig.account, &job.id).unwrap();
        let removed = engine.handle.removed(rig.account);
        job.still_removes(&removed).count()
    };
    until(|| left() == 0, || format!("{} audiences are still removed", left())).await;
}

fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("cust-{number}")).collect()
}

async fn enter_all(rig: &Rig, audience: &str, ids: &[String]) {
    for id in ids {
        rig.enter(audience, id, &[("user_id", id)]).await;
    }
}

/// A job of audience vip that has given its slug to these users.
async fn started(rig: &Rig, engine: &Running, new: NewExportJob, ids: &[String]) -> ExportJob {
    let vip = rig.create(new).await;
    enter_all(rig, "vip", ids).await;
    engine.settled(&vip, (ids.len() as u64, 0, 0, 0)).await;
    vip
}

async fn set_options(rig: &Rig, job: &ExportJob, options: OptionsEdit) {
    let edit = ExportJobEdit {
        options,
        ..ExportJobEdit::default()
    };
    let jobs = rig.directory.export_jobs();
    let edited = jobs.update(rig.account, &job.id, edit, None, Timestamp::now());
    edited.await.unwrap();
}

/// The time of a job is over.
async fn expire(rig: &Rig, job: &ExportJob) {
    let options = OptionsEdit {
        expire_time: Some(Some(Timestamp::now())),
        ..OptionsEdit::default()
    };
    set_options(rig, job, options).await;
}

async fn until_nobody_has_it(rig: &Rig, ids: &[String]) {
    for id in ids {
        rig.until_slugs(id, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_audience_of_two_that_is_removed_with_its_slug_leaves_the_other_one() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let both = rig
        .create(NewExportJob {
            audiences: vec!["vip".to_owned(), "news".to_owned()],
            ..job("vip")
        })
        .await;
    for (audience, id) in [
        ("vip", "cust-1"),
        ("news", "cust-1"),
        ("vip", "cust-2"),
        ("vip", "cust-3"),
    ] {
        rig.enter(audience, id, &[("user_id", id)]).await;
    }
    rig.enter("vip", "nobody", &[]).await;
    engine.settled(&both, (4, 0, 1, 0)).await;
    rig.exit("vip", "cust-3", &[("user_id", "cust-3")]).await;
    engine.settled(&both, (4, 1, 1, 0)).await;
    rig.keep_audiences(&both, &["news"]).await;
    let status = engine.until(&both, removed(1)).await;
    rig.until_slugs("cust-1", &["news"]).await;
    rig.until_slugs("cust-2", &[]).await;
    assert!(
        (2..=3).contains(&updates(&status)),
        "of members, and of those who were: {status:?}"
    );
    assert_eq!(status.counters.added, 1, "what the other audience has counted");
    // Nothing of it is for the job any more, and the other goes on.
    rig.enter("vip", "cust-2", &[("user_id", "cust-2")]).await;
    rig.enter("news", "cust-4", &[("user_id", "cust-4")]).await;
    rig.until_slugs("cust-4", &["news"]).await;
    engine.drain().await;
    let engine = rig.start();
    rig.enter("news", "cust-5", &[("user_id", "cust-5")]).await;
    rig.until_slugs("cust-5", &["news"]).await;
    assert!(removed(1)(&engine.until(&both, |_| true).await), "it is not done again");
    engine.drain().await;
    rig.sim.idle().await;
    assert_eq!(
        (rig.slugs("cust-1"), rig.slugs("cust-2")),
        (Some(vec!["news".to_owned()]), Some(vec![]))
    );
    let log = rig.read(rig.topics.export_log()).await;
    let entries = log.iter().map(|(_, value)| ExportLogEntry::decode(&value[..]).unwrap());
    let ended: Vec<_> = entries
        .filter(|entry| entry.event() == ExportEvent::SlugsRemoved)
        .collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert!(
        ended[0].message.contains("vip") && ended[0].job == both.name(),
        "{ended:?}"
    );
}

/// One is in flight, one waits behind it, one has not been read, and one comes when the job is killed already.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_with_its_slugs_leaves_nobody_with_them_whatever_was_on_its_way() {
    let rig = Rig::new().await;
    // Nobody gives up what is held.
    let engine = rig.start_with(EngineConfig {
        request_timeout: Duration::from_secs(60),
        ..config()
    });
    let vip = started(&rig, &engine, job("vip"), &ids(0..3)).await;
    rig.sim.inject(Fault::hold());
    rig.enter("vip", "cust-4", &[("user_id", "cust-4")]).await;
    rig.sim.until_held(1).await;
    rig.exit("vip", "cust-4", &[("user_id", "cust-4")]).await;
    rig.enter("vip", "cust-4", &[("user_id", "cust-4")]).await;
    rig.exit("vip", "cust-2", &[("user_id", "cust-2")]).await;
    engine.until(&vip, |status| status.pending >= 3).await;
    rig.kill_and_remove(&vip).await;
    engine.until(&vip, |status| status.removals.len() == 1).await;
    rig.enter("vip", "cust-5", &[("user_id", "cust-5")]).await;
    rig.exit("vip", "cust-1", &[("user_id", "cust-1")]).await;
    rig.sim.clear_faults();
    engine.until(&vip, removed(1)).await;
    written_down(&rig, &engine, &vip).await;
    engine.drain().await;
    rig.sim.idle().await;
    for id in ["cust-0", "cust-1", "cust-2", "cust-4"] {
        assert_eq!(rig.slugs(id), Some(vec![]), "{id}");
    }
    assert_eq!(rig.slugs("cust-5"), None, "nothing is added any more");
    assert_eq!(rig.sim.order().overlapping, 0);
}

/// So few changes are in the batch at once that a drain does not send them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_goes_on_where_it_was_after_a_restart_and_after_a_crash() {
    let rig = Rig::new().await;
    let narrow = || EngineConfig {
        pending_max: 8,
        in_flight_max: 1,
        ..config()
    };
    let engine = rig.start_with(narrow());
    let slow = NewExportJob {
        batch_updates_max: 1,
        ..job("vip")
    };
    let all = ids(0..40);
    let vip = started(&rig, &engine, slow, &all).await;
    let before = rig.sim.arrivals();
    rig.sim.inject(Fault::hold());
    rig.kill_and_remove(&vip).await;
    for sent in 1..=3 {
        rig.sim.until_held(1).await;
        rig.sim.release();
        engine.until(&vip, |status| updates(status) == sent).await;
    }
    engine.begin_drain();
    rig.sim.clear_faults();
    engine.drain().await;
    let drained = rig.sim.arrivals() - before;
    assert!((3..20).contains(&drained), "{drained}");
    rig.sim.inject(Fault::hold());
    let engine = rig.start_with(narrow());
    rig.sim.until_held(1).await;
    let left = engine.until(&vip, |status| !status.removals.is_empty()).await;
    assert!(updates(&left) >= 3 && !left.removals[0].done, "{left:?}");
    engine.crash().await;
    rig.sim.clear_faults();
    let engine = rig.start_with(narrow());
    let status = engine.until(&vip, removed(1)).await;
    assert_eq!(updates(&status), 40, "each is counted once");
    until_nobody_has_it(&rig, &all).await;
    engine.drain().await;
    let arrived = rig.sim.arrivals() - before;
    assert!(arrived < 50, "it did not begin anew: {arrived} calls");
}

/// Braze takes the last enter long after its owner has died: who only looked at the log would have removed the slug before.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_what_an_owner_that_died_had_in_flight() {
    let rig = Rig::new().await;
    let (vip, patient) = rig.crash_before_the_enter_takes_effect().await;
    rig.kill_and_remove(&vip).await;
    let engine = rig.start_with(patient);
    engine.until(&vip, removed(1)).await;
    rig.until_slugs("cust-1", &[]).await;
    engine.drain().await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1"), Some(vec![]));
}

/// Accepted by Braze, and not written down: it is removed once more, and the job that comes after it is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn another_job_takes_the_audience_when_that_is_written_down_and_nobody_loses_its_slug() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let all = ids(0..4);
    let vip = started(&rig, &engine, job("vip"), &all).await;
    rig.sim.inject(Fault::hold());
    rig.kill_and_remove(&vip).await;
    rig.sim.until_held(1).await;
    let heir = || NewExportJob {
        label: "Heir".to_owned(),
        existing_users: true,
        authorization: rig.authorization.clone(),
        ..job("vip")
    };
    let create = async |engine: &Running| {
        let jobs = rig.directory.export_jobs().knowing(engine.handle.removed(rig.account));
        jobs.create(rig.account, heir(), Timestamp::now()).await
    };
    let refused = create(&engine).await.unwrap_err();
    assert!(
        matches!(&refused, Error::FailedPrecondition(text) if text.contains(&vip.name())),
        "{refused}"
    );
    rig.sim.release();
    rig.until_slugs("cust-0", &[]).await;
    engine.crash().await;
    rig.sim.clear_faults();
    let engine = rig.start();
    written_down(&rig, &engine, &vip).await;
    until_nobody_has_it(&rig, &all).await;
    let heir = create(&engine).await.unwrap();
    engine.settled(&heir, (4, 0, 0, 0)).await;
    engine.crash().await;
    let engine = rig.start();
    rig.enter("vip", "cust-9", &[("user_id", "cust-9")]).await;
    rig.until_slugs("cust-9", &["vip"]).await;
    engine.drain().await;
    rig.sim.idle().await;
    for id in &all {
        assert_eq!(rig.slugs(id), Some(vec!["vip".to_owned()]), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_cap_nor_which_events_a_job_sends_holds_what_it_removes_and_its_guard_does_not_either() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let cap = |adds_max| {
        Some(UserCap {
            adds_max,
            period: Duration::from_secs(86_400),
        })
    };
    let user_cap = cap(4);
    let capped = NewExportJob {
        audiences: vec!["vip".to_owned(), "extra".to_owned()],
        events: AudienceEvents::Enters,
        options: Options {
            user_cap,
            ..Options::default()
        },
        ..job("vip")
    };
    let guarded = NewExportJob {
        audiences: vec!["news".to_owned(), "other".to_owned()],
        guard_percent: 1,
        ..job("news")
    };
    // It never gave anybody the slug, but somebody else did.
    let exits = NewExportJob {
        label: "Exits".to_owned(),
        events: AudienceEvents::Exits,
        ..job("risk")
    };
    let risk = rig.create(job("risk")).await;
    rig.enter("risk", "1", &[("user_id", "risk")]).await;
    engine.settled(&risk, (1, 0, 0, 0)).await;
    rig.kill(&risk).await;
    let exits = rig.create(exits).await;
    rig.kill_and_remove(&exits).await;
    engine.until(&exits, removed(1)).await;
    rig.until_slugs("risk", &[]).await;
    let (capped, guarded) = (rig.create(capped).await, rig.create(guarded).await);
    let (two, hundred) = (ids(0..2), ids(100..220));
    enter_all(&rig, "vip", &two).await;
    enter_all(&rig, "extra", &ids(2..4)).await;
    engine.settled(&capped, (4, 0, 0, 0)).await;
    // What the other audience has sent is as much as there may be now.
    let lower = OptionsEdit {
        user_cap: Some(cap(2)),
        ..OptionsEdit::default()
    };
    set_options(&rig, &capped, lower).await;
    rig.enter("vip", "cust-9", &[("user_id", "cust-9")]).await;
    enter_all(&rig, "news", &hundred).await;
    engine.settled(&guarded, (120, 0, 0, 0)).await;
    for id in &hundred[..5] {
        rig.exit("news", id, &[("user_id", id)]).await;
    }
    engine.until(&guarded, |status| status.guarded).await;
    engine
        .until(&capped, |status| status.state == ExportJobState::Sleeping)
        .await;
    rig.keep_audiences(&capped, &["extra"]).await;
    rig.keep_audiences(&guarded, &["other"]).await;
    engine.until(&capped, removed(1)).await;
    engine.until(&guarded, removed(1)).await;
    until_nobody_has_it(&rig, &two).await;
    until_nobody_has_it(&rig, &hundred).await;
    assert_eq!(rig.slugs("cust-9"), None);
    engine.until(&guarded, |status| status.guarded).await;
    engine.drain().await;
}

/// A paused job removes nothing until it is resumed or killed, and a completed one does at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_what_is_removed_and_a_kill_ends_that_and_an_expiry_holds_nothing() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let both = rig
        .create(NewExportJob {
            audiences: vec!["vip".to_owned(), "news".to_owned()],
            ..job("vip")
        })
        .await;
    let short = rig.create(job("risk")).await;
    for audience in ["vip", "news", "risk"] {
        rig.enter(audience, "1", &[("user_id", audience)]).await;
    }
    engine.settled(&both, (2, 0, 0, 0)).await;
    engine.settled(&short, (1, 0, 0, 0)).await;
    expire(&rig, &short).await;
    rig.pause(&both).await;
    rig.keep_audiences(&both, &["news"]).await;
    let paused = |status: &JobStatus| {
        let vip = status.removals.first();
        vip.is_some_and(|vip| vip.unread.is_some() && vip.state == ExportJobState::Paused)
    };
    engine.until(&both, paused).await;
    engine
        .until(&short, |status| status.state == ExportJobState::Completed)
        .await;
    rig.kill_and_remove(&short).await;
    engine.until(&short, removed(1)).await;
    rig.until_slugs("risk", &[]).await;
    assert!(paused(&engine.until(&both, |_| true).await));
    rig.kill_and_remove(&both).await;
    engine.until(&both, removed(2)).await;
    until_nobody_has_it(&rig, &["vip".to_owned(), "news".to_owned()]).await;
    engine.drain().await;
}

/// One that Braze refuses for long sleeps, and lets the others of its workspace go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_is_bounced_and_stops_nobody_else() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        fail_after: Duration::from_millis(300),
        sleep_max: Duration::from_millis(300),
        ..config()
    });
    let vip = started(&rig, &engine, job("vip"), &ids(1..2)).await;
    let short = rig.create(job("risk")).await;
    rig.enter("risk", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&short, (1, 0, 0, 0)).await;
    rig.sim.inject(Fault::status(503));
    rig.kill_and_remove(&vip).await;
    rig.keep_audiences(&short, &["other"]).await;
    expire(&rig, &short).await;
    let failed = |status: &JobStatus| status.state == ExportJobState::Failed;
    engine.until(&vip, failed).await;
    engine.until(&short, failed).await;
    rig.sim.clear_faults();
    let news = rig.create(job("news")).await;
    rig.enter("news", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.until(&vip, failed).await;
    for (job, id) in [(&vip, "cust-1"), (&short, "cust-3")] {
        rig.bounce(job).await;
        engine.until(job, removed(1)).await;
        rig.until_slugs(id, &[]).await;
    }
    engine.drain().await;
}

/// Positions of the topic that was would lead astray, but it has none to go on from.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_over_holds_nobody_up_when_the_topic_is_another() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = started(&rig, &engine, job("vip"), &ids(0..1)).await;
    rig.kill_and_remove(&vip).await;
    written_down(&rig, &engine, &vip).await;
    engine.drain().await;
    let progress = rig.read(rig.topics.export_progress()).await;
    let (_, value) = progress.iter().rfind(|(key, _)| key == b"1234.main").unwrap();
    let elsewhere = WorkspaceProgress {
        topic: "another".to_owned(),
        ..WorkspaceProgress::decode(&value[..]).unwrap()
    };
    rig.write_progress("1234.main", &elsewhere).await;
    let engine = rig.start();
    let news = rig.create(job("news")).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    assert!(removed(1)(&engine.until(&vip, |_| true).await));
    engine.drain().await;
}
