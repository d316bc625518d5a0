//! What can be done with a job in which state.

use proto::export::v1::ExportJobState as State;

use super::*;
use crate::export_job::moves::decide_move;

const NAME: &str = "accounts/7/exportJobs/j";

fn later() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

fn make(map: &mut Map, what: Move, based_on: Option<u64>) -> Result<ExportJob, Error> {
    let apply = |job: &mut ExportJob| match what {
        Move::Pause => job.paused = true,
        Move::Resume => job.paused = false,
        Move::Bounce => job.bounces += 1,
        Move::Kill => job.killed = true,
        Move::Confirm => job.confirm(later()),
        other => panic!("{other:?}"),
    };
    map.apply(decide_move(what, map, NAME, based_on, &apply, later()))?;
    record::fetch(map, NAME)
}

#[test]
fn every_move_of_every_state_is_allowed_or_refused() {
    let allowed: [(Move, &[State]); 10] = [
        (
            Move::Bounce,
            &[
                State::Runnable,
                State::Sleeping,
                State::Fault,
                State::Failed,
                State::Removing,
            ],
        ),
        (Move::Pause, &[State::Runnable, State::Sleeping, State::Fault]),
        (Move::Resume, &[State::Paused]),
        (
            Move::Confirm,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::Kill,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Completed,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::Reset,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::Redrive,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::SetAudiences,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::SetOptions,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Completed,
                State::Fault,
                State::Failed,
            ],
        ),
        (
            Move::Describe,
            &[
                State::Runnable,
                State::Sleeping,
                State::Paused,
                State::Completed,
                State::Fault,
                State::Failed,
                State::Killed,
                State::Removing,
            ],
        ),
    ];
    for (what, allowed) in allowed {
        for number in (1..=7).chain([60]) {
            let state = State::try_from(number).unwrap();
            let refusal = what.refusal(state);
            assert_eq!(
                refusal.is_none(),
                allowed.contains(&state),
                "{what:?} of {state:?}: {refusal:?}"
            );
        }
    }
    assert!(
        [8, 61].into_iter().all(|number| State::try_from(number).is_err()),
        "a new state belongs into this table"
    );
}

#[test]
fn what_the_record_says_goes_before_what_was_observed() {
    let job = |paused, killed| ExportJob {
        paused,
        killed,
        ..job("j", &["vip"], "a")
    };
    let expires = job(false, false).options.expire_time.unwrap();
    let before = expires - jiff::Span::new().seconds(1);
    for (paused, killed, observed, state) in [
        (false, false, State::Runnable, State::Completed),
        (true, false, State::Completed, State::Paused),
        (false, true, State::Completed, State::Killed),
    ] {
        assert_eq!(job(paused, killed).state(observed, expires), state);
    }
    for (paused, killed, observed, state) in [
        (false, false, State::Completed, State::Runnable),
        (false, false, State::Unspecified, State::Runnable),
        (false, false, State::Paused, State::Runnable),
        (false, false, State::Sleeping, State::Sleeping),
        (true, false, State::Fault, State::Paused),
        (true, true, State::Runnable, State::Killed),
    ] {
        assert_eq!(job(paused, killed).state(observed, before), state);
    }
}

#[test]
fn a_job_is_paused_resumed_and_killed_and_any_other_move_is_refused() {
    let mut map = state_with_job();
    let refused = |made: Result<ExportJob, Error>, problem: &str| {
        let error = made.unwrap_err();
        assert!(
            matches!(&error, Error::FailedPrecondition(text) if text.contains(problem)),
            "{error}"
        );
    };
    refused(make(&mut map, Move::Resume, None), "not paused");
    let paused = make(&mut map, Move::Pause, None).unwrap();
    assert!(paused.paused && paused.update_time > paused.create_time);
    refused(make(&mut map, Move::Bounce, None), "resume it");
    refused(make(&mut map, Move::Pause, None), "paused already");
    let resumed = make(&mut map, Move::Resume, None).unwrap();
    assert!(!resumed.paused && resumed.revision > paused.revision);
    assert_eq!(make(&mut map, Move::Bounce, None).unwrap().bounces, 1);
    let killed = make(&mut map, Move::Kill, None).unwrap();
    assert!(killed.killed);
    for what in [Move::Pause, Move::Resume, Move::Bounce, Move::Kill] {
        refused(make(&mut map, what, None), "is killed");
    }
    map.apply(decide_delete(&map, NAME, None)).unwrap();
    assert!(matches!(make(&mut map, Move::Pause, None), Err(Error::NotFound(_))));
}

#[test]
fn a_move_that_is_based_on_an_older_revision_is_stale() {
    let mut map = state_with_job();
    let known: ExportJob = record::fetch(&map, NAME).unwrap();
    let paused = make(&mut map, Move::Pause, Some(known.revision)).unwrap();
    assert!(matches!(
        make(&mut map, Move::Resume, Some(known.revision)),
        Err(Error::Stale(_))
    ));
    make(&mut map, Move::Resume, Some(paused.revision)).unwrap();
    let new = NewReset {
        audiences: Vec::new(),
        offsets: Vec::new(),
        done: 0,
    };
    let reset = decide_reset(&map, NAME, &new, Some(paused.revision), Timestamp::UNIX_EPOCH);
    assert!(matches!(reset, Err(Error::Stale(_))));
}

#[test]
fn a_killed_job_frees_its_audiences_and_its_authorization_but_not_its_label() {
    let mut map = state_with_job();
    make(&mut map, Move::Kill, None).unwrap();
    let same_label = ExportJob {
        label: "label of j".to_owned(),
        ..job("k", &["new"], "a")
    };
    assert!(matches!(decide_create(&map, &same_label), Err(Error::AlreadyExists(_))));
    map.apply(decide_create(&map, &job("k", &["vip"], "b"))).unwrap();
    let authorization = "accounts/7/authorizations/a";
    map.apply(crate::authorization::decide_delete(
        &map,
        account(7).number,
        authorization,
        &Removed::default(),
        None,
    ))
    .unwrap();
}
