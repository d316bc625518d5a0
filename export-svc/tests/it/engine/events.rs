//! Jobs that send membership as custom events: through the same engine, beside jobs that write attributes.

use braze_sim::{Fault, Happening, UserRef};
use control::{AudienceEvents, Coalesce, CustomEvents, ExportJob, Identifiers, NewExportJob, Options, Writes};
use serde_json::{Value, json};

use super::redrive::{redrive, until_outcomes};
use super::rig::{Rig, job, until};

fn events(audience: &str) -> NewExportJob {
    NewExportJob {
        label: format!("{audience} as events"),
        coalesce: Coalesce::EveryEdge,
        options: Options {
            writes: Writes::Events(CustomEvents {
                time_field: Some("since".to_owned()),
                ..CustomEvents::default()
            }),
            ..Options::default()
        },
        ..job(audience)
    }
}

fn happened(rig: &Rig, external_id: &str) -> Vec<Happening> {
    let user = rig.sim.user("default", &UserRef::external_id(external_id));
    user.map(|user| user.custom_events).unwrap_or_default()
}

/// `entered vip`, `exited vip`, …, in the order in which Braze has applied them.
fn told(rig: &Rig, external_id: &str) -> Vec<String> {
    let events = happened(rig, external_id).into_iter().map(|event| {
        let of = |key: &str| event.rest["properties"][key].as_str().unwrap().to_owned();
        format!("{} {}", of("action"), of("audience"))
    });
    events.collect()
}

async fn until_told(rig: &Rig, external_id: &str, expected: &[&str]) {
    let is_told = || told(rig, external_id) == expected;
    until(is_told, || {
        format!("{external_id} was told {:?}", told(rig, external_id))
    })
    .await;
}

