//! What a job does otherwise than others.

use std::time::Duration;

use braze_sim::User;
use control::{ExportJob, ExportJobEdit, Identifiers, NewExportJob, Options, OptionsEdit, QuietWindow, UserCap};
use export_svc::engine::JobStatus;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proto::export::v1::ExportJobState as State;

use super::rig::{Rig, job, until};

const USER: [(&str, &str); 1] = [("user_id", "cust-1")];

fn with(options: Options, audience: &str) -> NewExportJob {
    NewExportJob {
        label: format!("{audience} to {}", options.attribute),
        options,
        ..job(audience)
    }
}

/// The one user there is, when everything has taken effect.
async fn only_user(rig: &Rig) -> User {
    rig.sim.idle().await;
    let users = rig.sim.users("default");
    assert_eq!(users.len(), 1, "{users:?}");
    users[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_goes_to_the_attribute_that_its_job_names_and_to_several_by_several_jobs() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let other = Options {
        attribute: "other".to_owned(),
        ..Options::default()
    };
    let first = rig.create(job("vip")).await;
    let second = rig.create(with(other, "vip")).await;
    engine.until(&first, |_| true).await;
    engine.until(&second, |_| true).await;
    rig.enter("vip", "1", &USER).await;
    engine.settled(&first, (1, 0, 0, 0)).await;
    engine.settled(&second, (1, 0, 0, 0)).await;
    let user = only_user(&rig).await;
    assert_eq!(user.array("lytics_segments"), ["vip"]);
    assert_eq!(user.array("other"), ["vip"]);
    rig.kill(&first).await;
    let gone = || engine.handle.job_status(&first.name()).is_none();
    until(gone, || "it is still served".to_owned()).await;
    rig.exit("vip", "1", &USER).await;
    engine.settled(&second, (1, 1, 0, 0)).await;
    let user = only_user(&rig).await;
    assert_eq!(user.array("lytics_segments"), ["vip"], "its job was killed");
    assert!(user.array("other").is_empty());
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_other_identifier_is_found_by_email_and_then_by_phone() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let identifiers = Identifiers {
        external_id_field: Some("user_id".to_owned()),
        email_field: Some("email".to_owned()),
        phone_field: Some("phone".to_owned()),
        ..Identifiers::default()
    };
    let vip = NewExportJob {
        identifiers,
        ..job("vip")
    };
    let vip = rig.create(vip).await;
    let (email, phone) = (("email", "kim@example.org"), ("phone", "+1 555 123 4567"));
    rig.enter("vip", "1", &[("user_id", "cust-1"), email, phone]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.enter("vip", "2", &[email, phone]).await;
    rig.enter("vip", "3", &[phone]).await;
    rig.enter("vip", "4", &[("phone", "123")]).await;
    rig.enter("vip", "5", &[("email", "nobody")]).await;
    engine.settled(&vip, (3, 0, 1, 1)).await;
    rig.sim.idle().await;
    let users = rig.sim.users("default");
    let named: Vec<_> = users
        .iter()
        .map(|user| {
            (
                user.external_id.is_some(),
                user.fields.get("email"),
                user.fields.get("phone"),
            )
        })
        .collect();
    assert_eq!(named.len(), 3, "{users:?}");
    assert_eq!(named[0], (true, None, None), "an identifier is no profile field");
    assert!(
        named[1..].contains(&(false, Some(&"kim@example.org".into()), None)),
        "{users:?}"
    );
    assert!(
        named[1..].contains(&(false, None, Some(&"+15551234567".into()))),
        "{users:?}"
    );
    assert!(users.iter().all(|user| user.array("lytics_segments") == ["vip"]));
    rig.exit("vip", "2", &[email]).await;
    engine.settled(&vip, (3, 1, 1, 1)).await;
    rig.sim.idle().await;
    let left = rig.sim.users("default");
    assert_eq!(
        left.iter()
            .filter(|user| user.array("lytics_segments").is_empty())
            .count(),
        1
    );
    let mut kept = rig.rejected().await;
    kept.sort_by_key(|kept| kept.reason.clone());
    let refused = Some(proto::export::v1::rejected_change::Identifier::Email(
        "nobody".to_owned(),
    ));
    assert_eq!(
        (kept[0].reason.as_str(), &kept[1].identifier),
        ("no_identifier", &refused)
    );
    assert!(kept[0].detail.contains("E.164"), "{}", kept[0].detail);
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_existing_users_creates_nobody_unless_another_job_does() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let existing = Options {
        update_existing_only: true,
        ..Options::default()
    };
    let news = rig.create(with(existing, "news")).await;
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    rig.enter("news", "1", &USER).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert!(rig.sim.users("default").is_empty(), "Braze does not know the user");
    rig.enter("vip", "1", &USER).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.until_slugs("cust-1", &["vip"]).await;
    rig.exit("news", "1", &USER).await;
    rig.enter("news", "1", &USER).await;
    engine
        .until(&news, |status| status.pending == 0 && status.counters.added == 2)
        .await;
    rig.until_slugs("cust-1", &["vip", "news"]).await;
    engine.drain().await;
}

/// A quiet window, in UTC, from an hour before `now` to then.
fn quiet(now: Timestamp, end: Timestamp) -> Option<QuietWindow> {
    let time = |at: Timestamp| TimeZone::UTC.to_datetime(at).time();
    // As the contracts write it: without a fraction of a second.
    let (start, end) = (
        time(now - 1.hours()),
        time(end).with().subsec_nanosecond(0).build().unwrap(),
    );
    QuietWindow::new(start.with().subsec_nanosecond(0).build().unwrap(), end, TimeZone::UTC).ok()
}

async fn edit(rig: &Rig, job: &ExportJob, options: OptionsEdit) {
    let edit = ExportJobEdit {
        options,
        ..ExportJobEdit::default()
    };
    let edited = rig.directory.export_jobs();
    let edited = edited.update(rig.account, &job.id, edit, None, Timestamp::now());
    edited.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_job_holds_its_changes_until_its_window_is_over_or_taken_away_and_holds_up_nobody_else() {
    let rig = Rig::new().await;
    let now = Timestamp::now();
    let options = Options {
        quiet_window: quiet(now, now + 1.hours()),
        ..Options::default()
    };
    let vip = rig.create(with(options, "vip")).await;
    let engine = rig.start();
    let asleep = engine.until(&vip, |status| status.state == State::Sleeping).await;
    assert!(asleep.reason.contains("quiet window"), "{}", asleep.reason);
    assert!(
        asleep
            .resumes
            .is_some_and(|resumes| resumes > now && resumes <= now + 1.hours())
    );
    rig.enter("vip", "1", &USER).await;
    let news = rig.create(job("news")).await;
    engine.until(&news, |_| true).await;
    rig.enter("news", "1", &USER).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    rig.until_slugs("cust-1", &["news"]).await;
    let none = OptionsEdit {
        quiet_window: Some(None),
        ..OptionsEdit::default()
    };
    edit(&rig, &vip, none).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    // It is over soon, and nobody says so.
    let end = Timestamp::now() + 3.seconds();
    let soon_over = OptionsEdit {
        quiet_window: Some(quiet(end, end)),
        ..OptionsEdit::default()
    };
    edit(&rig, &vip, soon_over).await;
    rig.exit("vip", "1", &USER).await;
    engine.settled(&vip, (1, 1, 0, 0)).await;
    rig.until_slugs("cust-1", &["news"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_completed_when_its_time_has_come_and_goes_on_where_it_was_with_a_later_one() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let options = Options {
        expire_time: Some(Timestamp::now() + 1.seconds()),
        ..Options::default()
    };
    let vip = rig.create(with(options, "vip")).await;
    let completed = engine.until(&vip, |status| status.state == State::Completed).await;
    assert!(completed.reason.contains("completed at"), "{}", completed.reason);
    rig.enter("vip", "1", &USER).await;
    let news = rig.create(job("news")).await;
    engine.until(&news, |_| true).await;
    rig.enter("news", "1", &USER).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    rig.until_slugs("cust-1", &["news"]).await;
    engine.drain().await;
    let engine = rig.start();
    engine.until(&vip, |status| status.state == State::Completed).await;
    let later = OptionsEdit {
        expire_time: Some(Some(Timestamp::now() + 1.hours())),
        ..OptionsEdit::default()
    };
    edit(&rig, &vip, later).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    rig.until_slugs("cust-1", &["news", "vip"]).await;
    engine.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_user_cap_a_job_holds_its_changes_also_after_a_restart_and_none_is_lost() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let cap = |adds_max| UserCap {
        adds_max,
        period: Duration::from_secs(86_400),
    };
    let options = Options {
        user_cap: Some(cap(2)),
        ..Options::default()
    };
    let vip = rig.create(with(options, "vip")).await;
    for number in 0..5 {
        let id = format!("cust-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
    }
    let full =
        |status: &JobStatus| status.counters.added == 2 && status.pending == 0 && status.state == State::Sleeping;
    let asleep = engine.until(&vip, full).await;
    assert!(
        asleep.reason.contains("user cap") && asleep.resumes.is_some(),
        "{}",
        asleep.reason
    );
    engine.drain().await;
    let engine = rig.start();
    // It reads: until then the status is what the one before wrote down.
    let news = rig.create(job("news")).await;
    rig.enter("news", "0", &[("user_id", "cust-0")]).await;
    engine.settled(&news, (1, 0, 0, 0)).await;
    let asleep = engine.until(&vip, |status| status.state == State::Sleeping).await;
    assert_eq!(
        (asleep.counters.added, asleep.pending),
        (2, 0),
        "what was sent before counts"
    );
    let more = OptionsEdit {
        user_cap: Some(Some(cap(4))),
        ..OptionsEdit::default()
    };
    edit(&rig, &vip, more).await;
    engine
        .until(&vip, |status| {
            status.counters.added == 4 && status.state == State::Sleeping
        })
        .await;
    let none = OptionsEdit {
        user_cap: Some(None),
        ..OptionsEdit::default()
    };
    edit(&rig, &vip, none).await;
    engine.settled(&vip, (5, 0, 0, 0)).await;
    rig.sim.idle().await;
    assert_eq!(rig.sim.users("default").len(), 5);
    engine.drain().await;
}
