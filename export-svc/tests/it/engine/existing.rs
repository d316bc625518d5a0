//! Jobs that send existing users: everybody ends as the log says, and nobody is sent a remove for what nobody gave them.

use braze_sim::Fault;
use control::NewExportJob;
use export_svc::engine::EngineConfig;

use super::rig::{Rig, config, job, until};

fn existing(audience: &str) -> NewExportJob {
    NewExportJob {
        existing_users: true,
        ..job(audience)
    }
}

/// Fields of the user that a profile is at Braze.
fn user(number: usize) -> String {
    format!("cust-{number}")
}

async fn enter(rig: &Rig, users: std::ops::Range<usize>) {
    for number in users {
        rig.enter("vip", &number.to_string(), &[("user_id", &user(number))])
            .await;
    }
}

async fn exit(rig: &Rig, users: std::ops::Range<usize>) {
    for number in users {
        rig.exit("vip", &number.to_string(), &[("user_id", &user(number))])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_below_the_start_of_users_who_never_had_the_slug_are_not_sent() {
    let rig = Rig::new().await;
    exit(&rig, 0..30).await;
    enter(&rig, 30..33).await;
    let vip = rig.create(existing("vip")).await;
    exit(&rig, 31..34).await;
    let engine = rig.start();
    rig.until_slugs("cust-30", &["vip"]).await;
    // Those after the start are sent, whoever they are of: two of the enters may be undone before they are sent.
    let settled = |status: &export_svc::engine::JobStatus| {
        let counters = status.counters;
        status.pending == 0 && counters.added + counters.removed + counters.omitted == 36
    };
    let counters = engine.until(&vip, settled).await.counters;
    assert_eq!((counters.removed, counters.rejected), (3, 0));
    assert_eq!(counters.added + counters.omitted, 33);
    // Whose enter was folded into the exit before it was sent does not exist at all.
    let slugs = |number| rig.slugs(&user(number)).unwrap_or_default();
    until(
        || (31..33).all(|number| slugs(number).is_empty()),
        || "they are out".to_owned(),
    )
    .await;
    engine.drain().await;
    assert!(rig.objects().iter().sum::<usize>() <= 6, "{:?}", rig.objects());
}

#[tokio::test(flavor = "multi_thread")]
async fn flips_before_the_start_and_an_exit_after_it_end_as_the_log_says() {
    let rig = Rig::new().await;
    enter(&rig, 0..4).await;
    exit(&rig, 0..2).await;
    enter(&rig, 0..1).await;
    rig.create(existing("vip")).await;
    exit(&rig, 2..3).await;
    let engine = rig.start();
    for (number, slugs) in [(0, &["vip"][..]), (3, &["vip"][..])] {
        rig.until_slugs(&user(number), slugs).await;
    }
    // An exit may be folded into the enter before it, and then creates nobody.
    let gone = |number| rig.slugs(&user(number)).is_none_or(|slugs| slugs.is_empty());
    until(|| gone(1) && gone(2), || "users 1 and 2 are out".to_owned()).await;
    engine.drain().await;
    assert!(gone(1) && gone(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_job_for_an_audience_that_was_exported_before_sends_the_exits() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let first = rig.create(job("vip")).await;
    engine.until(&first, |_| true).await;
    rig.directory
        .export_jobs()
        .delete(rig.account, &first.id, None)
        .await
        .unwrap();
    exit(&rig, 0..5).await;
    let second = rig.create(existing("vip")).await;
    engine.settled(&second, (0, 5, 0, 0)).await;
    engine.drain().await;
}

/// The pass stands still behind its first request, of whom some go out at the end of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_mid_pass_leaves_nobody_with_a_slug_that_was_taken_away() {
    let rig = Rig::new().await;
    enter(&rig, 0..40).await;
    enter(&rig, 40..840).await;
    exit(&rig, 0..40).await;
    let vip = rig.create(existing("vip")).await;
    let engine = rig.start_with(EngineConfig {
        requests_per_second: Some(0.001),
        pending_max: 64,
        ..config()
    });
    let tagged = || (0..40).filter(|number| rig.slugs(&user(*number)).is_some()).count();
    engine
        .until(&vip, |status| status.counters.added > 0 && status.pending >= 32)
        .await;
    let left = engine
        .until(&vip, |status| status.lag.is_some())
        .await
        .unread_before_start;
    assert!((300..880).contains(&left), "{left} of 880 records are left of the pass");
    // Braze applies what it has accepted a moment later.
    rig.sim.idle().await;
    assert!(tagged() > 0, "somebody who goes out later has the slug");
    engine.drain().await;
    let engine = rig.start();
    let all = |status: &export_svc::engine::JobStatus| {
        let counters = status.counters;
        status.pending == 0
            && status.unread_before_start == 0
            && counters.added + counters.removed + counters.omitted == 880
    };
    engine.until(&vip, all).await;
    engine.drain().await;
    rig.sim.idle().await;
    for number in 0..40 {
        let slugs = rig.slugs(&user(number)).unwrap_or_default();
        assert!(slugs.is_empty(), "{} still has {slugs:?}", user(number));
    }
    assert_eq!(rig.slugs("cust-839").as_deref(), Some(&["vip".to_owned()][..]));
}

/// Nobody keeps a slug that was taken away below the start, though the pass has handed on the enters, Braze has applied them, and
/// they are compacted away before the pass comes to the exits.
async fn compaction_in_mid_pass(name: &str, restart: bool) {
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let rig = Rig::new().await;
    enter(&rig, 0..40).await;
    enter(&rig, 40..840).await;
    exit(&rig, 0..40).await;
    let vip = rig.create(existing("vip")).await;
    // Whatever Braze applies, the pass does not know, and stands still.
    rig.sim.inject(Fault::drop_after());
    let engine = rig.start_with(EngineConfig {
        pending_max: 64,
        backoff_max: std::time::Duration::from_millis(200),
        ..config()
    });
    let tagged = || (0..40).filter(|number| rig.slugs(&user(*number)).is_some()).count();
    until(
        || tagged() > 0,
        || "somebody who goes out later has the slug".to_owned(),
    )
    .await;
    let keys: Vec<_> = (0..40).map(|number| format!("vip/{number}")).collect();
    rig.compact(&keys).await;
    let engine = if restart {
        engine.drain().await;
        rig.sim.clear_faults();
        rig.start()
    } else {
        rig.sim.clear_faults();
        engine
    };
    engine
        .until(&vip, |status| {
            status.pending == 0 && status.lag.is_some_and(|lag| lag == 0)
        })
        .await;
    engine.drain().await;
    rig.sim.idle().await;
    for number in 0..40 {
        let slugs = rig.slugs(&user(number)).unwrap_or_default();
        assert!(slugs.is_empty(), "{} still has {slugs:?}", user(number));
    }
    for number in 40..840 {
        assert_eq!(rig.slugs(&user(number)).as_deref(), Some(&["vip".to_owned()][..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_during_which_the_topic_is_compacted_leaves_nobody_with_a_slug_that_was_taken_away() {
    let name = "a_pass_during_which_the_topic_is_compacted_leaves_nobody_with_a_slug_that_was_taken_away";
    compaction_in_mid_pass(name, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_that_is_restarted_after_the_topic_was_compacted() {
    let name = "nor_does_one_that_is_restarted_after_the_topic_was_compacted";
    compaction_in_mid_pass(name, true).await;
}