/// Every event object that was sent, in order.
fn sent(rig: &Rig) -> Vec<Value> {
    let journal = rig.sim.journal();
    let bodies = journal
        .iter()
        .map(|call| serde_json::from_str::<Value>(&call.body).unwrap());
    bodies
        .flat_map(|body| body["events"].as_array().cloned().unwrap_or_default())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enter_and_an_exit_are_two_events_in_order_that_say_what_happened_and_when() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(events("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.enter("vip", "1", &[("user_id", "cust-1"), ("since", "2026-01-31T10:00:00Z")])
        .await;
    rig.exit("vip", "1", &[("user_id", "cust-1"), ("since", "2026-02-01")])
        .await;
    engine.settled(&vip, (1, 1, 0, 0)).await;
    until_told(&rig, "cust-1", &["entered vip", "exited vip"]).await;
    let object = |time: &str, action: &str| json!({"external_id": "cust-1", "name": "lytics_audience", "time": time, "properties": {"audience": "vip", "action": action}});
    let mut exited = object("2026-02-01T00:00:00Z", "exited");
    exited["_update_existing_only"] = json!(true);
    assert_eq!(sent(&rig), [object("2026-01-31T10:00:00Z", "entered"), exited]);
    assert_eq!(rig.slugs("cust-1"), Some(Vec::new()), "no attribute is written");
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_both_types_share_requests_and_none_takes_the_others_changes_for_its_own() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let fours = |job: NewExportJob| NewExportJob {
        flush_after: std::time::Duration::from_secs(300),
        batch_updates_max: 4,
        ..job
    };
    let attribute = rig.create(fours(job("vip"))).await;
    let events = rig.create(fours(events("vip"))).await;
    engine.until(&attribute, |_| true).await;
    engine.until(&events, |_| true).await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.enter("vip", "2", &[("user_id", "cust-2")]).await;
    engine.settled(&attribute, (2, 0, 0, 0)).await;
    engine.settled(&events, (2, 0, 0, 0)).await;
    assert_eq!(rig.objects(), [4], "one request for both jobs and both users");
    for user in ["cust-1", "cust-2"] {
        rig.until_slugs(user, &["vip"]).await;
        until_told(&rig, user, &["entered vip"]).await;
    }
    let meter = rig.sim.meter("default");
    assert_eq!((meter.events, meter.data_points), (2, 4));
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_braze_refuses_is_omitted_with_its_reason_and_the_attributes_of_the_request_are_not() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let full = |job: NewExportJob| NewExportJob {
        flush_after: std::time::Duration::from_secs(300),
        batch_updates_max: 2,
        ..job
    };
    let attribute = rig.create(full(job("vip"))).await;
    let events = rig
        .create(NewExportJob {
            identifiers: Identifiers {
                external_id_field: Some("loyalty".to_owned()),
                ..Identifiers::default()
            },
            ..full(events("vip"))
        })
        .await;
    engine.until(&attribute, |_| true).await;
    engine.until(&events, |_| true).await;
    rig.sim.refuse_object("loyal-1", "external_id is blacklisted");
    let fields = [("user_id", "cust-1"), ("loyalty", "loyal-1")];
    rig.enter("vip", "1", &fields).await;
    engine.settled(&attribute, (1, 0, 0, 0)).await;
    engine.settled(&events, (0, 0, 0, 1)).await;
    assert_eq!(rig.objects(), [2]);
    rig.until_slugs("cust-1", &["vip"]).await;
    let kept = rig.rejected().await;
    assert_eq!(
        kept.iter()
            .map(|kept| (kept.job.clone(), kept.reason.as_str(), kept.braze_message.as_str()))
            .collect::<Vec<_>>(),
        [(events.name(), "blocked", "external_id is blacklisted")]
    );
    // Once Braze takes it, it is sent again, as it was.
    rig.sim.clear_faults();
    redrive(&rig, &events, &[], 0).await;
    until_outcomes(&rig, &["1 sent again, 0 overtaken by later changes, 0 still unusable"]).await;
    // The next one fills the request.
    rig.exit("vip", "2", &[("user_id", "cust-2"), ("loyalty", "loyal-2")])
        .await;
    until_told(&rig, "loyal-1", &["entered vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_every_event_has_arrived_and_a_repeat_says_the_same() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(events("vip")).await;
    engine.until(&vip, |_| true).await;
    // Braze takes it, and nobody hears of that.
    rig.sim.inject(Fault::drop_after().next(1));
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.sim.until_arrivals(1).await;
    engine.crash().await;
    rig.exit("vip", "1", &[("user_id", "cust-1")]).await;
    let engine = rig.start();
    engine.settled(&vip, (1, 1, 0, 0)).await;
    rig.sim.idle().await;
    let mut events = happened(&rig, "cust-1");
    assert!(events.len() >= 3, "{events:?}");
    // Those that can be told to be one are one.
    events.dedup();
    assert_eq!(events.len(), 2, "{events:?}");
    let told = told(&rig, "cust-1");
    assert_eq!(
        (told.first().unwrap().as_str(), told.last().unwrap().as_str()),
        ("entered vip", "exited vip")
    );
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_users_are_an_event_per_present_member_and_who_left_before_is_none() {
    let rig = Rig::new().await;
    rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
    rig.exit("vip", "2", &[("user_id", "cust-2")]).await;
    let engine = rig.start();
    let existing = |existing_users, name: &str| {
        let mut job = events("vip");
        (job.existing_users, job.label) = (existing_users, name.to_owned());
        if let Writes::Events(events) = &mut job.options.writes {
            name.clone_into(&mut events.name);
        }
        job
    };
    // Of another name, and nothing of what it sent is held by Braze: the second one says it all again.
    for name in ["one", "other"] {
        let job = rig.create(existing(true, name)).await;
        engine.settled(&job, (1, 0, 1, 0)).await;
    }
    let none = rig.create(existing(false, "none")).await;
    engine.until(&none, |status| status.lag == Some(0)).await;
    rig.sim.idle().await;
    let names: Vec<_> = happened(&rig, "cust-1").into_iter().map(|event| event.name).collect();
    assert_eq!(
        (names, rig.sim.users("default").len()),
        (vec!["one".into(), "other".into()], 1)
    );
    engine.drain().await;
}

async fn under_another_identifier(rig: &Rig, wanted: AudienceEvents) -> ExportJob {
    rig.create(NewExportJob {
        events: wanted,
        label: format!("{wanted:?}"),
        ..events("vip")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_by_another_identifier_now_has_exited_under_the_one_before_if_exits_are_sent() {
    for (wanted, before) in [
        (AudienceEvents::Both, &["entered vip", "exited vip"][..]),
        (AudienceEvents::Enters, &["entered vip"]),
    ] {
        let rig = Rig::new().await;
        let engine = rig.start();
        let vip = under_another_identifier(&rig, wanted).await;
        engine.until(&vip, |_| true).await;
        rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
        rig.enter_from("vip", "1", &[("user_id", "cust-9")], &[("user_id", "cust-1")])
            .await;
        engine.settled(&vip, (2, 0, 0, 0)).await;
        until_told(&rig, "cust-9", &["entered vip"]).await;
        until_told(&rig, "cust-1", before).await;
        engine.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_member_was_known_by_before_the_job_began_has_not_exited() {
    let rig = Rig::new().await;
    // Somebody else is known by that now.
    rig.enter("vip", "2", &[("user_id", "cust-1")]).await;
    rig.enter_from("vip", "1", &[("user_id", "cust-9")], &[("user_id", "cust-1")])
        .await;
    let engine = rig.start();
    let vip = rig
        .create(NewExportJob {
            existing_users: true,
            ..events("vip")
        })
        .await;
    engine.settled(&vip, (2, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(told(&rig, "cust-9"), ["entered vip"]);
    assert_eq!(told(&rig, "cust-1"), ["entered vip"]);
    // From the start on it is an exit.
    rig.enter_from("vip", "1", &[("user_id", "cust-8")], &[("user_id", "cust-9")])
        .await;
    engine.settled(&vip, (3, 0, 0, 0)).await;
    until_told(&rig, "cust-9", &["entered vip", "exited vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_two_events_of_a_changed_identifier_a_redrive_sends_the_one_that_was_refused() {
    for refused in ["cust-1", "cust-9"] {
        let rig = Rig::new().await;
        let engine = rig.start();
        let vip = rig.create(events("vip")).await;
        engine.until(&vip, |_| true).await;
        rig.enter("vip", "1", &[("user_id", "cust-1")]).await;
        engine.settled(&vip, (1, 0, 0, 0)).await;
        rig.sim.refuse_object(refused, "external_id is blacklisted");
        rig.enter_from("vip", "1", &[("user_id", "cust-9")], &[("user_id", "cust-1")])
            .await;
        // What counts is what becomes of the one under the new identifier.
        let (added, rejected) = if refused == "cust-9" { (1, 1) } else { (2, 0) };
        engine.settled(&vip, (added, 0, 0, rejected)).await;
        let kept = rig.rejected().await;
        assert_eq!(kept.len(), 1, "{refused}");
        rig.sim.clear_faults();
        redrive(&rig, &vip, &[], 0).await;
        until_outcomes(&rig, &["1 sent again, 0 overtaken by later changes, 0 still unusable"]).await;
        engine.until(&vip, |status| status.pending == 0).await;
        rig.sim.idle().await;
        until_told(&rig, "cust-1", &["entered vip", "exited vip"]).await;
        until_told(&rig, "cust-9", &["entered vip"]).await;
        engine.drain().await;
    }
}
