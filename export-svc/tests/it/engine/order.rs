//! The order of what takes effect at Braze: the fence, the settle gap, the doubt after an unknown end, and the doubt that a new owner
//! inherits. Everything here is shown twice: with a Braze as late as the guarantee allows nobody ends wrong, and with a later one
//! somebody does, so the tests do see it.

use std::collections::HashMap;
use std::time::Duration;

use braze_sim::{Burst, Fault, RateLimits};
use control::{ExportJob, NewExportJob};
use export_svc::engine::EngineConfig;

use super::rig::{Rig, Running, config, job};

/// How far below, and how far beyond, its allowance the simulator is late. The more time a machine takes between an update and its
/// opposite, the later Braze must be for anybody to end wrong.
const WITHIN: f64 = 0.9;
const BEYOND: [f64; 3] = [8.0, 32.0, 128.0];
/// One user per partition and more, and few enough for many changes each.
const USERS: u32 = 40;

/// What has been published: the last word on every user, and how many records there are.
#[derive(Default)]
struct Log {
    last: HashMap<u32, bool>,
    records: u64,
}

impl Log {
    async fn publish(&mut self, rig: &Rig, user: u32, enter: bool) {
        let (profile, id) = (user.to_string(), format!("cust-{user}"));
        if enter {
            rig.enter("vip", &profile, &[("user_id", &id)]).await;
        } else {
            rig.exit("vip", &profile, &[("user_id", &id)]).await;
        }
        self.last.insert(user, enter);
        self.records += 1;
    }

    /// Everybody enters or leaves.
    async fn publish_all(&mut self, rig: &Rig, enter: bool) {
        for user in 0..USERS {
            self.publish(rig, user, enter).await;
        }
    }

    /// Waits until every record is settled and every call has taken effect; then how many users are not what the last record says.
    async fn mismatches(&self, rig: &Rig, engine: &Running, job: &ExportJob) -> usize {
        self.settled(engine, job).await;
        rig.sim.idle().await;
        let differs = |(user, enter): &(&u32, &bool)| {
            let holds = rig
                .slugs(&format!("cust-{user}"))
                .is_some_and(|slugs| !slugs.is_empty());
            holds != **enter
        };
        self.last.iter().filter(differs).count()
    }

    async fn settled(&self, engine: &Running, job: &ExportJob) {
        let all = |status: &export_svc::engine::JobStatus| {
            let counters = &status.counters;
            counters.added + counters.removed + counters.omitted + counters.rejected == self.records
        };
        engine.until(job, |status| status.pending == 0 && all(status)).await;
    }
}

/// Whether anybody ends wrong with a Braze that is late beyond its allowance.
async fn noticed<M: Future<Output = usize>>(mismatches: impl Fn(f64) -> M) -> bool {
    for late in BEYOND {
        if mismatches(late).await > 0 {
            return true;
        }
    }
    false
}

/// Small requests, so that many of them are in flight at once.
fn small(audience: &str) -> NewExportJob {
    NewExportJob {
        batch_updates_max: 5,
        ..job(audience)
    }
}

fn fast() -> EngineConfig {
    EngineConfig {
        requests_per_second: Some(1_000.0),
        backoff_max: Duration::from_millis(50),
        ..config()
    }
}

