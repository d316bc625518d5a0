//! What the engine does when it is killed, drained, refused, or left without an answer.

use std::time::Duration;

use braze_sim::{Fault, Key};
use control::NewExportJob;
use export_svc::engine::EngineConfig;
use kafka::testing::InProcessBroker;
use prost::Message;
use proto::export::v1::{ExportJobState, WorkspaceProgress};

use super::rig::{KEY, Rig, config, job};

/// Writes progress before the first request, and then not for a while. Its successor waits for its lease.
fn forgetful() -> EngineConfig {
    EngineConfig {
        progress_every: Duration::from_secs(8),
        lease: Duration::from_secs(9),
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enter_that_was_accepted_but_not_written_down_is_undone_by_a_later_exit() {
    let rig = Rig::new().await;
    let engine = rig.start_with(forgetful());
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.crash().await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    let engine = rig.start();
    engine.settled(&vip, (0, 1, 1, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1"), Some(vec![]));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_with_a_call_in_flight_loses_nothing_and_counts_everything_once() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(10),
            ..job("vip")
        })
        .await;
    let enter = async |number: u32| {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    };
    for number in 0..20 {
        enter(number).await;
    }
    engine.settled(&vip, (20, 0, 0, 0)).await;
    rig.sim.inject(Fault::hold());
    for number in 20..40 {
        enter(number).await;
    }
    rig.sim.until_held(1).await;
    engine.crash().await;
    rig.sim.clear_faults();
    for number in 40..60 {
        enter(number).await;
    }
    let engine = rig.start();
    engine.settled(&vip, (60, 0, 0, 0)).await;
    rig.sim.until(|sim| sim.users("default").len() == 60).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_the_open_batch_and_the_call_in_flight_and_the_next_start_sends_nothing_again() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            batch_updates_max: 2,
            flush_after: Duration::from_secs(300),
            ..job("vip")
        })
        .await;
    engine.until(&vip, |_| true).await;
    rig.sim.inject(Fault::hold());
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.sim.until_held(1).await;
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    engine.until(&vip, |status| status.pending == 3).await;
    engine.begin_drain();
    rig.sim.until_held(2).await;
    rig.sim.clear_faults();
    engine.drain().await;
    assert_eq!(rig.objects(), [2, 1]);

    let engine = rig.start();
    rig.enter("vip", "4", &[("user_id", "cust-4")]).await;
    rig.enter("vip", "5", &[("user_id", "cust-5")]).await;
    engine.settled(&vip, (5, 0, 0, 0)).await;
    engine.drain().await;
    assert_eq!(rig.objects(), [2, 1, 2], "the clean restart sent only what was new");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opposite_of_what_was_sent_before_a_clean_restart_still_waits() {
    let rig = Rig::new().await;
    let slow = EngineConfig {
        settle_gap: Duration::from_secs(2),
        doubt: Duration::from_secs(2),
        ..config()
    };
    let slow = EngineConfig {
        lease: Duration::from_secs(2),
        ..slow
    };
    let engine = rig.start_with(slow.clone());
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    let answered = rig.sim.journal()[0].ended_at.unwrap();
    engine.drain().await;
    let engine = rig.start_with(slow);
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 1, 0, 0)).await;
    let waited = rig.sim.journal()[1].arrived_at.duration_since(answered);
    assert!(waited.as_millis() >= 1_990, "{waited:?}");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_refused_key_sleep_and_lose_nothing_when_it_works_again() {
    let rig = Rig::new().await;
    rig.sim.reject_key(KEY);
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    for number in 0..10 {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    }
    let status = engine
        .until(&vip, |status| status.state == ExportJobState::Sleeping)
        .await;
    assert!(status.reason.contains("401"), "{}", status.reason);
    assert!(!status.reason.contains(KEY), "the key is not shown: {}", status.reason);
    let refused = rig.sim.arrivals();
    rig.sim.until_arrivals(refused + 1).await;
    rig.sim.put_key(Key::new(KEY));
    let status = engine.until(&vip, |status| status.counters.added == 10).await;
    assert_eq!((status.state, status.counters.rejected), (ExportJobState::Runnable, 0));
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), 10);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_is_repeated_and_its_opposite_waits_out_the_doubt() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    // Answered with a reset, and applied late: after the retry that Braze accepts at once.
    rig.sim
        .inject(Fault::drop_after().applied_after(Duration::from_millis(500)).next(1));
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 1, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(
        rig.slugs("cust-1"),
        Some(vec![]),
        "the late call did not have the last word"
    );
    let journal = rig.sim.journal();
    assert_eq!(journal.len(), 3);
    let waited = journal[2].arrived_at.duration_since(journal[0].ended_at.unwrap());
    assert!(waited.as_millis() >= 590, "{waited:?}");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_or_limiting_braze_is_asked_again_until_it_takes_everything() {
    let rig = Rig::new().await;
    for status in [429, 500, 503] {
        rig.sim.inject(Fault::status(status).next(1));
    }
    rig.sim.inject(Fault::drop_before().next(1));
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    assert_eq!(rig.sim.arrivals(), 5);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_refused_in_unknown_words_is_given_up_after_a_few_calls_and_the_others_arrive() {
    let rig = Rig::new().await;
    rig.sim.refuse_object("cust-3", "no such luck");
    let engine = rig.start_with(EngineConfig {
        backoff_max: Duration::from_millis(200),
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    for number in 0..10 {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    }
    engine.settled(&vip, (9, 0, 0, 1)).await;
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), 9);
    assert!(rig.sim.arrivals() <= 15, "{} calls", rig.sim.arrivals());
    let [rejected] = rig.rejected().await.try_into().unwrap();
    assert_eq!(
        (rejected.braze_message.as_str(), rejected.attempts),
        ("no such luck", 5)
    );
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_braze_that_takes_fewer_updates_gets_fewer() {
    let rig = Rig::new().await;
    rig.sim.change_settings(|settings| settings.objects.max = 20);
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(500),
            ..job("vip")
        })
        .await;
    for number in 0..75 {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    }
    engine.settled(&vip, (75, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), 75);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_fenced_stops_and_says_why_and_takes_over_anew_if_the_slot_is_still_its_own() {
    let name = "whoever_is_fenced_stops_and_says_why_and_takes_over_anew_if_the_slot_is_still_its_own";
    let Some(kafka) = kafka::testing::real_only(name) else {
        return;
    };
    kafka::topics::ensure(&kafka, &[1234]).await.unwrap();
    let rig = Rig::over(kafka.clone(), None).await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    let fence = move || kafka::TransactionalWriter::init(&kafka, "export-1234.main", Duration::from_secs(10)).map(drop);
    tokio::task::spawn_blocking(fence).await.unwrap().unwrap();
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(status.reason.contains("taken over"), "{}", status.reason);
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_progress_is_written_once_more_if_kafka_aborted_it() {
    let broker = InProcessBroker::start(4, &[1234]).unwrap();
    let rig = Rig::over(broker.config(), None).await;
    // Progress is written before the first request, and then at the end only.
    let engine = rig.start_with(forgetful());
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    broker.abort_next_commit().unwrap();
    engine.drain().await;
    let written = rig.read(rig.topics.export_progress()).await;
    let (_, last) = written.iter().rfind(|(key, ..)| key == b"1234.main").unwrap();
    assert!(WorkspaceProgress::decode(&last[..]).unwrap().released);
}
