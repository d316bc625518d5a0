//! How the engine keeps to its bounds: to Braze's rate limit, learnt from the headers, and after a 429 in both of its forms; to what may
//! be in flight, must wait, or be kept.

use std::time::Duration;

use braze_sim::{Burst, Fault, JournalEntry, RateHeaders, RateLimits};
use control::NewExportJob;
use export_svc::engine::{EngineConfig, JobStatus};
use kafka::testing::InProcessBroker;
use prost::Message;
use proto::export::v1::WorkspaceProgress;

use super::rig::{Rig, config, job};

/// A rig whose Braze takes `requests` in three seconds, and a job whose requests hold one update each.
async fn limited(requests: u64, rate_headers: RateHeaders) -> (Rig, NewExportJob) {
    let rig = Rig::new().await;
    rig.sim.change_settings(|settings| {
        settings.rate_headers = rate_headers;
        settings.track_limits = RateLimits {
            per_hour: None,
            burst: Some(Burst::new(requests, Duration::from_secs(3))),
        };
    });
    (rig, one_each())
}

/// A job whose requests hold one update each.
fn one_each() -> NewExportJob {
    NewExportJob {
        batch_updates_max: 1,
        ..job("vip")
    }
}

/// Requests are not bounded in time.
fn fast() -> EngineConfig {
    EngineConfig {
        requests_per_second: Some(1_000.0),
        ..config()
    }
}

async fn enter_all(rig: &Rig, users: u64) {
    for number in 0..users {
        rig.enter("vip", &number.to_string(), &[("user_id", &format!("cust-{number}"))])
            .await;
    }
}

fn refused(rig: &Rig) -> usize {
    rig.sim
        .journal()
        .iter()
        .filter(|entry| entry.status == Some(429))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_sent_without_a_429_because_the_limit_is_learnt() {
    for rate_headers in [RateHeaders::Classic, RateHeaders::Mau] {
        let (rig, new) = limited(60, rate_headers).await;
        let engine = rig.start();
        let vip = rig.create(new).await;
        enter_all(&rig, 65).await;
        engine.settled(&vip, (65, 0, 0, 0)).await;
        assert_eq!(refused(&rig), 0, "{rate_headers:?}");
        engine.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_429_of_either_form_nothing_is_sent_until_braze_says() {
    for rate_headers in [RateHeaders::Classic, RateHeaders::Mau] {
        let (rig, new) = limited(5, rate_headers).await;
        // As if somebody else used the same limit: far more is asked for than there is.
        let engine = rig.start_with(EngineConfig {
            in_flight_max: 2,
            ..fast()
        });
        let vip = rig.create(new).await;
        enter_all(&rig, 12).await;
        engine.settled(&vip, (12, 0, 0, 0)).await;
        let refused = refused(&rig);
        assert!(
            (1..=6).contains(&refused),
            "{rate_headers:?}: {refused} calls were refused"
        );
        engine.drain().await;
    }
}

/// The most calls that Braze had at once.
fn at_once(rig: &Rig) -> usize {
    let calls = rig.sim.journal();
    let during = |time| {
        let open = |call: &&JournalEntry| call.arrived_at <= time && call.ended_at.is_none_or(|end| end > time);
        calls.iter().filter(open).count()
    };
    calls.iter().map(|call| during(call.arrived_at)).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_in_flight_than_may_be() {
    let rig = Rig::new().await;
    rig.sim.inject(Fault::delay(Duration::from_millis(50)));
    let engine = rig.start_with(EngineConfig {
        in_flight_max: 3,
        ..fast()
    });
    let vip = rig.create(one_each()).await;
    enter_all(&rig, 30).await;
    engine.settled(&vip, (30, 0, 0, 0)).await;
    assert_eq!(at_once(&rig), 3);
    engine.drain().await;
}

/// Each update that Braze has accepted is remembered, for the profile and for the user, until its opposite may be sent.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_starts_before_there_is_room_for_what_must_wait_after_it() {
    let rig = Rig::new().await;
    let settle_gap = Duration::from_millis(500);
    let engine = rig.start_with(EngineConfig {
        settle_gap,
        not_before_max: 8,
        ..fast()
    });
    let vip = rig.create(one_each()).await;
    enter_all(&rig, 12).await;
    engine.settled(&vip, (12, 0, 0, 0)).await;
    let calls = rig.sim.journal();
    for (earlier, later) in calls.iter().zip(calls.iter().skip(4)) {
        let waited = later.arrived_at.duration_since(earlier.arrived_at);
        assert!(
            waited.as_millis() >= 490,
            "the fifth of five calls came after {waited:?}"
        );
    }
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_starts_while_what_braze_refused_cannot_be_kept() {
    let broker = InProcessBroker::start(4, &[1234]).unwrap();
    let rig = Rig::over(broker.config(), None).await;
    let engine = rig.start_with(EngineConfig {
        in_flight_max: 2,
        ..fast()
    });
    let vip = rig.create(one_each()).await;
    broker.hide_topic(&rig.topics.export_rejected(), true).unwrap();
    for number in 0..12 {
        let too_long = "x".repeat(1_000 + number);
        rig.enter("vip", &number.to_string(), &[("user_id", &too_long)]).await;
    }
    let said = |status: &JobStatus| status.reason.contains("cannot be kept");
    engine.until(&vip, |status| said(status) && status.pending == 12).await;
    // Two that are being kept, and those that were in flight with the last of them.
    assert!(rig.sim.arrivals() <= 4, "{} calls", rig.sim.arrivals());
    broker.hide_topic(&rig.topics.export_rejected(), false).unwrap();
    engine.settled(&vip, (0, 0, 0, 12)).await;
    engine.drain().await;
}

/// Kafka takes far longer for a transaction than there is between two; a workspace that handed on another one meanwhile would fail.
#[tokio::test(flavor = "multi_thread")]
async fn progress_waits_for_the_transaction_before_it() {
    let broker = InProcessBroker::start(4, &[1234]).unwrap();
    let rig = Rig::over(broker.config(), None).await;
    let engine = rig.start_with(EngineConfig {
        lease: Duration::from_secs(10),
        restart_after: Duration::from_secs(3_600),
        ..fast()
    });
    let vip = rig.create(one_each()).await;
    engine.until(&vip, |_| true).await;
    broker.slow(Duration::from_millis(100)).unwrap();
    enter_all(&rig, 12).await;
    engine.settled(&vip, (12, 0, 0, 0)).await;
    engine.drain().await;
    let written = rig.read(rig.topics.export_progress()).await;
    let (_, last) = written.iter().rfind(|(key, ..)| key == b"1234.main").unwrap();
    assert!(WorkspaceProgress::decode(&last[..]).unwrap().released);
}
