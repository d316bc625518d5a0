mod any_order;
mod asked;

use super::*;

pub(super) const SEGMENT: &str = "7a1b0c52";
pub(super) const PREFIX: &str = "3f0d7c1e-5b1a-4a3d-8c7e-0a9b8c7d6e5f-1795834800";

/// 2026-11-28T03:00:00Z, which is the time in [`PREFIX`].
pub(super) fn start() -> Timestamp {
    "2026-11-28T03:00:00Z".parse().unwrap()
}

pub(super) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(super) fn object(date: &str, prefix: &str, file: &str) -> Found {
    Found {
        key: format!("segment-export/{SEGMENT}/{date}/{prefix}/{file}"),
        etag: format!("etag of {file}"),
        size: 10,
        modified: start(),
    }
}

fn standing(progress: &JobProgress) -> Standing<'_> {
    Standing {
        segment_id: SEGMENT,
        schedule: None,
        progress,
        callback: None,
        listing: None,
        taken: &|_| false,
    }
}

/// Braze has said that it has begun.
fn begun() -> JobProgress {
    let export = SegmentExportProgress {
        number: 1,
        ask_time: Some(to_wire(start())),
        object_prefix: PREFIX.to_owned(),
        ..SegmentExportProgress::default()
    };
    JobProgress {
        export: Some(export),
        ..JobProgress::default()
    }
}

fn called(number: u64) -> ExportCallback {
    ExportCallback { number, success: true }
}

/// Decides with a listing; what it changes is in `progress` afterwards.
fn look(progress: &mut JobProgress, callback: Option<&ExportCallback>, listing: &[Found], now: Timestamp) -> Step {
    let now_due = JobProgress {
        resume_time: progress.resume_time.map(|_| to_wire(now)),
        ..progress.clone()
    };
    let standing = Standing {
        callback,
        listing: Some(listing),
        ..standing(&now_due)
    };
    let step = step(&standing, now);
    if let Step::Write(changed) = &step {
        *progress = changed.clone();
    }
    step
}

#[track_caller]
fn imported(step: Step) -> (Vec<String>, JobProgress) {
    let Step::Import(files, progress) = step else {
        panic!("{step:?}")
    };
    let name = |object: Found| object.key.rsplit_once('/').unwrap().1.to_owned();
    (files.into_iter().map(name).collect(), progress)
}

/// Until when it waits.
#[track_caller]
fn waits(step: &Step) -> Timestamp {
    match step {
        Step::Wait(until) => *until,
        Step::Write(progress) => {
            assert_ne!(progress.reason, "");
            from_wire(&progress.resume_time.unwrap()).unwrap()
        }
        _ => panic!("{step:?}"),
    }
}

#[test]
fn braze_is_asked_when_it_is_time_and_the_intention_is_written_first() {
    let fresh = JobProgress::default();
    let Step::Ask(asked, progress) = step(&standing(&fresh), start()) else {
        panic!()
    };
    let number = 1;
    assert_eq!(asked, Asked { number, time: start() });
    let export = progress.export.unwrap();
    assert_eq!((export.number, export.ask_time), (1, Some(to_wire(start()))));
    let over = JobProgress {
        last_look_time: Some(to_wire(start())),
        export: Some(next(&export)),
        ..fresh
    };
    assert_eq!(step(&standing(&over), after(10_000)), Step::Rest);
    let hourly = ImportSchedule::Every(std::time::Duration::from_secs(3_600));
    let standing = Standing {
        schedule: Some(&hourly),
        ..standing(&over)
    };
    assert_eq!(waits(&step(&standing, after(3_599))), after(3_600));
    assert!(matches!(
        step(&standing, after(3_600)),
        Step::Ask(Asked { number: 2, .. }, _)
    ));
}

#[test]
fn a_call_ends_the_wait_for_it_once() {
    let mut progress = begun();
    look(&mut progress, None, &[], after(60));
    let callback = called(1);
    let with_call = |progress: &JobProgress, seconds| {
        let standing = Standing {
            callback: Some(&callback),
            ..standing(progress)
        };
        step(&standing, after(seconds))
    };
    assert!(matches!(with_call(&progress, 61), Step::List(_)));
    look(&mut progress, Some(&callback), &[], after(61));
    assert_eq!(waits(&with_call(&progress, 62)), after(91));
    // The storage's own time to wait is another.
    let failing = JobProgress {
        failures: 1,
        resume_time: Some(to_wire(after(90))),
        reason: "the storage does not answer".to_owned(),
        ..begun()
    };
    assert_eq!(waits(&with_call(&failing, 61)), after(90));
}

