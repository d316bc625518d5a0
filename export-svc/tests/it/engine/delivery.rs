//! What delivery owes to the jobs of one Braze workspace: none waits for another's authorization, and no person is twice in
//! flight.

use std::time::Duration;

use braze_sim::{ErrorForm, Fault, JournalEntry, Key};
use control::sealing::Sealer;
use control::{AuthorizationSettings, Budget, NewAuthorization, NewExportJob};
use jiff::Timestamp;
use proto::authorization::v1::HealthStatus;
use proto::export::v1::ExportJobState;

use super::rig::{Rig, job, until};

/// Another key of the same Braze workspace.
fn another_key(key: &str) -> NewAuthorization {
    NewAuthorization {
        label: "Another".to_owned(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: Some("main".to_owned()),
        budget: control::Budget::default(),
        rest_api_key: key.into(),
    }
}

fn under(authorization: String, audience: &str) -> NewExportJob {
    NewExportJob {
        authorization,
        ..job(audience)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_refused_key_sleep_and_the_others_of_the_workspace_go_on() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let refused = rig.authorize_with(another_key("unknown-key")).await;
    let news = rig.create_with(under(refused, "news")).await;
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    // Alone in its request, which goes out under its job's own key.
    rig.enter("news", "97", &[("user_id", "cust-97")]).await;
    let status = engine
        .until(&news, |status| status.state == ExportJobState::Sleeping)
        .await;
    assert!(status.reason.contains("401"), "{}", status.reason);
    // The same people are in both audiences.
    for number in 0..20 {
        let (profile, id) = (number.to_string(), format!("cust-{number}"));
        rig.enter("news", &profile, &[("user_id", &id)]).await;
        rig.enter("vip", &profile, &[("user_id", &id)]).await;
    }
    engine.settled(&vip, (20, 0, 0, 0)).await;
    let probes = || rig.sim.journal().iter().filter(|entry| is_refused(entry)).count();
    until(|| probes() >= 3, || format!("{} calls were refused", probes())).await;
    assert!(
        rig.sim
            .journal()
            .iter()
            .filter(|entry| is_refused(entry))
            .all(|entry| entry.accepted + entry.refused == 0),
        "asking touches nobody"
    );
    rig.enter("news", "98", &[("user_id", "cust-98")]).await;
    rig.enter("vip", "99", &[("user_id", "cust-99")]).await;
    engine.settled(&vip, (21, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(
        rig.slugs("cust-98"),
        None,
        "a job that sleeps sends nothing, under no key"
    );
    rig.sim.put_key(Key::new("unknown-key"));
    engine.settled(&news, (22, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert!((0..20).all(|number| {
        rig.slugs(&format!("cust-{number}"))
            .is_some_and(|slugs| slugs.len() == 2)
    }));
    engine.drain().await;
}

fn is_refused(entry: &JournalEntry) -> bool {
    entry.status == Some(401)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_opened_holds_only_its_own_jobs() {
    let rig = Rig::new().await;
    let foreign = Sealer::from_config(&"k9:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into()).unwrap();
    let authorizations = rig.directory.authorizations();
    let closed = authorizations.create(rig.account, another_key("whatever"), 4, &foreign, Timestamp::now());
    let closed = closed.await.unwrap().name();
    let news = rig.create_with(under(closed, "news")).await;
    let vip = rig.create(job("vip")).await;
    let engine = rig.start();
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    let status = engine
        .until(&news, |status| status.state == ExportJobState::Sleeping)
        .await;
    assert!(!status.reason.is_empty() && status.counters.added == 0, "{status:?}");
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1"), Some(vec!["vip".to_owned()]));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_in_one_call_at_a_time_however_slow_braze_is() {
    let rig = Rig::new().await;
    rig.sim.inject(Fault::delay(Duration::from_secs(1)));
    let engine = rig.start();
    let quick = |audience| NewExportJob {
        flush_after: Duration::from_millis(5),
        ..job(audience)
    };
    let vip = rig.create(quick("vip")).await;
    let news = rig.create(quick("news")).await;
    engine.until(&news, |_| true).await;
    for round in 0..12 {
        for number in 0..4 {
            let (profile, id) = (number.to_string(), format!("cust-{number}"));
            let audience = if round % 2 == 0 { "vip" } else { "news" };
            rig.enter(audience, &profile, &[("user_id", &id)]).await;
        }
        rig.enter("vip", &format!("p{round}"), &[("user_id", &format!("other-{round}"))])
            .await;
        // From the second round on there is a call to be beside.
        rig.sim.until_arrivals(1).await;
    }
    let all = |sum: u64| {
        move |status: &export_svc::engine::JobStatus| {
            status.pending == 0 && status.counters.added + status.counters.omitted == sum
        }
    };
    engine.until(&vip, all(36)).await;
    engine.until(&news, all(24)).await;
    assert_eq!(rig.sim.order().overlapping, 0);
    let journal = rig.sim.journal();
    let beside = |entry: &&JournalEntry| {
        let during = |other: &JournalEntry| {
            other.arrival != entry.arrival
                && other.arrived_at <= entry.arrived_at
                && other.ended_at.is_none_or(|ended| ended > entry.arrived_at)
        };
        journal.iter().any(during)
    };
    assert!(
        journal.iter().filter(beside).count() > 0,
        "other people's calls ran beside"
    );
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_form_a_refusal_has_the_update_at_fault_is_kept_and_the_others_arrive() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(400),
            ..job("vip")
        })
        .await;
    engine.until(&vip, |_| true).await;
    let (mut added, mut rejected) = (0, 0);
    for (errors, error_index) in [
        (ErrorForm::Sentences, true),
        (ErrorForm::Codes, true),
        (ErrorForm::Strings, true),
        (ErrorForm::Sentences, false),
    ] {
        rig.sim
            .change_settings(|settings| (settings.errors, settings.error_index) = (errors, error_index));
        let before = rig.sim.arrivals();
        for number in 0..8 {
            let id = if number == 3 {
                "x".repeat(1_000 + rejected)
            } else {
                format!("cust-{added}-{number}")
            };
            rig.enter("vip", &format!("{added}-{number}"), &[("user_id", &id)])
                .await;
        }
        (added, rejected) = (added + 7, rejected + 1);
        engine.settled(&vip, (added as u64, 0, 0, rejected as u64)).await;
        let calls: Vec<_> = rig
            .sim
            .journal()
            .into_iter()
            .filter(|entry| entry.arrival > before)
            .collect();
        assert!(
            calls.iter().any(|call| call.accepted > 0 && call.refused > 0),
            "{errors:?}: Braze answered for several at once"
        );
        assert!(
            calls.len() <= 10,
            "{errors:?}, index {error_index}: {} calls",
            calls.len()
        );
    }
    // A lone one is refused with a 400, with and without a count beside it.
    for counts in [false, true] {
        rig.sim
            .change_settings(|settings| settings.all_refused_with_processed = counts);
        rig.enter("vip", &format!("lone-{counts}"), &[("user_id", &"y".repeat(1_000))])
            .await;
        rejected += 1;
        engine.settled(&vip, (added as u64, 0, 0, rejected as u64)).await;
    }
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), added);
    assert_eq!(rig.read(rig.topics.export_rejected()).await.len(), rejected);
    engine.drain().await;
}

/// What upstream publishes after a merge: the survivor's state, and the merged profile's exit under the identifiers that the
/// survivor does not hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_merged_profile_takes_nothing_from_its_survivor_in_either_order() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(200),
            ..job("vip")
        })
        .await;
    for case in ["enter-first", "exit-first"] {
        let (survivor, merged) = (format!("{case}-survivor"), format!("{case}-merged"));
        let (kept, gone) = (format!("{case}-kept"), format!("{case}-gone"));
        rig.enter("vip", &merged, &[("user_id", &gone)]).await;
        rig.until_slugs(&gone, &["vip"]).await;
        if case == "enter-first" {
            rig.enter("vip", &survivor, &[("user_id", &kept)]).await;
        }
        rig.exit("vip", &merged, &[("user_id", &gone)]).await;
        // It held no identifier of its own: nobody at Braze is meant.
        rig.exit("vip", &format!("{case}-nobody"), &[]).await;
        if case == "exit-first" {
            rig.enter("vip", &survivor, &[("user_id", &kept)]).await;
        }
        rig.until_slugs(&gone, &[]).await;
        rig.until_slugs(&kept, &["vip"]).await;
    }
    engine.settled(&vip, (4, 2, 2, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_braze_refuses_is_unhealthy_at_once_at_every_replica_and_healthy_again_when_it_is_taken() {
    let rig = Rig::new().await;
    let (engine, other) = (rig.start(), rig.start());
    let name = rig.authorize_with(another_key("unknown-key")).await;
    let authorization = || {
        let id = name.rsplit('/').next().unwrap();
        rig.directory.authorizations().get(rig.account, id).unwrap()
    };
    let news = rig.create_with(under(name.clone(), "news")).await;
    engine.until(&news, |_| true).await;
    rig.enter("news", "1", &[("user_id", "cust-1")]).await;
    let seen = |status: HealthStatus| {
        [&engine, &other]
            .map(|replica| replica.handle.health(&authorization()))
            .map(|seen| seen.status() == status)
    };
    until(|| seen(HealthStatus::Unhealthy) == [true; 2], || "refused".to_owned()).await;
    let reason = other.handle.health(&authorization()).reason;
    assert!(reason.contains("401") && !reason.contains("unknown-key"), "{reason}");
    rig.sim.put_key(Key::new("unknown-key"));
    until(|| seen(HealthStatus::Healthy) == [true; 2], || "taken again".to_owned()).await;
    engine.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_budgets_of_a_workspaces_authorizations_the_strictest_holds_until_it_is_taken_back() {
    let rig = Rig::new().await;
    let engine = rig.start();
    // One request, and the next one in a quarter of an hour; no job uses this authorization.
    let strict = Budget {
        requests_per_second: Some(0.001),
        limit_share: None,
    };
    let name = rig
        .authorize_with(NewAuthorization {
            budget: strict,
            ..another_key("another-key")
        })
        .await;
    let free = rig
        .authorize_with(NewAuthorization {
            label: "Elsewhere".to_owned(),
            workspace: Some("elsewhere".to_owned()),
            ..another_key(super::rig::KEY)
        })
        .await;
    let held = rig.create(job("vip")).await;
    let free = rig.create_with(under(free, "news")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&held, (1, 0, 0, 0)).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    // Meanwhile another workspace is served, one request after the other.
    for number in 1..=5 {
        rig.enter("news", &number.to_string(), &[("user_id", &format!("cust-{number}"))])
            .await;
        engine.settled(&free, (number, 0, 0, 0)).await;
    }
    engine
        .until(&held, |status| (status.counters.added, status.pending) == (1, 1))
        .await;
    let authorizations = rig.directory.authorizations();
    let id = name.rsplit('/').next().unwrap();
    let take_back = |settings: &mut AuthorizationSettings| settings.budget = Budget::default();
    authorizations
        .update(rig.account, id, None, take_back, Timestamp::now())
        .await
        .unwrap();
    engine.settled(&held, (2, 0, 0, 0)).await;
    engine.drain().await;
}
