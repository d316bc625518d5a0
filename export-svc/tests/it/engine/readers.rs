//! Where a job goes on: after its record could not be read, after offsets have gone, behind what cannot be used.

use std::time::Duration;

use control::NewExportJob;
use export_svc::engine::EngineConfig;
use prost::Message;
use proto::export::v1::{ExportJobState, FeedProgress, WorkspaceProgress};

use super::identifiers::until_written;
use super::rig::{Rig, config, job};

/// So many records have been shown to a feed and are settled, by what is written down.
fn has_passed(records: i64) -> impl Fn(&FeedProgress) -> bool {
    move |progress| {
        let settled = progress.positions.iter().all(|position| position.open.is_empty());
        settled && progress.positions.iter().map(|position| position.next).sum::<i64>() == records
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_topic_that_comes_late_is_a_fault_that_says_so_until_it_is_there() {
    let name = "a_membership_topic_that_comes_late_is_a_fault_that_says_so_until_it_is_there";
    let Some(kafka) = kafka::testing::real_only(name) else {
        return;
    };
    kafka::topics::ensure(&kafka, &[]).await.unwrap();
    let rig = Rig::over(kafka, None).await;
    let authorization = rig.authorization.clone();
    let new = NewExportJob {
        authorization,
        ..job("vip")
    };
    let vip = rig.create_at(new, Vec::new()).await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(status.reason.contains("topics ensure"), "{}", status.reason);
    kafka::topics::ensure(&rig.kafka, &[1234]).await.unwrap();
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_next_record_is_gone_is_in_fault_and_the_others_go_on() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    let news = rig.create(job("news")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
    rig.move_beyond(&vip).await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(
        status.reason.contains("resync needed") && status.reason.contains("offset 1000"),
        "{}",
        status.reason
    );
    for number in 0..20 {
        let id = format!("cust-{number}");
        rig.enter("news", &number.to_string(), &[("user_id", &id)]).await;
    }
    engine.settled(&news, (20, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_that_was_passed_is_written_down_at_once() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    until_written(&rig, has_passed(1)).await;
    // Long after, it would be taken for a sign that records before it have been compacted away.
    rig.publish_tombstone("vip/9").await;
    until_written(&rig, has_passed(2)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_progress_of_a_quiet_feed_is_written_now_and_then() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        progress_of_all_every: Duration::from_millis(500),
        ..config()
    });
    let (vip, news) = (rig.create(job("vip")).await, rig.create(job("news")).await);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    until_written(&rig, has_passed(1)).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    until_written(&rig, has_passed(2)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_is_a_fault_until_the_jobs_begin_anew() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
    let progress = rig.read(rig.topics.export_progress()).await;
    let last = progress.into_iter().rfind(|(key, ..)| key == b"1234.main").unwrap();
    let last = WorkspaceProgress::decode(&last.1[..]).unwrap();
    assert_eq!(last.partitions, 4);
    assert!(!last.cluster_id.is_empty());
    let before = WorkspaceProgress { partitions: 3, ..last };
    rig.write_progress("1234.main", &before).await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(
        status.reason.contains("it has 4 partitions and had 3"),
        "{}",
        status.reason
    );
    rig.directory
        .export_jobs()
        .delete(rig.account, &vip.id, None)
        .await
        .unwrap();
    let again = rig.create(job("vip")).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&again, (1, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_unusable_records_in_a_row_are_a_fault_of_their_jobs_and_not_all_thrown_out() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    for _ in 0..998 {
        rig.publish_bytes("vip/1", b"\xff\xff\xff".to_vec()).await;
    }
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 998)).await;
    for _ in 0..1_001 {
        rig.publish_bytes("vip/1", b"\xff\xff\xff".to_vec()).await;
    }
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(
        status.reason.contains("1000 records in a row cannot be used"),
        "{}",
        status.reason
    );
    engine.until(&vip, |status| status.counters.rejected == 998 + 999).await;
    engine.drain().await;
    // Its position is kept before the thousandth, so a start that can do better goes on there.
    let engine = rig.start();
    engine.settled(&vip, (2, 0, 0, 998 + 1_001)).await;
    assert_eq!(rig.read(rig.topics.export_rejected()).await.len(), 998 + 1_001);
    engine.drain().await;
}

/// Settings of a membership topic that promises to keep a record for so long, in milliseconds.
fn keeps_for(lag: &str) -> [(&'static str, &str); 2] {
    [("cleanup.policy", "compact"), ("min.compaction.lag.ms", lag)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_next_record_may_have_been_compacted_away_is_in_fault_and_a_first_pass_is_not() {
    let name = "a_feed_whose_next_record_may_have_been_compacted_away_is_in_fault_and_a_first_pass_is_not";
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let rig = Rig::new().await;
    let topic = rig.topics.audience_membership(1234);
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.drain().await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    kafka::testing::configure(&rig.kafka, &topic, &keeps_for("1"))
        .await
        .unwrap();
    let news = NewExportJob {
        existing_users: true,
        ..job("news")
    };
    let news = rig.create(news).await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(
        status.reason.contains("resync needed") && status.reason.contains("min.compaction.lag.ms"),
        "{}",
        status.reason
    );
    engine.settled(&news, (1, 0, 0, 0)).await;
    assert_eq!(rig.slugs("cust-2"), None);
    engine.drain().await;
    // Its position is kept: when nothing can be missing, it goes on there.
    kafka::testing::configure(&rig.kafka, &topic, &keeps_for("604800000"))
        .await
        .unwrap();
    let engine = rig.start();
    engine.settled(&vip, (2, 0, 0, 0)).await;
    engine.drain().await;
    // Otherwise somebody must say where; what is there then is taken as it is.
    rig.enter("vip", "4", &[("user_id", "cust-4")]).await;
    kafka::testing::configure(&rig.kafka, &topic, &keeps_for("1"))
        .await
        .unwrap();
    let engine = rig.start();
    engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    rig.reset_to_beginning(&vip).await;
    rig.until_slugs("cust-4", &["vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_cut_off_is_a_fault_of_whoever_is_behind_also_beside_a_job_that_begins_at_the_beginning() {
    let name =
        "a_topic_that_was_cut_off_is_a_fault_of_whoever_is_behind_also_beside_a_job_that_begins_at_the_beginning";
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let rig = Rig::new().await;
    let topic = rig.topics.audience_membership(1234);
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    for profile in 0..40 {
        rig.enter("vip", &profile.to_string(), &[("user_id", "cust-1")]).await;
    }
    engine
        .until(&vip, |status| status.pending == 0 && status.counters.added > 0)
        .await;
    engine.drain().await;
    let before = rig.ends(topic.clone()).await;
    // The second one is cut off unread.
    for profile in 0..80 {
        rig.enter("vip", &profile.to_string(), &[("user_id", "cust-2")]).await;
    }
    let both = [("cleanup.policy", "compact,delete")];
    kafka::testing::configure(&rig.kafka, &topic, &both).await.unwrap();
    for (partition, end) in before {
        kafka::testing::cut_off(&rig.kafka, &topic, partition, end + 1)
            .await
            .unwrap();
    }
    let news = NewExportJob {
        existing_users: true,
        ..job("news")
    };
    let news = rig.create(news).await;
    rig.enter("news", "3", &[("user_id", "cust-3")]).await;
    let engine = rig.start();
    let status = engine.until(&vip, |status| status.state == ExportJobState::Fault).await;
    assert!(status.reason.contains("resync needed"), "{}", status.reason);
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.drain().await;
}
