//! Audiences whose slugs are to be removed.

use super::*;
use crate::export_job::edit::decide_update;
use crate::export_job::moves::decide_move;
use crate::export_job::removal::{check, decide_kill_and_remove};

const NAME: &str = "accounts/7/exportJobs/j";

fn done(slugs: &[&str], number: u64) -> Removed {
    let mut removed = Removed::default();
    slugs
        .iter()
        .for_each(|slug| removed.insert(NAME.to_owned(), (*slug).to_owned(), number));
    removed
}

fn update(map: &mut Map, slugs: &[&str], remove_slugs: bool, removed: &Removed) -> Result<ExportJob, Error> {
    let edit = ExportJobEdit {
        audiences: Some(slugs.iter().map(|&slug| slug.to_owned()).collect()),
        remove_slugs,
        ..ExportJobEdit::default()
    };
    map.apply(decide_update(map, NAME, &edit, removed, None, Timestamp::UNIX_EPOCH))?;
    record::fetch(map, NAME)
}

fn kill(map: &mut Map, removed: &Removed) -> Result<ExportJob, Error> {
    map.apply(decide_kill_and_remove(map, NAME, removed, None, Timestamp::UNIX_EPOCH))?;
    record::fetch(map, NAME)
}

/// What [`ExportJobs::create`] decides.
fn create(map: &Map, job: &ExportJob, removed: &Removed) -> Result<(), Error> {
    let (_, job) = decide_create(map, job)?;
    check(map, &job, removed)
}

fn removals(job: &ExportJob) -> Vec<(u64, Vec<&str>)> {
    let removals = job.removals.iter();
    removals
        .map(|removal| (removal.number, removal.audiences.iter().map(String::as_str).collect()))
        .collect()
}

#[test]
fn an_audience_that_leaves_has_its_slug_removed_if_that_is_wanted_and_is_remembered_until_it_is() {
    let mut map = state_with_job();
    let none = Removed::default();
    let job = update(&mut map, &["vip"], true, &none).unwrap();
    assert_eq!(removals(&job), [(1, vec!["gold"])]);
    assert_eq!((job.life("gold"), job.life("vip")), (1, 0));
    assert_eq!(job.served().collect::<Vec<_>>(), ["vip", "gold"]);
    // Kept as it is, whatever else changes.
    let job = update(&mut map, &["vip", "new"], false, &none).unwrap();
    assert_eq!((removals(&job), job.life("new")), (vec![(1, vec!["gold"])], 2));
    let job = update(&mut map, &["vip"], false, &none).unwrap();
    assert_eq!(removals(&job), [(1, vec!["gold"])], "the other keeps its slug");
    let job = update(&mut map, &["new"], true, &done(&["gold"], 1)).unwrap();
    assert_eq!(removals(&job), [(3, vec!["vip"])], "what is over is forgotten");
}

#[test]
fn nobody_exports_an_audience_whose_slug_is_being_removed_from_there() {
    let mut map = state_with_job();
    let none = Removed::default();
    update(&mut map, &["vip"], true, &none).unwrap();
    let back = update(&mut map, &["vip", "gold"], false, &none).unwrap_err();
    let heir = create(&map, &job("k", &["gold"], "b"), &none).unwrap_err();
    for error in [back, heir] {
        assert!(
            matches!(&error, Error::FailedPrecondition(text) if text.contains(NAME) && text.contains("gold")),
            "{error}"
        );
    }
    create(&map, &job("k", &["gold"], "c"), &none).expect("it is another Braze workspace");
    let mut elsewhere = job("k", &["gold"], "b");
    "another".clone_into(&mut elsewhere.options.attribute);
    create(&map, &elsewhere, &none).expect("it is another attribute");
    create(&map, &job("k", &["gold"], "b"), &done(&["gold"], 1)).expect("it is over");
    let job = update(&mut map, &["vip", "gold"], false, &done(&["gold"], 1)).unwrap();
    assert_eq!((removals(&job), job.life("gold")), (vec![], 2));
    let job = update(&mut map, &["vip"], true, &done(&["gold"], 1)).unwrap();
    assert_eq!(removals(&job), [(3, vec!["gold"])]);
    let error = update(&mut map, &["vip", "gold"], false, &done(&["gold"], 1)).unwrap_err();
    assert!(
        matches!(error, Error::FailedPrecondition(_)),
        "only an earlier one is over"
    );
}

