//! Where a job goes on: after its record could not be read, after offsets have gone, behind what cannot be used.

use proto::export::v1::ExportJobState;

use super::rig::{Rig, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_record_cannot_be_read_keeps_its_place_and_goes_on_when_it_can_be() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    let news = rig.create(job("news")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    let key = format!("exportJob/{}", vip.name());
    let control = rig.topics.control();
    let record = rig.read(control.clone()).await;
    let record = record.into_iter().rfind(|(found, ..)| found == key.as_bytes());
    rig.publish_to(&control, &key, b"\xff\xff".to_vec()).await;
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(status.reason.contains("cannot be read"), "{}", status.reason);
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.drain().await;

    // A start that finds the record as it is must not clear away what it cannot name.
    let engine = rig.start();
    rig.enter("news", "4", &[("user_id", "cust-4")]).await;
    engine.settled(&news, (2, 0, 0, 0)).await;
    assert_eq!(rig.slugs("cust-2"), None);
    rig.publish_to(&control, &key, record.expect("the job was created").1)
        .await;
    engine.settled(&vip, (2, 0, 0, 0)).await;
    rig.until_slugs("cust-2", &["vip"]).await;
    assert_eq!(rig.objects().iter().sum::<usize>(), 4, "nobody was sent twice");
    engine.drain().await;
}
