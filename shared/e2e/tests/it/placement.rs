//! Proves that replicas replace each other: one that is killed is replaced, one that dies during a hand-over in all that it served,
//! one that was frozen for longer than its session sends nothing when it thaws, and one of whose workspaces hangs ends itself. How:
//! each replica reaches the simulator through a relay of its own, which counts what it sends.

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::harness::broker::Broker;
use crate::harness::process::metric;
use crate::harness::relay::Relay;
use crate::harness::sim::Sim;
use crate::harness::system::Export;
use crate::harness::until;

const KEY: &str = "sim-key";

struct Replica {
    export: Export,
    relay: Relay,
}

impl Replica {
    async fn start(broker: &Broker, sim: &Sim) -> Self {
        Self::start_with(broker, sim, &[]).await
    }

    async fn start_with(broker: &Broker, sim: &Sim, more: &[(&str, &str)]) -> Self {
        let relay = Relay::start(sim.address()).await;
        let url = relay.url();
        let settings = [
            ("BRAZE__ENDPOINT", url.as_str()),
            // Whatever fails is tried again at once.
            ("ENGINE__BACKOFF_MIN", "5ms"),
            ("ENGINE__BACKOFF_MAX", "10ms"),
        ];
        let settings = [&settings[..], more].concat();
        let export = Export::start(broker, sim, &settings).await;
        Self { export, relay }
    }

    async fn serves(&self) -> bool {
        self.serving().await > 0.0
    }

    /// How many workspaces it serves.
    async fn serving(&self) -> f64 {
        metric(self.export.admin, "export_workspaces_served").await
    }
}

/// A replica that serves the only workspace, with `a` sent and `b` in an open batch, and one that serves nothing.
async fn one_at_work_and_one_in_waiting(broker: &Broker, sim: &Sim) -> (Replica, Replica) {
    let first = Replica::start(broker, sim).await;
    first.export.job(KEY, &["--flush-after", "3s"]).await;
    until("the first to serve", async || first.serves().await).await;
    let second = Replica::start(broker, sim).await;
    first.export.enter("a").await;
    until("the first user", async || sim.segments("a").await.is_some()).await;
    until("that to be written down", async || {
        second.export.job_field("counters").await["added"] == 1
    })
    .await;
    assert!(first.relay.sent() > 0 && second.relay.sent() == 0);
    first.export.enter("b").await;
    until("the open batch", async || {
        metric(first.export.admin, "export_pending_changes").await == 1.0
    })
    .await;
    (first, second)
}

#[tokio::test]
async fn a_killed_replica_is_replaced_and_nothing_is_lost() {
    let Some(broker) = Broker::real_with("placement::a_killed_replica_is_replaced_and_nothing_is_lost", 1) else {
        return;
    };
    let sim = Sim::start(KEY).await;
    let (mut first, mut second) = one_at_work_and_one_in_waiting(&broker, &sim).await;
    first.export.process.signal(Signal::SIGKILL);
    let killed = Instant::now();
    assert_eq!(first.export.process.ended().await, None);
    let of_first = first.relay.sent();
    until("the other to send what was pending", async || {
        sim.segments("b").await.is_some()
    })
    .await;
    println!(
        "sending again {:?} after the kill; session timeout, heartbeat, lease and 1 s are 17 s",
        killed.elapsed()
    );
    assert!(second.relay.sent() > 0);
    assert_eq!(first.relay.sent(), of_first);
    second.export.enter("c").await;
    until("what comes later", async || sim.segments("c").await.is_some()).await;
    second.export.process.terminate().await;
}

#[tokio::test]
async fn a_replica_frozen_past_its_session_sends_nothing_when_it_thaws_and_joins_again() {
    let name = "placement::a_replica_frozen_past_its_session_sends_nothing_when_it_thaws_and_joins_again";
    let Some(broker) = Broker::real_with(name, 1) else {
        return;
    };
    let sim = Sim::start(KEY).await;
    let (mut first, mut second) = one_at_work_and_one_in_waiting(&broker, &sim).await;
    first.export.process.signal(Signal::SIGSTOP);
    until("the other to send what was pending", async || {
        sim.segments("b").await.is_some()
    })
    .await;
    assert!(second.relay.sent() > 0);
    let frozen = first.relay.sent();
    // Its batch has been due for long.
    first.export.process.signal(Signal::SIGCONT);
    until("it to give the workspace up", async || !first.serves().await).await;
    assert_eq!(first.relay.sent(), frozen, "{}", first.export.process.log());

    // It is a member again: it gets the slot back from the other.
    second.export.process.terminate().await;
    first.export.enter("c").await;
    until("what comes later", async || sim.segments("c").await.is_some()).await;
    assert!(first.relay.sent() > frozen);
    first.export.process.terminate().await;
    let mut sent = sim.sent().await;
    sent.sort();
    assert_eq!(sent, ["a", "b", "c"], "nothing was sent twice");
}