#[test]
fn a_job_is_killed_when_its_slugs_are_removed_and_meanwhile_it_can_be_bounced_and_nothing_else() {
    let mut map = state_with_job();
    let none = Removed::default();
    let pause = |job: &mut ExportJob| job.paused = true;
    map.apply(decide_move(
        Move::Pause,
        &map,
        NAME,
        None,
        &pause,
        Timestamp::UNIX_EPOCH,
    ))
    .unwrap();
    let job = kill(&mut map, &none).unwrap();
    assert_eq!(removals(&job), [(1, vec!["vip", "gold"])]);
    assert!(job.killed && !job.paused && !job.is_over(), "nobody could resume it");
    assert_eq!(job.served().count(), 2);
    let state = job.state(wire::ExportJobState::Runnable, Timestamp::UNIX_EPOCH);
    assert_eq!(state, wire::ExportJobState::Removing);
    for again in [kill(&mut map, &none), update(&mut map, &["vip"], false, &none)] {
        let error = again.unwrap_err();
        assert!(
            matches!(&error, Error::FailedPrecondition(text) if text.contains("is killed")),
            "{error}"
        );
    }
    let bounce = |job: &mut ExportJob| job.bounces += 1;
    map.apply(decide_move(
        Move::Bounce,
        &map,
        NAME,
        None,
        &bounce,
        Timestamp::UNIX_EPOCH,
    ))
    .unwrap();
    // Its key is still needed, until it is over.
    let authorization = "accounts/7/authorizations/a";
    let delete =
        |removed: &Removed| crate::authorization::decide_delete(&map, account(7).number, authorization, removed, None);
    for removed in [none, done(&["vip"], 1)] {
        assert!(matches!(delete(&removed), Err(Error::FailedPrecondition(text)) if text.contains(NAME)));
    }
    delete(&done(&["vip", "gold"], 1)).unwrap();
}

#[test]
fn what_a_job_removes_may_fail_also_after_its_time_and_can_be_bounced_then() {
    let mut map = state_with_job();
    update(&mut map, &["vip"], true, &Removed::default()).unwrap();
    let removes: ExportJob = record::fetch(&map, NAME).unwrap();
    let expired = removes.options.expire_time.unwrap();
    let without = ExportJob {
        removals: Vec::new(),
        ..removes.clone()
    };
    use wire::ExportJobState::{Completed, Failed, Paused, Runnable};
    assert_eq!(removes.state(Failed, expired), Failed);
    assert_eq!(removes.state(Runnable, expired), Completed);
    assert_eq!(without.state(Failed, expired), Completed);
    let paused = ExportJob {
        paused: true,
        ..removes.clone()
    };
    assert_eq!(paused.state(Failed, expired), Paused);
    let bounce = |job: &mut ExportJob| job.bounces += 1;
    let bounced = |map: &Map, now| decide_move(Move::Bounce, map, NAME, None, &bounce, now);
    assert_eq!(bounced(&map, expired).unwrap().1.bounces, 1);
    map.apply(Ok((vec![without.put()], ()))).unwrap();
    let refused = bounced(&map, expired).unwrap_err();
    assert!(
        matches!(&refused, Error::FailedPrecondition(text) if text.contains("is completed")),
        "{refused}"
    );
}

#[test]
fn what_a_job_was_to_remove_before_it_was_killed_is_removed_and_what_is_over_does_not_hold_it() {
    let mut map = state_with_job();
    update(&mut map, &["vip"], true, &Removed::default()).unwrap();
    let before = map.clone();
    for (over, left) in [
        (Removed::default(), vec![(1, vec!["gold"])]),
        (done(&["gold"], 1), vec![]),
    ] {
        let mut map = before.clone();
        let apply = move |job: &mut ExportJob| job.kill(&over);
        map.apply(decide_move(Move::Kill, &map, NAME, None, &apply, Timestamp::UNIX_EPOCH))
            .unwrap();
        let job: ExportJob = record::fetch(&map, NAME).unwrap();
        assert_eq!((job.is_over(), removals(&job)), (left.is_empty(), left));
    }
}

#[test]
fn a_thousand_audiences_at_most_wait_to_be_removed() {
    let mut map = state_with_job();
    let none = Removed::default();
    let slugs: Vec<_> = (0..1_000).map(|number| format!("a{number}")).collect();
    let slugs: Vec<_> = slugs.iter().map(String::as_str).collect();
    update(&mut map, &slugs, false, &none).unwrap();
    update(&mut map, &["vip"], true, &none).unwrap();
    let error = update(&mut map, &["gold"], true, &none).unwrap_err();
    assert!(
        matches!(&error, Error::FailedPrecondition(text) if text.contains("1000")),
        "{error}"
    );
    update(&mut map, &["gold"], false, &none).unwrap();
}
