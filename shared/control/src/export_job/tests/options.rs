//! What becomes of a job by the clock, and what can be changed of that.

use jiff::ToSpan;

use super::*;
use crate::export_job::edit::decide_update;
use crate::export_job::moves::decide_move;

const NAME: &str = "accounts/7/exportJobs/j";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn edit(map: &mut Map, options: OptionsEdit, now: Timestamp) -> Result<ExportJob, Error> {
    let edit = ExportJobEdit {
        options,
        ..ExportJobEdit::default()
    };
    map.apply(decide_update(map, NAME, &edit, &Removed::default(), None, now))?;
    record::fetch(map, NAME)
}

#[test]
fn what_the_clock_says_of_a_job_holds_until_it_is_to_be_asked_again() {
    let options = job("j", &["vip"], "a").options;
    let expires = options.expire_time.unwrap();
    let (evening, night, morning) = (
        at("2026-12-01T20:00:00Z"),
        at("2026-12-01T21:00:00Z"),
        at("2026-12-02T05:00:00Z"),
    );
    assert_eq!(options.hold(evening), (None, Some(night)));
    assert_eq!(options.hold(night), (Some(Hold::Quiet(morning)), Some(morning)));
    // It ends at midnight in London, in the last quiet night.
    assert_eq!(options.hold(at("2026-12-31T22:00:00Z")).1, Some(expires));
    assert_eq!(options.hold(expires), (Some(Hold::Expired(expires)), None));
    assert_eq!(Options::default().hold(expires), (None, None));
    let forever = Options {
        quiet_window: None,
        ..options
    };
    assert_eq!(forever.hold(night), (None, Some(expires)));
}

#[test]
fn options_are_changed_one_by_one_and_each_can_be_none() {
    let mut map = state_with_job();
    let before: ExportJob = record::fetch(&map, NAME).unwrap();
    let now = at("2026-01-02T00:00:00Z");
    let later = before.options.expire_time.unwrap() + 24.hours();
    let extended = OptionsEdit {
        expire_time: Some(Some(later)),
        ..OptionsEdit::default()
    };
    let after = edit(&mut map, extended, now).unwrap();
    let expected = Options {
        expire_time: Some(later),
        ..before.options
    };
    assert_eq!(after.options, expected);
    let none = OptionsEdit {
        quiet_window: Some(None),
        expire_time: Some(None),
        user_cap: Some(None),
    };
    let after = edit(&mut map, none, now).unwrap();
    let expected = Options {
        update_existing_only: true,
        ..Options::default()
    };
    assert_eq!(after.options, expected);
}

#[test]
fn a_completed_job_can_be_extended_and_killed_and_nothing_else() {
    let mut map = state_with_job();
    let expired = record::fetch::<ExportJob>(&map, NAME)
        .unwrap()
        .options
        .expire_time
        .unwrap();
    let pause = |map: &Map, now| {
        decide_move(
            Move::Pause,
            map,
            NAME,
            None,
            &|job: &mut ExportJob| job.paused = true,
            now,
        )
    };
    let refused = pause(&map, expired).unwrap_err();
    assert!(
        matches!(&refused, Error::FailedPrecondition(text) if text.contains("expire later")),
        "{refused}"
    );
    let later = OptionsEdit {
        expire_time: Some(Some(expired + 1.hours())),
        ..OptionsEdit::default()
    };
    edit(&mut map, later.clone(), expired).unwrap();
    assert!(pause(&map, expired).is_ok());
    map.apply(decide_move(
        Move::Kill,
        &map,
        NAME,
        None,
        &|job: &mut ExportJob| job.killed = true,
        expired,
    ))
    .unwrap();
    assert!(matches!(
        edit(&mut map, later, expired),
        Err(Error::FailedPrecondition(_))
    ));
}

#[test]
fn periods_of_a_cap_follow_each_other_from_when_the_job_was_created() {
    let job = job("j", &["vip"], "a");
    let created = job.create_time.as_millisecond();
    let cap = UserCap {
        adds_max: 1,
        period: Duration::from_secs(60),
    };
    for (now, begin) in [(0, 0), (59_999, 0), (60_000, 60_000), (150_000, 120_000), (-1, -60_000)] {
        let period = (created + begin, created + begin + 60_000);
        assert_eq!(job.period(cap, created + now), period, "{now}");
    }
}
