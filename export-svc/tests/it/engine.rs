//! The engine end to end: membership records in Kafka, users at the simulated Braze.

mod catch_up;
mod delivery;
mod edges;
mod events;
mod existing;
mod failing;
mod faults;
mod guard;
mod identifiers;
mod job_log;
mod life;
mod limits;
mod mirror;
mod moves;
mod oldest;
mod options;
mod order;
mod purchases;
mod readers;
mod redrive;
mod removal;
mod replicas;
mod rig;
mod steady;

use std::time::Duration;

use control::{Alias, AudienceEvents, Identifiers, NewExportJob};
use export_svc::engine::JobStatus;
use prost::Message;

use self::rig::{Rig, config, job, until};

#[tokio::test(flavor = "multi_thread")]
async fn seventy_five_updates_go_as_one_request_and_the_rest_on_drain() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let job = rig
        .create(NewExportJob {
            flush_after: Duration::from_secs(300),
            ..job("vip")
        })
        .await;
    for number in 0..80 {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    }
    engine
        .until(&job, |status| status.counters.added == 75 && status.pending == 5)
        .await;
    engine.drain().await;
    assert_eq!(rig.objects(), [75, 5]);
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_change_goes_when_its_time_has_come_and_not_before() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let flush_after = Duration::from_millis(700);
    let job = rig
        .create(NewExportJob {
            flush_after,
            ..job("vip")
        })
        .await;
    engine.until(&job, |_| true).await;
    let published = jiff::Timestamp::now();
    rig.enter("vip", "42", &[("user_id", "cust-1")]).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    let waited = rig.sim.journal()[0].arrived_at.duration_since(published);
    assert!(waited.as_millis() >= 690, "{waited:?}");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_removes_the_slug_and_for_an_unknown_user_creates_nobody() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let job = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "known")]).await;
    rig.until_slugs("known", &["vip"]).await;
    rig.exit("vip", "1", &[("user_id", "known")]).await;
    rig.exit("vip", "2", &[("user_id", "unknown")]).await;
    engine.settled(&job, (1, 2, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("known"), Some(vec![]));
    assert_eq!(rig.sim.users("default").len(), 1);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_names_its_own_field_and_whoever_has_no_value_in_it_is_omitted() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let identifiers = Identifiers {
        external_id_field: Some("customer_no".to_owned()),
        ..Identifiers::default()
    };
    let job = rig
        .create(NewExportJob {
            identifiers,
            ..job("vip")
        })
        .await;
    rig.enter("vip", "1", &[("customer_no", "C-7"), ("user_id", "not this")])
        .await;
    rig.enter("vip", "2", &[("user_id", "nor this")]).await;
    rig.enter("vip", "3", &[("customer_no", "  ")]).await;
    engine.settled(&job, (1, 0, 2, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("C-7"), Some(vec!["vip".to_owned()]));
    assert_eq!(rig.sim.users("default").len(), 1);
    let mut kept = rig.rejected().await;
    kept.sort_by_key(|kept| kept.change.as_ref().map(|change| change.profile_id.clone()));
    let profiles = kept
        .iter()
        .map(|kept| kept.change.as_ref().unwrap().profile_id.as_str());
    assert_eq!(profiles.collect::<Vec<_>>(), ["2", "3"]);
    for kept in kept {
        assert_eq!((kept.job, kept.reason.as_str()), (job.name(), "no_identifier"));
        assert_eq!(kept.detail, "the change has no value in customer_no");
        assert_eq!(kept.topic, rig.topics.audience_membership(1234));
    }
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_wants_enters_alone_or_exits_alone_is_sent_nothing_else() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let only = |audience, events| NewExportJob {
        events,
        ..job(audience)
    };
    let enters = rig.create(only("vip", AudienceEvents::Enters)).await;
    let exits = rig.create(only("news", AudienceEvents::Exits)).await;
    let both = rig.create(job("risk")).await;
    let user = [("user_id", "cust-1")];
    for audience in ["vip", "risk", "news"] {
        rig.enter(audience, "1", &user).await;
    }
    engine.settled(&enters, (1, 0, 0, 0)).await;
    engine.settled(&exits, (0, 0, 1, 0)).await;
    engine.settled(&both, (1, 0, 0, 0)).await;
    for audience in ["vip", "risk", "news"] {
        rig.exit(audience, "1", &user).await;
    }
    engine.settled(&enters, (1, 0, 1, 0)).await;
    engine.settled(&exits, (0, 1, 1, 0)).await;
    engine.settled(&both, (1, 1, 0, 0)).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_of_a_workspace_share_requests_and_users_whatever_their_identifiers() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_secs(1),
            ..job("vip")
        })
        .await;
    let alias = Some(Alias {
        label: "lytics".to_owned(),
        field: "uid".to_owned(),
    });
    let identifiers = Identifiers {
        external_id_field: Some("user_id".to_owned()),
        alias,
        ..Identifiers::default()
    };
    let news = rig
        .create(NewExportJob {
            identifiers,
            flush_after: Duration::from_secs(1),
            ..job("news")
        })
        .await;
    engine.until(&vip, |_| true).await;
    engine.until(&news, |_| true).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("news", "1", &[("user_id", "cust-1"), ("uid", "9e")]).await;
    rig.enter("news", "2", &[("uid", "9f")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.settled(&news, (2, 0, 0, 0)).await;
    assert_eq!(rig.objects(), [2], "one object for cust-1, one for the alias");
    rig.sim.idle().await;
    assert_eq!(rig.slugs("cust-1").unwrap().len(), 2);
    assert_eq!(rig.sim.users("default").len(), 1, "an unknown alias makes no user");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_users_decides_whether_those_who_are_members_already_are_sent() {
    let rig = Rig::new().await;
    rig.enter("vip", "1", &[("user_id", "early-vip")]).await;
    rig.enter("news", "2", &[("user_id", "early-news")]).await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            existing_users: true,
            ..job("vip")
        })
        .await;
    let news = rig.create(job("news")).await;
    rig.enter("news", "3", &[("user_id", "late-news")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    // A job that comes later makes the reader go back; nobody gets anything twice.
    rig.enter("risk", "4", &[("user_id", "late-news")]).await;
    let risk = rig
        .create(NewExportJob {
            existing_users: true,
            ..job("risk")
        })
        .await;
    engine.settled(&risk, (1, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.slugs("early-vip"), Some(vec!["vip".to_owned()]));
    assert_eq!(rig.slugs("early-news"), None);
    assert_eq!(rig.slugs("late-news").unwrap(), ["news", "risk"]);
    assert_eq!(rig.objects().iter().sum::<usize>(), 3);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_flips_ends_with_the_last_change_and_is_never_twice_in_flight() {
    let rig = Rig::new().await;
    rig.sim.change_settings(|settings| {
        settings.apply_delay = Duration::from_millis(120);
        settings.reorder = true;
    });
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(20),
            ..job("vip")
        })
        .await;
    let mut expected = Vec::new();
    for number in 0..30u32 {
        let (profile, id) = ((number % 6).to_string(), format!("cust-{}", number % 6));
        let enters = number % 5 < 3;
        if enters {
            rig.enter("vip", &profile, &[("user_id", &id)]).await;
        } else {
            rig.exit("vip", &profile, &[("user_id", &id)]).await;
        }
        expected.push((id, enters));
        if number % 4 == 0 {
            let sent = rig.sim.arrivals();
            until(
                || rig.sim.arrivals() > sent || sent > 3,
                || "something is sent".to_owned(),
            )
            .await;
        }
    }
    let all = |status: &JobStatus| status.counters.added + status.counters.removed + status.counters.omitted == 30;
    engine.until(&vip, all).await;
    rig.sim.idle().await;
    for (id, enters) in &expected[24..] {
        assert_eq!(
            rig.slugs(id).unwrap_or_default(),
            if *enters { vec!["vip"] } else { vec![] },
            "{id}"
        );
    }
    assert_eq!(rig.sim.order().overlapping, 0);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_braze_rejects_is_kept_with_its_reason_and_the_others_go_through() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            flush_after: Duration::from_millis(400),
            ..job("vip")
        })
        .await;
    let too_long = "x".repeat(1_000);
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", &too_long)]).await;
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&vip, (2, 0, 0, 1)).await;
    let [rejected] = rig.rejected().await.try_into().unwrap();
    assert_eq!(rejected.job, vip.name());
    assert_eq!(rejected.change.unwrap().profile_id, "2");
    assert_eq!(
        (rejected.reason.as_str(), rejected.attempts),
        ("external_id_too_long", 1)
    );
    assert!(rejected.braze_message.contains("988"), "{}", rejected.braze_message);
    assert_eq!(rejected.topic, rig.topics.audience_membership(1234));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_used_is_kept_and_holds_nothing_up() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.publish_bytes("vip/1", b"\xff\xff\xff".to_vec()).await;
    let mut foreign = proto::membership::v1::MembershipChange {
        account: 99,
        audience_slug: "vip".to_owned(),
        profile_id: "2".to_owned(),
        ..Default::default()
    };
    foreign.set_action(proto::membership::v1::MembershipAction::Enter);
    rig.publish_bytes("vip/2", foreign.encode_to_vec()).await;
    // It names nobody at Braze: passed over, and before its partition's next record.
    rig.publish_tombstone("vip/3").await;
    rig.enter("vip", "3", &[("user_id", "cust-3")]).await;
    engine.settled(&vip, (1, 0, 0, 2)).await;
    let mut kept = rig.rejected().await;
    kept.sort_by_key(|kept| kept.raw.is_empty());
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!((&kept[0].raw[..], &kept[0].change), (&b"\xff\xff\xff"[..], &None));
    assert_eq!(
        (kept[0].reason.as_str(), kept[0].detail.as_str()),
        ("undecodable", "the value is no MembershipChange")
    );
    assert_eq!(kept[1].change.as_ref().unwrap().profile_id, "2");
    assert_eq!(
        (kept[1].reason.as_str(), kept[1].detail.as_str()),
        (
            "wrong_account",
            "the change belongs to account 99, the topic to account 1234"
        )
    );
    assert!(kept.iter().all(|kept| kept.job == vip.name()), "{kept:?}");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_takes_its_pending_changes_and_its_progress_with_it() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let slow = NewExportJob {
        flush_after: Duration::from_secs(300),
        ..job("vip")
    };
    let vip = rig.create(slow).await;
    let news = rig.create(job("news")).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.until(&vip, |status| status.pending == 1).await;
    rig.directory
        .export_jobs()
        .delete(rig.account, &vip.id, None)
        .await
        .unwrap();
    until(
        || engine.handle.job_status(&vip.name()).is_none(),
        || "the job is forgotten".to_owned(),
    )
    .await;
    rig.enter("news", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    engine.drain().await;
    assert_eq!(rig.slugs("cust-1"), None);
    let progress = rig.read(rig.topics.export_progress()).await;
    let of_vip: Vec<_> = progress.iter().filter(|(key, ..)| key.ends_with(b"/vip")).collect();
    assert!(
        of_vip.last().is_some_and(|(_, value)| value.is_empty()),
        "the last record is a tombstone"
    );
    let engine = rig.start_with(config());
    let again = rig
        .create(NewExportJob {
            existing_users: true,
            ..job("vip")
        })
        .await;
    engine.settled(&again, (1, 0, 0, 0)).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jobs_left_behind_that_were_deleted_while_nobody_served_is_cleared_away_by_the_next_owner() {
    let rig = Rig::new().await;
    let progress_of = async |slug: &str| {
        let progress = rig.read(rig.topics.export_progress()).await;
        let key = format!("/{slug}");
        let of_slug = progress
            .into_iter()
            .filter(|(found, ..)| found.ends_with(key.as_bytes()));
        of_slug.map(|(_, value)| value).next_back()
    };
    let (vip, news) = (rig.create(job("vip")).await, rig.create(job("news")).await);
    let engine = rig.start();
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    engine.until(&news, |_| true).await;
    engine.drain().await;
    assert!(progress_of("vip").await.is_some_and(|value| !value.is_empty()));

    rig.directory
        .export_jobs()
        .delete(rig.account, &vip.id, None)
        .await
        .unwrap();
    let engine = rig.start();
    let cleared = async || progress_of("vip").await == Some(Vec::new());
    runtime::testing::until("a tombstone", cleared).await;
    engine.drain().await;
    assert!(progress_of("news").await.is_some_and(|value| !value.is_empty()));

    // Nobody serves a Braze workspace without jobs; whoever serves it again clears it.
    rig.directory
        .export_jobs()
        .delete(rig.account, &news.id, None)
        .await
        .unwrap();
    let engine = rig.start();
    let gold = rig.create(job("gold")).await;
    engine.until(&gold, |_| true).await;
    engine.drain().await;
    assert_eq!(progress_of("news").await, Some(Vec::new()), "a tombstone");
}
