//! Proves what SIGTERM and SIGKILL do to real processes with work in every state: a publish that Kafka has not acknowledged, a batch
//! that is still open, a call to Braze without an answer. How: Kafka is an in-process broker that the test takes down, or the
//! simulator holds the call until the test lets it go; what came of everything is read from the topics and the simulator's journal.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use crate::harness::broker::Broker;
use crate::harness::process::{Process, metric};
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export, Ingest};
use crate::harness::{http, topic, until};

const KEY: &str = "sim-key";
const EVENT: &str = r#"{"braze_id":"b-1"}"#;

/// An ingest-svc that drains with a webhook in flight which Kafka has not acknowledged; the webhook's answer is the task's.
async fn draining_with_an_unacknowledged_publish(
    broker: &Broker,
    ack_timeout: &str,
) -> (Ingest, JoinSet<http::Answer>) {
    let sim = Sim::start(KEY).await;
    // It creates the account.
    Export::start(broker, &sim, &[]).await.process.terminate().await;
    // The drain must have time for a body and an acknowledgement.
    let settings = [("PUBLISH__ACK_TIMEOUT", ack_timeout), ("HTTP__BODY_TIMEOUT", "2s")];
    let ingest = Ingest::start(broker, &settings).await;
    assert_eq!(ingest.post(ADMIN_TOKEN, EVENT).await.status, 200);
    broker.down();
    let mut webhook = JoinSet::new();
    let (address, path) = (ingest.http, format!("/c/1234/braze_users?key={ADMIN_TOKEN}"));
    webhook.spawn(async move { http::post(address, &path, EVENT).await });
    until("the webhook to be taken", async || {
        metric(ingest.admin, "ingest_requests_in_progress").await > 0.0
    })
    .await;
    ingest.process.signal(Signal::SIGTERM);
    until("readiness to turn", async || {
        http::get(ingest.admin, "/readyz").await.status == 503
    })
    .await;
    until("the port to close", async || {
        tokio::net::TcpStream::connect(ingest.http).await.is_err()
    })
    .await;
    assert!(
        webhook.try_join_next().is_none(),
        "the webhook was answered without Kafka"
    );
    (ingest, webhook)
}

#[tokio::test]
async fn sigterm_waits_for_a_publish_that_kafka_acknowledges_late() {
    let broker = Broker::in_process(1);
    let (mut ingest, mut webhook) = draining_with_an_unacknowledged_publish(&broker, "18s").await;
    broker.up();
    let answer = webhook.join_next().await.unwrap().unwrap();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close")),
        "{answer:?}"
    );
    assert_eq!(ingest.process.ended().await, Some(0), "{}", ingest.process.log());
    assert_eq!(topic::events(&broker.kafka).await.len(), 2);
}

#[tokio::test]
async fn sigterm_answers_503_to_a_publish_that_kafka_never_acknowledges() {
    let broker = Broker::in_process(1);
    let (mut ingest, mut webhook) = draining_with_an_unacknowledged_publish(&broker, "8s").await;
    let answer = webhook.join_next().await.unwrap().unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("10")),
        "{answer:?}"
    );
    assert_eq!(ingest.process.ended().await, Some(0), "{}", ingest.process.log());
    broker.up();
    assert_eq!(
        topic::events(&broker.kafka).await.len(),
        1,
        "written after it was refused"
    );
}

/// How often each user was in a request.
async fn times_sent(sim: &Sim) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for user in sim.sent().await {
        *times.entry(user).or_default() += 1;
    }
    times
}

/// An export-svc whose job sends two updates at a time or after five minutes, with `a` and `b` in a call that the simulator holds
/// and `c` in an open batch. One partition, so that what comes later is read later.
async fn with_a_call_in_flight_and_an_open_batch(broker: &Broker, sim: &Sim) -> Export {
    let export = Export::start(broker, sim, &[]).await;
    export.job(KEY, &["--batch-max", "2"]).await;
    sim.hold_next().await;
    for user in ["a", "b", "c"] {
        export.enter(user).await;
    }
    until("the held call", async || sim.sent().await.len() == 2).await;
    until("the open batch", async || {
        metric(export.admin, "export_pending_changes").await == 3.0
    })
    .await;
    assert_eq!(sim.sent().await, ["a", "b"]);
    export
}

#[tokio::test]
async fn sigterm_sends_the_open_batch_awaits_the_call_and_the_next_start_sends_nothing_again() {
    let (broker, sim) = (Broker::any(1), Sim::start(KEY).await);
    let mut export = with_a_call_in_flight_and_an_open_batch(&broker, &sim).await;
    export.process.signal(Signal::SIGTERM);
    until("the open batch to be sent", async || sim.sent().await.len() == 3).await;
    let ready = http::get(export.admin, "/readyz").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    until("the port to close", async || {
        tokio::net::TcpStream::connect(export.grpc).await.is_err()
    })
    .await;
    assert_eq!(sim.segments("a").await, None, "the call is still held");
    sim.release().await;
    assert_eq!(export.process.ended().await, Some(0), "{}", export.process.log());

    let mut export = Export::start(&broker, &sim, &[]).await;
    for user in ["d", "e"] {
        export.enter(user).await;
    }
    // They are behind the others in the partition.
    until("the new changes to be sent", async || sim.segments("e").await.is_some()).await;
    export.process.terminate().await;
    let users = ["a", "b", "c", "d", "e"];
    assert_eq!(times_sent(&sim).await, users.map(|user| (user.to_owned(), 1)).into());
    for user in users {
        assert_eq!(sim.segments(user).await.unwrap(), ["vip"], "{user}");
    }
}

#[tokio::test]
async fn sigkill_with_an_open_batch_and_a_call_in_flight_loses_nothing() {
    let (broker, sim) = (Broker::any(1), Sim::start(KEY).await);
    let mut export = with_a_call_in_flight_and_an_open_batch(&broker, &sim).await;
    export.process.signal(Signal::SIGKILL);
    assert_eq!(export.process.ended().await, None);
    // The call that was cut off takes effect all the same, as it may at Braze.
    sim.release().await;

    let mut export = Export::start(&broker, &sim, &[]).await;
    export.enter("d").await;
    until("the changes that were pending, and a new one", async || {
        sim.segments("c").await.is_some() && sim.segments("d").await.is_some()
    })
    .await;
    export.process.terminate().await;
    for user in ["a", "b", "c", "d"] {
        assert_eq!(sim.segments(user).await.unwrap(), ["vip"], "{user}");
    }
    let times = times_sent(&sim).await;
    assert_eq!(
        (times["a"], times["b"]),
        (2, 2),
        "nobody knew what came of the call that was cut off"
    );
    assert_eq!((times["c"], times["d"]), (1, 1));
}

#[tokio::test]
async fn sigterm_at_the_start_does_not_wait_for_a_kafka_that_has_not_answered() {
    let sim = Sim::start(KEY).await;
    for hangs in [false, true] {
        let broker = Broker::in_process(1);
        if hangs {
            broker.hang();
        } else {
            broker.down();
        }
        let environment = Export::environment(&broker, &sim, &[]);
        let mut export = Process::start("export-svc", &["serve"], environment);
        until("it to start", async || export.log().contains("effective configuration")).await;
        export.terminate().await;
    }
}