#[test]
fn after_braze_has_called_the_same_listing_twice_is_enough() {
    let mut progress = begun();
    let (one, other) = (
        object("2026-11-28", PREFIX, "a.gz"),
        object("2026-11-28", PREFIX, "b.gz"),
    );
    // As long as it has not called, a folder that does not change is not enough.
    assert_eq!(
        waits(&look(&mut progress, None, std::slice::from_ref(&one), after(60))),
        after(90)
    );
    let (callback, both) = (called(1), [other, one]);
    assert_eq!(
        waits(&look(&mut progress, Some(&callback), &both[1..], after(70))),
        after(80)
    );
    assert_eq!(
        waits(&look(&mut progress, Some(&callback), &both, after(79))),
        after(89)
    );
    assert_eq!(
        waits(&look(&mut progress, Some(&callback), &both, after(88))),
        after(89)
    );
    let (files, over) = imported(look(&mut progress, Some(&callback), &both, after(89)));
    assert_eq!(files, ["a.gz", "b.gz"]);
    assert_eq!((over.looks, over.last_look_time), (1, Some(to_wire(start()))));
    assert_eq!(over.export.unwrap(), next(&progress.export.unwrap()));
}

#[test]
fn a_call_for_another_export_says_nothing_of_this_one() {
    let mut progress = begun();
    let listing = [object("2026-11-28", PREFIX, "a.gz")];
    let failed = ExportCallback {
        number: 1,
        success: false,
    };
    for callback in [called(0), called(2), failed] {
        look(&mut progress, Some(&callback), &listing, after(1));
        assert_eq!(
            waits(&look(&mut progress, Some(&callback), &listing, after(290))),
            after(301)
        );
    }
}

#[test]
fn without_a_call_the_folder_must_have_rested_for_five_minutes_and_not_be_empty() {
    let mut progress = begun();
    let mut file = object("2026-11-29", PREFIX, "a.gz");
    let foreign = object("2026-11-28", "0000-1795834801", "c.gz");
    let marker = object("2026-11-28", PREFIX, "");
    let nothing = [foreign.clone(), marker];
    assert_eq!(waits(&look(&mut progress, None, &nothing, after(3_600))), after(3_630));
    for (change, at) in [("", 4_000), ("a longer one", 4_299)] {
        file.etag.push_str(change);
        look(&mut progress, None, &[foreign.clone(), file.clone()], after(at));
    }
    let listing = [foreign, file];
    assert_eq!(waits(&look(&mut progress, None, &listing, after(4_598))), after(4_599));
    assert_eq!(imported(look(&mut progress, None, &listing, after(4_599))).0, ["a.gz"]);
}

#[test]
fn the_folder_is_found_whichever_date_braze_has_put_it_under() {
    let progress = begun();
    let Step::List(prefixes) = step(&standing(&progress), after(60)) else {
        panic!()
    };
    let below = |date: &str| format!("segment-export/{SEGMENT}/{date}/{PREFIX}/");
    assert_eq!(prefixes, ["2026-11-27", "2026-11-28", "2026-11-29"].map(below));
    // As of a job that was paused meanwhile.
    let Step::List(prefixes) = step(&standing(&progress), after(30 * 86_400)) else {
        panic!()
    };
    assert_eq!(prefixes, [format!("segment-export/{SEGMENT}/")]);
}

#[test]
fn what_braze_has_not_begun_to_write_within_a_day_is_asked_for_anew() {
    let mut progress = begun();
    let day = 86_400;
    assert_eq!(waits(&look(&mut progress, None, &[], after(day - 1))), after(day));
    look(&mut progress, None, &[], after(day));
    assert!(
        progress.reason.contains("at 2026-11-28T03:00:00Z; it is asked again"),
        "{}",
        progress.reason
    );
    let Step::Ask(asked, _) = step(&standing(&progress), after(day)) else {
        panic!()
    };
    assert_eq!((asked.number, progress.looks), (2, 0));
}

#[test]
fn an_export_of_nobody_is_over_without_files_and_says_so() {
    let mut progress = begun();
    let callback = called(1);
    assert_eq!(waits(&look(&mut progress, Some(&callback), &[], after(60))), after(90));
    assert_eq!(
        waits(&look(&mut progress, Some(&callback), &[], after(359))),
        after(360)
    );
    let (files, over) = imported(look(&mut progress, Some(&callback), &[], after(360)));
    assert!(
        files.is_empty() && over.reason.contains("another storage"),
        "{}",
        over.reason
    );
}

#[test]
fn a_job_that_has_failed_or_is_in_fault_does_nothing() {
    let failed = JobProgress {
        failed: true,
        ..begun()
    };
    assert_eq!(step(&standing(&failed), after(60)), Step::Rest);
    let in_fault = JobProgress {
        reason: "a fault".to_owned(),
        ..begun()
    };
    assert_eq!(step(&standing(&in_fault), after(60)), Step::Rest);
    let waiting = JobProgress {
        resume_time: Some(to_wire(after(90))),
        ..in_fault
    };
    assert_eq!(waits(&step(&standing(&waiting), after(60))), after(90));
    assert!(matches!(step(&standing(&waiting), after(90)), Step::List(_)));
}
