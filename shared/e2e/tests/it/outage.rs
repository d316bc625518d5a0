//! Proves that Kafka's absence is never hidden and never held against the sender: 503 with Retry-After within the ack timeout, never
//! a 2xx for what is not in Kafka, never a 4xx (Braze would drop the message), and all is well again by itself. How: real processes
//! on an in-process broker that the test takes down and brings back; what was answered is compared with what is on the topics.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::broker::Broker;
use crate::harness::process::ready;
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export, Ingest};
use crate::harness::{topic, until};

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
    let mut refused = 0;
    until("Kafka to be back", async || {
        let answer = ingest.post(ADMIN_TOKEN, &event("after")).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        refused += u32::from(answer.status == 503);
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
    assert_eq!(count("after"), 1, "answered {refused} times with 503");
}

#[tokio::test]
async fn what_was_exported_before_an_outage_of_kafka_goes_on_after_it() {
    let (broker, sim) = (Broker::in_process(1), Sim::start(KEY).await);
    let mut export = Export::start(&broker, &sim, &[("PUBLISH__ACK_TIMEOUT", "1500ms")]).await;
    export.job(KEY, &["--batch-max", "1"]).await;
    export.enter("before").await;
    until("the user at Braze", async || sim.segments("before").await.is_some()).await;

    broker.down();
    let publish = [
        "memberships",
        "publish",
        "--account",
        "1234",
        "--audience",
        "vip",
        "--enter",
    ];
    let publish = |user| [&publish[..], &["--profile", user, "--field", "user_id=after"]].concat();
    let asked = Instant::now();
    let output = export.operator(&publish("during")).await;
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
        export.operator(&publish("after")).await.status.success()
    })
    .await;
    until("the user at Braze", async || sim.segments("after").await.is_some()).await;
    export.process.terminate().await;
}
