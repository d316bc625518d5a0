//! Proves that Kafka's absence is never hidden and never held against the sender: 503 with Retry-After within the ack timeout, never
//! a 2xx for what is not in Kafka, never a 4xx (Braze would drop the message), and all is well again by itself. How: real processes
//! on an in-process broker that the test takes down and brings back; what was answered is compared with what is on the topics.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::broker::Broker;
use crate::harness::process::ready;
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export, Ingest};
use crate::harness::{http, topic, until};

const KEY: &str = "sim-key";
/// What a timed-out record costs beyond the ack timeout: librdkafka looks once a second.
const MARGIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn while_kafka_is_away_webhooks_are_503_and_afterwards_200_without_a_restart() {
    let (broker, sim) = (Broker::in_process(1), Sim::start(KEY).await);
    // It creates the account.
    Export::start(&broker, &sim, &[]).await.process.terminate().await;
    let ingest = Ingest::start(&broker, &[("PUBLISH__ACK_TIMEOUT", "1500ms")]).await;
    let event = |id: &str| format!(r#"{{"braze_id":"{id}"}}"#);
    assert_eq!(ingest.post(ADMIN_TOKEN, &event("before")).await.status, 200);

    broker.down();
    for body in [
        event("during"),
        format!("[{}]", event("during")),
        r#"{"city":"nobody"}"#.to_owned(),
        "broken".to_owned(),
    ] {
        let asked = Instant::now();
        let answer = ingest.post(ADMIN_TOKEN, &body).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("10")),
            "{body}: {answer:?}"
        );
        assert!(
            asked.elapsed() < Duration::from_millis(1500) + MARGIN,
            "{body}: {:?}",
            asked.elapsed()
        );
    }

    broker.up();
    let mut refused = 0_usize;
    until("Kafka to be back", async || {
        let answer = ingest.post(ADMIN_TOKEN, &event("after")).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        refused += usize::from(answer.status == 503);
        answer.status == 200
    })
    .await;
    ready(ingest.admin).await;
    let found = topic::events(&broker.kafka).await;
    let count = |id: &str| {
        found
            .iter()
            .filter(|(_, event)| event.identities[0].value == id)
            .count()
    };
    assert_eq!(
        (count("before"), count("during")),
        (1, 0),
        "written after it was refused"
    );
    // What was answered 503 may have been written when Kafka was back already; what was answered 200 is.
    let after = count("after");
    assert!((1..=1 + refused).contains(&after), "{after} written, {refused} refused");
}

#[tokio::test]
async fn a_service_that_starts_while_kafka_is_away_is_alive_but_not_ready_and_serves_when_kafka_is_back() {
    let (broker, sim) = (Broker::in_process(1), Sim::start(KEY).await);
    Export::start(&broker, &sim, &[]).await.process.terminate().await;
    broker.down();
    let ingest = Ingest::spawn(&broker, &[("KAFKA__OPEN_TIMEOUT", "1s")]).await;
    for token in [ADMIN_TOKEN, "wrong", ""] {
        let answer = ingest.post(token, r#"{"braze_id":"b-1"}"#).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("10")),
            "{token}: {answer:?}"
        );
    }
    assert_eq!(http::get(ingest.admin, "/livez").await.status, 200);
    assert_eq!(http::get(ingest.admin, "/readyz").await.status, 503);
    broker.up();
    ready(ingest.admin).await;
    assert_eq!(ingest.post(ADMIN_TOKEN, r#"{"braze_id":"b-1"}"#).await.status, 200);
    assert_eq!(ingest.post("wrong", r#"{"braze_id":"b-1"}"#).await.status, 401);
}

#[tokio::test]
async fn what_was_exported_before_an_outage_of_kafka_goes_on_after_it() {
    let (broker, sim) = (Broker::in_process(1), Sim::start(KEY).await);
    let mut export = Export::start(&broker, &sim, &[("PUBLISH__ACK_TIMEOUT", "1500ms")]).await;
    export.job(KEY, &["--batch-max", "1"]).await;
    export.enter("before").await;
    until("the user at Braze", async || sim.segments("before").await.is_some()).await;

    broker.down();
    let asked = Instant::now();
    let output = export.try_enter("vip", "during", "after").await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.to_lowercase().contains("unavailable"), "{errors}");
    assert!(
        asked.elapsed() < Duration::from_millis(1500) + MARGIN + MARGIN,
        "{:?}",
        asked.elapsed()
    );

    broker.up();
    until("Kafka to be back", async || {
        export.try_enter("vip", "after", "after").await.status.success()
    })
    .await;
    until("the user at Braze", async || sim.segments("after").await.is_some()).await;
    export.process.terminate().await;
}