/// Users of changing membership, the same on every run; Braze applies what it accepted in any order within `late` × the settle gap,
/// and some calls end unknown and take effect within `late` × the doubt.
async fn mismatches_of_flips(late: f64) -> usize {
    let rig = Rig::new().await;
    let config = fast();
    rig.sim.change_settings(|settings| {
        settings.apply_delay = config.settle_gap.mul_f64(late);
        settings.reorder = true;
        settings.track_limits = RateLimits {
            per_hour: None,
            burst: Some(Burst::new(100_000, Duration::from_secs(3))),
        };
    });
    for (share, rate) in [(1.0, 0.03), (0.5, 0.03), (0.1, 0.03)] {
        let after = config.doubt.mul_f64(late * share);
        rig.sim.inject(Fault::status(500).applied_after(after).at_rate(rate));
        rig.sim.inject(Fault::drop_after().applied_after(after).at_rate(rate));
    }
    let engine = rig.start_with(config);
    let job = rig.create(small("vip")).await;
    let mut log = Log::default();
    for round in 0..6 {
        for user in 0..USERS {
            log.publish(&rig, user, (user + round) % 2 == 0).await;
        }
        // What is folded into one update is not reordered.
        log.settled(&engine, &job).await;
    }
    let mismatches = log.mismatches(&rig, &engine, &job).await;
    engine.drain().await;
    mismatches
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_applied_late_and_in_any_order_leave_everybody_as_the_last_record_says() {
    assert_eq!(mismatches_of_flips(WITHIN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_applied_later_than_the_guarantee_allows_are_noticed_by_these_tests() {
    assert!(noticed(mismatches_of_flips).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_in_two_calls_at_once_however_often_and_slowly() {
    let rig = Rig::new().await;
    rig.sim.inject(Fault::delay(Duration::from_millis(200)));
    let engine = rig.start_with(EngineConfig {
        settle_gap: Duration::ZERO,
        ..fast()
    });
    let job = rig.create(small("vip")).await;
    let mut log = Log::default();
    for round in 0..10 {
        log.publish_all(&rig, round % 2 == 0).await;
    }
    assert_eq!(log.mismatches(&rig, &engine, &job).await, 0);
    assert_eq!(rig.sim.order().overlapping, 0);
    let calls = rig.sim.journal();
    let at_once = calls.windows(2).any(|pair| pair[0].ended_at > Some(pair[1].arrived_at));
    assert!(at_once, "no two calls were in flight at once, so this shows nothing");
    engine.drain().await;
}

/// Everybody's enter ends unknown and takes effect `late` × the doubt after it was read; then everybody leaves.
async fn mismatches_of_unknown_ends(late: f64) -> usize {
    let rig = Rig::new().await;
    let config = fast();
    let unknown = Fault::drop_after().applied_after(config.doubt.mul_f64(late));
    rig.sim.inject(unknown.next(1));
    let engine = rig.start_with(config);
    let job = rig.create(job("vip")).await;
    let mut log = Log::default();
    log.publish_all(&rig, true).await;
    log.settled(&engine, &job).await;
    log.publish_all(&rig, false).await;
    let mismatches = log.mismatches(&rig, &engine, &job).await;
    assert!(rig.sim.journal()[0].applied_at.is_some(), "the first call took effect");
    engine.drain().await;
    mismatches
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opposite_of_an_update_that_ended_unknown_waits_until_it_cannot_take_effect_any_more() {
    assert_eq!(mismatches_of_unknown_ends(WITHIN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_takes_effect_after_the_doubt_is_noticed_by_these_tests() {
    assert!(noticed(mismatches_of_unknown_ends).await);
}

/// An engine is killed with everybody's enter in flight, and everybody's exit behind it. The enters take effect `late` after they
/// were read, while a new engine takes over what was not released.
async fn mismatches_of_a_takeover(late: impl Fn(&EngineConfig) -> Duration) -> usize {
    let rig = Rig::new().await;
    let config = fast();
    let unanswered = Fault::delay(Duration::from_secs(60)).applied_after(late(&config));
    rig.sim.inject(unanswered.next(1));
    let engine = rig.start_with(config.clone());
    let job = rig.create(job("vip")).await;
    let mut log = Log::default();
    log.publish_all(&rig, true).await;
    rig.sim.until_arrivals(1).await;
    let engine = {
        engine.crash().await;
        rig.start_with(config)
    };
    log.publish_all(&rig, false).await;
    let mismatches = log.mismatches(&rig, &engine, &job).await;
    engine.drain().await;
    mismatches
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_waits_for_what_its_killed_predecessor_had_in_flight() {
    assert_eq!(mismatches_of_a_takeover(|config| config.doubt.mul_f64(WITHIN)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_predecessor_had_in_flight_for_too_long_is_noticed_by_these_tests() {
    // The new engine waits for the lease and the longest call as well.
    let noticed = noticed(|late| mismatches_of_a_takeover(move |config| config.longest_wait().mul_f64(late / 2.0)));
    assert!(noticed.await);
}

/// Everybody's enter is accepted and takes effect `late` × the settle gap later; before that the engine drains, and another one goes
/// on with everybody's exit.
async fn mismatches_of_a_handover(late: f64) -> usize {
    let rig = Rig::new().await;
    let config = EngineConfig {
        // A restart takes some of it.
        settle_gap: Duration::from_secs(1),
        doubt: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        ..fast()
    };
    let accepted = Fault::delay(Duration::ZERO).applied_after(config.settle_gap.mul_f64(late));
    rig.sim.inject(accepted.next(1));
    let engine = rig.start_with(config.clone());
    let job = rig.create(job("vip")).await;
    let mut log = Log::default();
    log.publish_all(&rig, true).await;
    log.settled(&engine, &job).await;
    engine.drain().await;
    let engine = rig.start_with(config);
    log.publish_all(&rig, false).await;
    let mismatches = log.mismatches(&rig, &engine, &job).await;
    engine.drain().await;
    mismatches
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_waits_for_what_its_predecessor_was_told_is_accepted() {
    assert_eq!(mismatches_of_a_handover(WITHIN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_predecessor_was_told_is_accepted_for_too_long_is_noticed_by_these_tests() {
    assert!(noticed(mismatches_of_a_handover).await);
}