/// It serves two workspaces and has a call of each in flight when the group wants one of them for the other, so that it has not given
/// it back when it dies. That one has not been released, no more than the one that was to stay.
#[tokio::test]
async fn a_replica_that_dies_while_it_hands_a_workspace_over_is_replaced_in_both() {
    let name = "placement::a_replica_that_dies_while_it_hands_a_workspace_over_is_replaced_in_both";
    let Some(broker) = Broker::real_with(name, 2) else {
        return;
    };
    let sim = Sim::start(KEY).await;
    // Longer than it lives.
    let patient = [("ENGINE__HAND_OVER", "20s"), ("ENGINE__REQUEST_TIMEOUT", "60s")];
    let mut first = Replica::start_with(&broker, &sim, &patient).await;
    let audiences = ["vip", "news"];
    for audience in audiences {
        first.export.job_for(audience, KEY, &["--flush-after", "50ms"]).await;
    }
    until("the first to serve both", async || first.serving().await == 2.0).await;
    for audience in audiences {
        sim.hold_next().await;
        first.export.enter_to(audience, "a").await;
    }
    until("a call of each", async || sim.sent().await.len() == 2).await;

    let mut second = Replica::start(&broker, &sim).await;
    let log = |replica: &Replica| replica.export.process.log();
    until("the hand-over to begin", async || {
        log(&first).contains("is to give back 1 slots")
    })
    .await;
    first.export.process.signal(Signal::SIGKILL);
    let killed = Instant::now();
    assert_eq!(first.export.process.ended().await, None);
    assert!(
        !log(&first).contains("gives back"),
        "it had given the slot back: {}",
        log(&first)
    );
    sim.release().await;

    for audience in audiences {
        second.export.enter_to(audience, "b").await;
    }
    until("the other to send what was pending and what came later", async || {
        sim.tagged("a", &audiences).await && sim.tagged("b", &audiences).await
    })
    .await;
    println!(
        "sending again {:?} after the kill; session timeout, heartbeat, hand-over, lease and 1 s are 22 s",
        killed.elapsed()
    );
    assert_eq!(second.serving().await, 2.0);
    assert!(second.relay.sent() > 0);
    let log = log(&second);
    let taken_over: Vec<_> = log
        .lines()
        .filter(|line| line.contains("serving Braze workspace"))
        .collect();
    let waits = taken_over.iter().all(|line| line.contains("released=false"));
    assert!(taken_over.len() == 2 && waits, "{taken_over:#?}");
    let mut sent = sim.sent().await;
    sent.sort();
    assert_eq!(
        sent,
        ["a", "a", "a", "a", "b", "b"],
        "in flight at the kill was `a`, twice"
    );
    second.export.process.terminate().await;
}

/// What a workspace's thread writes to its log is not taken away by anybody: it hangs there for ever.
#[tokio::test]
async fn a_replica_with_a_workspace_that_hangs_ends_with_70_and_is_replaced() {
    let name = "placement::a_replica_with_a_workspace_that_hangs_ends_with_70_and_is_replaced";
    let Some(broker) = Broker::real_with(name, 1) else {
        return;
    };
    let sim = Sim::start(KEY).await;
    let (mut first, mut second) = one_at_work_and_one_in_waiting(&broker, &sim).await;
    first.export.process.stop_reading();
    // Each failed call is a line of the log.
    sim.fail(500).await;
    assert_eq!(first.export.process.ended().await, Some(70));
    sim.clear_faults().await;
    let of_first = first.relay.sent();
    until("the other to send what was pending", async || {
        sim.segments("b").await.is_some()
    })
    .await;
    assert!(second.relay.sent() > 0);
    assert_eq!(first.relay.sent(), of_first);
    second.export.process.terminate().await;
}

/// Neither for the answer to its leave of the group, nor for that to its last progress, longer than a drain may take.
#[tokio::test]
async fn a_drain_waits_no_longer_than_it_may_for_a_kafka_that_hangs() {
    // The in-process broker has a group, if asked, but can serve nothing then: it has no admin API.
    let with_group = [("KAFKA__IN_PROCESS", "false"), ("TOPICS__ENSURE", "false")];
    for serves in [false, true] {
        let settings = if serves { &[][..] } else { &with_group };
        let (broker, sim) = (Broker::in_process(1), Sim::start(KEY).await);
        let mut export = Export::start(&broker, &sim, settings).await;
        if serves {
            export.job(KEY, &["--flush-after", "50ms"]).await;
            export.enter("a").await;
            until("the first user", async || sim.segments("a").await.is_some()).await;
        } else {
            until("the slots", async || {
                metric(export.admin, "export_slots_owned").await > 0.0
            })
            .await;
        }
        broker.hang();
        export.process.signal(Signal::SIGTERM);
        let code = export.process.ended().await;
        let log = export.process.log();
        assert_eq!(code, Some(0), "{log}");
        assert!(serves || log.contains("the group was not left in time"), "{log}");
    }
}
