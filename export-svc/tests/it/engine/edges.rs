//! A job that wants every edge: Braze is told each enter and each exit, in order, and nobody else waits for that.

use std::time::Duration;

use braze_sim::Fault;
use control::{Coalesce, NewExportJob};
use export_svc::engine::EngineConfig;
use serde_json::Value;

use super::rig::{Rig, config, job};

fn every_edge(audience: &str) -> NewExportJob {
    NewExportJob {
        coalesce: Coalesce::EveryEdge,
        ..job(audience)
    }
}

/// The user enters, leaves, enters, …
async fn flip(rig: &Rig, times: usize) {
    for number in 0..times {
        if number % 2 == 0 {
            rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
        } else {
            rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
        }
    }
}

/// The calls so far that added `vip` to the user, or removed it.
fn sent(rig: &Rig) -> Vec<bool> {
    let mut sent = Vec::new();
    for call in rig.sim.journal() {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let objects = body["attributes"].as_array().unwrap().iter();
        for object in objects.filter(|object| object["external_id"] == "cust-1") {
            let slugs = &object["lytics_segments"];
            for (list, add) in [("add", true), ("remove", false)] {
                let slugs = slugs[list].as_array().into_iter().flatten();
                sent.extend(slugs.filter(|slug| *slug == "vip").map(|_| add));
            }
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn enter_exit_enter_are_three_requests_in_order_and_another_job_folds_its_own() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(every_edge("vip")).await;
    let news = rig
        .create(NewExportJob {
            flush_after: Duration::from_secs(1),
            ..job("news")
        })
        .await;
    engine.until(&news, |_| true).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    rig.exit("news", "1", &[("user_id", "cust-1")]).await;
    flip(&rig, 3).await;
    engine.settled(&vip, (2, 1, 0, 0)).await;
    engine.settled(&news, (0, 1, 1, 0)).await;
    assert_eq!(sent(&rig), [true, false, true]);
    rig.until_slugs("cust-1", &["vip"]).await;
    assert_eq!((rig.sim.order().overlapping, rig.sim.order().overtaken), (0, 0));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_than_sixteen_edges_the_later_wait_in_kafka_and_nobody_else_waits() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        request_timeout: Duration::from_secs(25),
        ..config()
    });
    let vip = rig.create(every_edge("vip")).await;
    let news = rig.create(job("news")).await;
    engine.until(&vip, |_| true).await;
    engine.until(&news, |_| true).await;
    rig.sim.inject(Fault::hold().next(1));
    flip(&rig, 20).await;
    rig.sim.until_held(1).await;
    // Behind them in every partition.
    for number in 2..22 {
        let (profile, id) = (number.to_string(), format!("cust-{number}"));
        rig.enter("news", &profile, &[("user_id", &id)]).await;
    }
    engine.settled(&news, (20, 0, 0, 0)).await;
    engine.until(&vip, |status| status.pending == 16).await;
    assert_eq!(sent(&rig), [true]);
    rig.sim.release();
    engine.settled(&vip, (10, 10, 0, 0)).await;
    let alternating: Vec<_> = (0..20).map(|number| number % 2 == 0).collect();
    assert_eq!(sent(&rig), alternating);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_edges_go_on_in_order_and_are_counted_once() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(every_edge("vip")).await;
    engine.until(&vip, |_| true).await;
    flip(&rig, 7).await;
    engine.until(&vip, |status| status.counters.removed >= 1).await;
    engine.crash().await;
    let before = sent(&rig).len();
    let engine = rig.start();
    engine.settled(&vip, (4, 3, 0, 0)).await;
    let after = sent(&rig).split_off(before);
    assert!(before + after.len() >= 7, "{before} and {after:?}");
    let last: Vec<_> = (7 - after.len()..7).map(|number| number % 2 == 0).collect();
    assert_eq!(after, last, "from somewhere before the crash to the end");
    engine.drain().await;
}
