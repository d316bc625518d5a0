//! What people do with a job that exists: pause, resume, reset, delete and create anew, a new key.

use std::time::Duration;

use braze_sim::{Fault, Key};
use control::{Coalesce, NewExportJob};
use export_svc::engine::{EngineConfig, JobStatus};
use proto::export::v1::{ExportJobState, RejectedChange};

use super::rig::{KEY, Rig, config, job};

fn state(wanted: ExportJobState) -> impl Fn(&JobStatus) -> bool {
    move |status| status.state == wanted
}

/// Everything is settled, and that is so many changes in all.
fn settled(changes: u64) -> impl Fn(&JobStatus) -> bool {
    move |status| {
        let counters = status.counters;
        status.pending == 0 && counters.added + counters.removed + counters.omitted == changes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_reads_and_sends_nothing_and_goes_on_with_the_last_word_also_after_a_restart() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let (vip, news) = (rig.create(job("vip")).await, rig.create(job("news")).await);
    engine.until(&news, |_| true).await;
    rig.sim.inject(Fault::hold());
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.sim.until_held(1).await;
    // It waits for the enter, which is in flight.
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    engine.until(&vip, |status| status.pending == 2).await;
    rig.pause(&vip).await;
    engine.until(&vip, state(ExportJobState::Paused)).await;
    rig.sim.clear_faults();
    engine
        .until(&vip, |status| status.counters.added == 1 && status.pending == 1)
        .await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.drain().await;

    let engine = rig.start();
    engine.until(&vip, state(ExportJobState::Paused)).await;
    rig.enter("news", "4", &[("user_id", "cust-4")]).await;
    engine.settled(&news, (2, 0, 0, 0)).await;
    let paused = engine.until(&vip, state(ExportJobState::Paused)).await;
    assert_eq!((paused.pending, paused.counters.added), (1, 1), "{paused:?}");
    rig.sim.idle().await;
    assert_eq!(
        (rig.slugs("cust-1"), rig.slugs("cust-2")),
        (Some(vec!["vip".to_owned()]), None),
        "only what was in flight"
    );
    rig.resume(&vip).await;
    engine.settled(&vip, (2, 1, 0, 0)).await;
    engine.until(&vip, state(ExportJobState::Runnable)).await;
    rig.until_slugs("cust-1", &[]).await;
    rig.until_slugs("cust-2", &["vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_used_at_once_by_jobs_that_slept_because_of_the_old_one() {
    let rig = Rig::new().await;
    // Nobody asks whether the old one is good again.
    let engine = rig.start_with(EngineConfig {
        probe_after: Duration::from_secs(3_600),
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.sim.reject_key(KEY);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.until(&vip, state(ExportJobState::Sleeping)).await;
    rig.sim.put_key(Key::new("another-key"));
    rig.rotate_key("another-key").await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.until(&vip, state(ExportJobState::Runnable)).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_to_the_beginning_sends_the_last_words_again_once_whatever_dies_meanwhile() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.exit("vip", "2", &[("user_id", "cust-2")]).await;
    engine.until(&vip, settled(3)).await;
    engine.drain().await;
    // Braze has lost them all, and the reset waits for an engine.
    rig.sim.idle().await;
    rig.sim.forget_users();
    rig.reset_to_beginning(&vip).await;
    rig.sim.inject(Fault::hold());
    let engine = rig.start();
    rig.sim.until_held(1).await;
    engine.crash().await;
    rig.sim.clear_faults();
    // Whether or not it was written down that the reset has begun, it is carried out, and once.
    let engine = rig.start();
    let status = engine.until(&vip, settled(6)).await;
    assert_eq!(status.reset, 1);
    rig.until_slugs("cust-1", &["vip"]).await;
    rig.sim.idle().await;
    assert!(
        rig.slugs("cust-2").is_none_or(|slugs| slugs.is_empty()),
        "the last word was exit"
    );
    engine.drain().await;
    let engine = rig.start();
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    rig.until_slugs("cust-3", &["vip"]).await;
    engine.until(&vip, settled(7)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_with_changes_in_flight_leaves_nobody_with_what_was_overtaken() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    for (round, id) in [(1, "cust-1"), (2, "cust-2")] {
        rig.sim.inject(Fault::hold());
        rig.enter("vip", id, &[("user_id", id)]).await;
        rig.sim.until_held(1).await;
        rig.exit("vip", id, &[("user_id", id)]).await;
        engine.until(&vip, |status| status.pending == 2).await;
        if round == 1 {
            rig.reset_to_beginning(&vip).await;
        } else {
            // What waits is left out, and what is in flight ends as usual.
            let end = rig.ends(rig.topics.audience_membership(1234)).await;
            rig.reset(&vip, end).await;
        }
        engine.until(&vip, |status| status.reset == round).await;
        rig.sim.clear_faults();
        if round == 2 {
            rig.until_slugs(id, &["vip"]).await;
            // Whatever was still to be sent of the others would be there by the time of these two.
            rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
            rig.until_slugs("cust-3", &["vip"]).await;
            rig.exit("vip", "3", &[("user_id", "cust-3")]).await;
            rig.until_slugs("cust-3", &[]).await;
            assert_eq!(rig.slugs(id), Some(vec!["vip".to_owned()]));
            rig.exit("vip", id, &[("user_id", id)]).await;
        }
        rig.until_slugs(id, &[]).await;
        engine.until(&vip, |status| status.pending == 0).await;
    }
    assert_eq!(rig.sim.order().overlapping, 0);
    engine.drain().await;
}

/// The exit that is in flight is handed again because of the reset; when that call ends, the exit that is still to come, behind
/// the enter, is not done with.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_before_a_reset_settles_nothing_of_what_is_sent_again() {
    let rig = Rig::new().await;
    let slow = EngineConfig {
        settle_gap: Duration::from_secs(2),
        ..config()
    };
    let engine = rig.start_with(slow);
    let vip = rig
        .create(NewExportJob {
            coalesce: Coalesce::EveryEdge,
            ..job("vip")
        })
        .await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.until(&vip, settled(1)).await;
    rig.sim.inject(Fault::hold().next(1));
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    rig.sim.until_held(1).await;
    rig.reset_to_beginning(&vip).await;
    engine
        .until(&vip, |status| status.reset == 1 && status.pending == 2)
        .await;
    rig.sim.release();
    rig.until_slugs("cust-1", &[]).await;
    // The enter has been sent again, the exit has not.
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.until(&vip, |status| status.counters.added == 2).await;
    engine.crash().await;
    let engine = rig.start();
    rig.until_slugs("cust-1", &[]).await;
    engine.drain().await;
}

/// The call that is in flight is refused, and so is the one that sends its change again, handed once more meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_across_a_pause_or_a_reset_is_kept_twice_from_the_same_place_and_counted_once() {
    for reset in [false, true] {
        let rig = Rig::new().await;
        // The call that is held does not end before it is released.
        let engine = rig.start_with(EngineConfig {
            request_timeout: Duration::from_secs(60),
            ..config()
        });
        let vip = rig.create(job("vip")).await;
        engine.until(&vip, |_| true).await;
        rig.sim.inject(Fault::hold().next(1));
        rig.enter("vip", "0", &[("user_id", &"x".repeat(1_000))]).await;
        rig.sim.until_held(1).await;
        if reset {
            rig.reset_to_beginning(&vip).await;
            engine.until(&vip, |status| status.reset == 1).await;
        } else {
            rig.pause(&vip).await;
            engine.until(&vip, state(ExportJobState::Paused)).await;
            rig.resume(&vip).await;
        }
        // One at least is in the same partition: it is handed on after what is handed again.
        let others: Vec<_> = (1..=20).map(|number| format!("cust-{number}")).collect();
        for id in &others {
            rig.enter("vip", id, &[("user_id", id)]).await;
        }
        for id in &others {
            rig.until_slugs(id, &["vip"]).await;
        }
        rig.sim.release();
        engine.drain().await;
        let place = |rejected: RejectedChange| (rejected.job, rejected.topic, rejected.partition, rejected.offset);
        let places: Vec<_> = rig.rejected().await.into_iter().map(place).collect();
        assert_eq!(places.len(), 2, "reset: {reset}");
        assert_eq!(places[0], places[1], "reset: {reset}");
        let engine = rig.start();
        engine.settled(&vip, (20, 0, 0, 1)).await;
        engine.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_predecessor_may_have_sent_is_left_out_only_when_it_cannot_take_effect_any_more() {
    let rig = Rig::new().await;
    let (vip, patient) = rig.crash_before_the_enter_takes_effect().await;
    let end = rig.ends(rig.topics.audience_membership(1234)).await;
    rig.reset(&vip, end).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    let engine = rig.start_with(patient);
    engine
        .until(&vip, |status| status.reset == 1 && status.counters.removed == 1)
        .await;
    rig.sim.idle().await;
    assert!(rig.slugs("cust-1").is_none_or(|slugs| slugs.is_empty()));
    engine.drain().await;
}

/// The first job has an enter in flight that takes effect long after the crash; the second one knows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_follows_a_deleted_one_after_a_crash_waits_for_what_that_one_had_in_flight() {
    let rig = Rig::new().await;
    let (first, patient) = rig.crash_before_the_enter_takes_effect().await;
    let jobs = rig.directory.export_jobs();
    jobs.delete(rig.account, &first.id, None).await.unwrap();
    let second = rig.create(job("vip")).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    let engine = rig.start_with(patient);
    engine.settled(&second, (0, 1, 0, 0)).await;
    rig.sim.idle().await;
    assert!(rig.slugs("cust-1").is_none_or(|slugs| slugs.is_empty()));
    engine.drain().await;
}

/// The enter has been compacted away when the exit is read, which took its place.
#[tokio::test(flavor = "multi_thread")]
async fn an_exit_waits_for_what_a_predecessor_may_have_sent_of_an_enter_that_it_has_replaced() {
    let name = "an_exit_waits_for_what_a_predecessor_may_have_sent_of_an_enter_that_it_has_replaced";
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let rig = Rig::new().await;
    let topic = rig.topics.audience_membership(1234);
    // Compacted as soon as the broker comes to it.
    let compacted = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "0")];
    kafka::testing::configure(&rig.kafka, &topic, &compacted).await.unwrap();
    let (vip, patient) = rig.crash_before_the_enter_takes_effect().await;
    let replaced = rig.ends(topic).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    rig.move_to(&vip, replaced).await;
    let engine = rig.start_with(patient);
    engine.settled(&vip, (0, 1, 0, 0)).await;
    rig.sim.idle().await;
    assert!(rig.slugs("cust-1").is_none_or(|slugs| slugs.is_empty()));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_go_on_where_it_is_goes_on_after_a_reset() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
    rig.move_beyond(&vip).await;
    let engine = rig.start();
    let status = engine.until(&vip, state(ExportJobState::Fault)).await;
    assert!(status.reason.contains("jobs reset"), "{}", status.reason);
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.reset_to_beginning(&vip).await;
    engine.until(&vip, state(ExportJobState::Runnable)).await;
    rig.until_slugs("cust-2", &["vip"]).await;
    engine.settled(&vip, (2, 0, 0, 0)).await;
    engine.drain().await;
}
