//! What becomes of a job that gets and loses audiences, or is killed.

use braze_sim::Fault;
use control::NewExportJob;

use super::rig::{Rig, job, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_is_added_begins_there_and_one_that_is_removed_ends_and_its_slug_stays() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.set_audiences(&vip, &["vip", "news"]).await;
    rig.enter("news", "2", &[("user_id", "cust-2")]).await;
    rig.until_slugs("cust-2", &["news"]).await;
    engine.settled(&vip, (2, 0, 0, 0)).await;
    rig.set_audiences(&vip, &["news"]).await;
    // Its progress goes, and what it has counted.
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&vip, (2, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1"), Some(vec!["vip".to_owned()]));
    // Each goes on where it was, also elsewhere.
    engine.drain().await;
    let engine = rig.start();
    rig.enter("news", "4", &[("user_id", "cust-4")]).await;
    engine.settled(&vip, (3, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_is_added_to_a_job_of_existing_users_brings_its_members() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            existing_users: true,
            ..job("vip")
        })
        .await;
    engine.until(&vip, |_| true).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    rig.set_audiences(&vip, &["vip", "news"]).await;
    rig.until_slugs("cust-1", &["news"]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    // Removed, and back before anybody has looked: from the beginning again.
    engine.drain().await;
    rig.sim.idle().await;
    rig.sim.forget_users();
    rig.set_audiences(&vip, &["vip"]).await;
    rig.set_audiences(&vip, &["vip", "news"]).await;
    let engine = rig.start();
    rig.until_slugs("cust-1", &["news"]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_job_sends_nothing_more_and_is_forgotten_and_another_takes_its_audience() {
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
    rig.kill(&vip).await;
    until(
        || engine.handle.job_status(&vip.name()).is_none(),
        || "the killed job still has a status".to_owned(),
    )
    .await;
    rig.sim.clear_faults();
    rig.until_slugs("cust-1", &["vip"]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.drain().await;
    rig.sim.idle().await;
    assert_eq!(
        (rig.slugs("cust-1"), rig.slugs("cust-2")),
        (Some(vec!["vip".to_owned()]), None),
        "only what was in flight"
    );
    let progress = rig.read(rig.topics.export_progress()).await;
    let key = format!("1234.main/{}/vip", vip.id);
    let last = progress.iter().rfind(|(found, _)| found == key.as_bytes());
    assert_eq!(last.map(|(_, value)| value.len()), Some(0), "its position is forgotten");
    let engine = rig.start();
    let heir = rig
        .create(NewExportJob {
            label: "Heir".to_owned(),
            existing_users: true,
            ..job("vip")
        })
        .await;
    rig.until_slugs("cust-2", &["vip"]).await;
    rig.until_slugs("cust-1", &[]).await;
    engine.until(&heir, |status| status.pending == 0).await;
    engine.drain().await;
}
