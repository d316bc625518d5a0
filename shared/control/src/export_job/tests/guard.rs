//! What somebody wants of a job's guard.

use super::*;
use crate::export_job::edit::decide_update;
use crate::export_job::moves::decide_move;

const NAME: &str = "accounts/7/exportJobs/j";

fn later() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

#[test]
fn a_confirmation_is_counted_and_dated_and_lets_a_job_go_on_that_somebody_has_paused_too() {
    let mut map = state_with_job();
    let pause = |job: &mut ExportJob| job.paused = true;
    map.apply(decide_move(Move::Pause, &map, NAME, None, &pause, later()))
        .unwrap();
    let before: ExportJob = record::fetch(&map, NAME).unwrap();
    assert!(!before.guard.lets_go(0), "nobody has confirmed anything");
    let confirm = |job: &mut ExportJob| job.confirm(later());
    map.apply(decide_move(Move::Confirm, &map, NAME, None, &confirm, later()))
        .unwrap();
    let confirmed: ExportJob = record::fetch(&map, NAME).unwrap();
    let guard = Guard {
        percent: 35,
        confirms: 1,
        confirmed: Some(later()),
    };
    assert_eq!((confirmed.paused, confirmed.guard), (false, guard));
    assert!(guard.lets_go(0) && !guard.lets_go(1), "once");
}

#[test]
fn a_guard_that_is_turned_off_holds_nothing_and_one_that_nobody_spoke_of_is_the_usual_one() {
    let mut map = state_with_job();
    let off = ExportJobEdit {
        guard_percent: Some(0),
        ..ExportJobEdit::default()
    };
    map.apply(decide_update(&map, NAME, &off, &Removed::default(), None, later()))
        .unwrap();
    let edited: ExportJob = record::fetch(&map, NAME).unwrap();
    assert!(edited.guard.percent == 0 && edited.guard.lets_go(0));
    // As an earlier version wrote it.
    let mut record = edited.to_record();
    let Some(control_record::Resource::ExportJob(stored)) = &mut record.resource else {
        panic!("{record:?}");
    };
    stored.export_job.as_mut().unwrap().guard_percent = None;
    let read = ExportJob::from_record(record, 1).unwrap();
    assert_eq!(read.guard, Guard::new(20));
}
