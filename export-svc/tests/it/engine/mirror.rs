//! How far a Braze workspace is, as tools see it that show how far a consumer group is behind.

use std::time::Duration;

use braze_sim::Fault;
use export_svc::engine::EngineConfig;

use super::rig::{Rig, config, job};

/// The workspace of the rig's authorization.
const GROUP: &str = "export-svc.1234.main";

impl Rig {
    async fn membership_ends(&self) -> Vec<i64> {
        let ends = self.ends(self.topics.audience_membership(1234)).await.into_iter();
        ends.map(|(_, end)| end).collect()
    }

    /// Waits until the group has committed this of the membership topic, by partition.
    async fn until_committed(&self, expected: &[i64]) {
        let expected: Vec<_> = expected.iter().copied().map(Some).collect();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let (kafka, topic) = (self.kafka.clone(), self.topics.audience_membership(1234));
            let partitions = i32::try_from(expected.len()).unwrap();
            let ask = move || kafka::testing::committed(&kafka, GROUP, &topic, partitions).unwrap();
            let committed = tokio::task::spawn_blocking(ask).await.unwrap();
            if committed == expected {
                return;
            }
            let now = tokio::time::Instant::now();
            assert!(now < deadline, "{committed:?} and not {expected:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_offsets_are_up_to_where_everything_is_settled() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        request_timeout: Duration::from_secs(100),
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.sim.inject(Fault::hold().next(1));
    let before = rig.membership_ends().await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.sim.until_held(1).await;
    let held = rig.membership_ends().await;
    for number in 2..12 {
        let (profile, id) = (number.to_string(), format!("cust-{number}"));
        rig.enter("vip", &profile, &[("user_id", &id)]).await;
        // Nobody wants it.
        rig.enter("other", &profile, &[("user_id", &id)]).await;
    }
    engine
        .until(&vip, |status| status.counters.added == 10 && status.pending == 1)
        .await;
    let ends = rig.membership_ends().await;
    let (mut expected, mut waiting) = (ends.clone(), 0);
    for (index, before) in before.into_iter().enumerate() {
        if held[index] > before {
            expected[index] = before;
            waiting += 1;
        }
    }
    assert_eq!(waiting, 1);
    rig.until_committed(&expected).await;
    rig.sim.release();
    engine.settled(&vip, (11, 0, 0, 0)).await;
    rig.until_committed(&ends).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_commits_the_groups_last_offsets() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    for number in 0..8 {
        let (profile, id) = (number.to_string(), format!("cust-{number}"));
        rig.enter("vip", &profile, &[("user_id", &id)]).await;
    }
    engine.settled(&vip, (8, 0, 0, 0)).await;
    engine.drain().await;
    rig.until_committed(&rig.membership_ends().await).await;
}
