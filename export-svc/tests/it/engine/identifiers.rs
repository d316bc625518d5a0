//! A profile whose identifier changes leaves nothing behind under the old one.

use std::time::Duration;

use braze_sim::Fault;
use export_svc::engine::{EngineConfig, JobStatus};
use prost::Message;
use proto::export::v1::FeedProgress;
use proto::export::v1::rejected_change::Identifier;

use super::rig::{Rig, config, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_identifier_is_removed_under_the_old_one_and_then_added_under_the_new() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    rig.enter_from("vip", "1", &[("user_id", "cust-2")], &[("user_id", "cust-1")])
        .await;
    rig.until_slugs("cust-2", &["vip"]).await;
    assert_eq!(rig.slugs("cust-1"), Some(Vec::new()), "this one goes first");
    engine.settled(&vip, (2, 0, 0, 0)).await;
    assert_eq!(rig.objects(), [1, 1, 1], "the two are not in one request");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_removes_under_the_old_identifier_too_and_without_a_new_one_there_alone() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    for (profile, id) in [("1", "cust-1"), ("2", "cust-2")] {
        rig.enter("vip", profile, &[("user_id", id)]).await;
        rig.until_slugs(id, &["vip"]).await;
    }
    rig.exit_from("vip", "1", &[("user_id", "cust-9")], &[("user_id", "cust-1")])
        .await;
    rig.exit_from("vip", "2", &[], &[("user_id", "cust-2")]).await;
    // The exit of a merged profile, all of whose identifiers the survivor holds.
    rig.exit_from("vip", "3", &[], &[]).await;
    engine.settled(&vip, (2, 2, 1, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1"), Some(Vec::new()));
    assert_eq!(rig.slugs("cust-2"), Some(Vec::new()));
    assert_eq!(rig.slugs("cust-9"), None, "an exit creates nobody");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_identifier_that_braze_refuses_is_kept_once_and_the_new_one_is_added() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    let too_long = "x".repeat(1_000);
    rig.enter_from("vip", "1", &[("user_id", "cust-2")], &[("user_id", &too_long)])
        .await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.until_slugs("cust-2", &["vip"]).await;
    let [kept] = rig.rejected().await.try_into().unwrap();
    assert_eq!(kept.reason, "external_id_too_long");
    assert_eq!(kept.change.unwrap().previous_fields["user_id"], too_long);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_change_that_is_refused_under_both_identifiers_each_record_says_which_it_is_about() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    let (old, new) = ("o".repeat(1_000), "n".repeat(1_000));
    rig.enter_from("vip", "1", &[("user_id", &new)], &[("user_id", &old)])
        .await;
    engine.settled(&vip, (0, 0, 0, 1)).await;
    let kept = rig.rejected().await.into_iter();
    let identifiers = kept.map(|rejected| rejected.identifier.unwrap());
    let expected = [Identifier::ExternalId(old), Identifier::ExternalId(new)];
    assert_eq!(identifiers.collect::<Vec<_>>(), expected);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_profiles_of_one_user_are_counted_once_also_across_a_crash() {
    let rig = Rig::new().await;
    let engine = rig.start_with(EngineConfig {
        request_timeout: Duration::from_secs(25),
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    rig.sim.inject(Fault::hold().next(1));
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.sim.until_held(1).await;
    rig.exit("vip", "2", &[("user_id", "cust-1")]).await;
    engine.until(&vip, |status| status.pending == 2).await;
    rig.sim.release();
    engine.settled(&vip, (1, 1, 0, 0)).await;
    let counted = |status: &JobStatus| status.counters.identity_conflicts == 1;
    engine.until(&vip, counted).await;
    until_written(&rig, |progress| {
        progress
            .counters
            .is_some_and(|counters| counters.identity_conflicts == 1)
    })
    .await;
    engine.crash().await;
    let engine = rig.start();
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&vip, (2, 1, 0, 0)).await;
    engine.until(&vip, counted).await;
    engine.drain().await;
}

/// The old identifier has been removed, and belongs to somebody else since; then the process is killed before the new one is
/// added.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_between_the_old_and_the_new_identifier_goes_on_with_the_new_one() {
    let rig = Rig::new().await;
    rig.sim.refuse_object("cust-2", "Something went wrong, try it later");
    let engine = rig.start_with(EngineConfig {
        backoff_min: Duration::from_secs(60),
        backoff_max: Duration::from_secs(60),
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    rig.enter_from("vip", "1", &[("user_id", "cust-2")], &[("user_id", "cust-1")])
        .await;
    rig.until_slugs("cust-1", &[]).await;
    rig.enter("vip", "2", &[("user_id", "cust-1")]).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine
        .until(&vip, |status| status.counters.added == 2 && status.pending == 1)
        .await;
    until_written(&rig, |progress| {
        let one_is_settled = progress.positions.iter().any(|at| !at.settled_parts.is_empty());
        one_is_settled && progress.counters.is_some_and(|counters| counters.added == 2)
    })
    .await;
    engine.crash().await;
    assert_eq!(rig.slugs("cust-2"), None);
    rig.sim.clear_faults();
    let engine = rig.start();
    rig.until_slugs("cust-2", &["vip"]).await;
    engine.settled(&vip, (3, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(
        rig.slugs("cust-1"),
        Some(vec!["vip".to_owned()]),
        "what was removed already is not removed from whoever has the identifier now"
    );
    engine.drain().await;
}

/// Waits for progress of the feed of `vip`.
pub(super) async fn until_written(rig: &Rig, condition: impl Fn(&FeedProgress) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let written = rig.read(rig.topics.export_progress()).await;
        let feeds = written.iter().filter(|(key, ..)| key.ends_with(b"/vip"));
        let mut progress = feeds.map(|(_, value)| FeedProgress::decode(&value[..]).unwrap());
        if progress.any(|progress| condition(&progress)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "progress is not written");
    }
}
