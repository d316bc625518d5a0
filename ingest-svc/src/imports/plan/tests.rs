use std::collections::BTreeSet;

use control::{FileFormat, ImportSchedule, ImportSource, StorageFiles};
use model::AccountNumber;
use proptest::prelude::*;
use proto::imports::v1::{FileDone, ImportFile, ImportFileState};

use super::*;
use crate::imports::progress::Write;

pub(in crate::imports) fn job() -> ImportJob {
    ImportJob {
        account: AccountNumber::new(7).unwrap(),
        id: "j".to_owned(),
        label: String::new(),
        description: String::new(),
        stream: "braze_users".to_owned(),
        source: ImportSource::Storage(StorageFiles {
            authorization: String::new(),
            prefix: String::new(),
            pattern: String::new(),
        }),
        format: FileFormat::default(),
        schedule: None,
        drop_errors: false,
        skip_bad_files: false,
        diff: false,
        paused: false,
        killed: false,
        bounces: 0,
        create_time: at(0),
        update_time: at(0),
        revision: 1,
    }
}

pub(in crate::imports) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_782_864_000 + second).unwrap()
}

fn found(key: &str, modified: i64) -> Found {
    Found {
        key: key.to_owned(),
        etag: "e".to_owned(),
        size: 10,
        modified: at(modified),
    }
}

/// Does what is to be written, as the table would.
pub(in crate::imports) fn write(view: &mut JobView, writes: Vec<Write>) {
    for write in writes {
        match write {
            Write::Job(job) => view.job = job,
            Write::Found(id, progress) => drop(view.files.insert(id, File::found(progress))),
            Write::Forget(id) => drop(view.files.remove(&id)),
        }
    }
}

fn look(view: &mut JobView, files: Vec<Found>, second: i64) {
    let mut listing = Listing::new(view);
    files.into_iter().for_each(|file| assert!(listing.take(file)));
    let writes = looked(view, &listing.in_order(), false, at(second));
    write(view, writes);
}

/// Ends the file of this key.
pub(in crate::imports) fn end(view: &mut JobView, key: &str, state: ImportFileState) {
    let is_it = |file: &File| file.newest().is_some_and(|file| file.key == key);
    let (id, file) = view.files.iter().find(|(_, file)| is_it(file)).unwrap();
    let mut shown = file.newest().unwrap().clone();
    shown.set_state(state);
    let (id, number) = (*id, file.number());
    let done = FileDone {
        file: Some(shown),
        number,
        time: None,
    };
    let file = view.files.remove(&id).unwrap().ended(done);
    view.files.insert(id, file);
}

fn keys(view: &JobView) -> Vec<&str> {
    let files = view.in_order().into_iter();
    files.map(|(_, file)| file.newest().unwrap().key.as_str()).collect()
}

fn readable_keys(job: &ImportJob, view: &JobView, second: i64) -> Vec<String> {
    let readable = readable(job, view, at(second)).into_iter();
    readable
        .map(|id| view.files[&id].newest().unwrap().key.clone())
        .collect()
}

#[test]
fn files_are_read_by_when_they_were_modified_then_by_their_dates_then_by_their_keys() {
    let mut view = JobView::default();
    let files = ["late.csv", "b_20260702.csv", "c_20260701.csv", "b.csv", "a.csv"];
    let listed = files
        .iter()
        .enumerate()
        .map(|(place, key)| found(key, if place == 0 { 2 } else { 1 }));
    look(&mut view, listed.collect(), 5);
    assert_eq!(
        keys(&view),
        ["a.csv", "b.csv", "c_20260701.csv", "b_20260702.csv", "late.csv"]
    );
    // What is found later comes later, whatever its time.
    look(&mut view, vec![found("old.csv", 0)], 6);
    assert_eq!(keys(&view).last(), Some(&"old.csv"));
}

#[test]
fn a_job_looks_at_once_then_at_its_time_and_one_without_a_schedule_never_again() {
    let mut job = job();
    let mut view = JobView::default();
    assert_eq!(next(&job, &view, at(0)), Step::Look);
    look(&mut view, vec![found("a", 0)], 10);
    assert_eq!(next(&job, &view, at(1_000_000)), Step::Rest);
    job.schedule = Some(ImportSchedule::Every(Duration::from_secs(60)));
    assert_eq!(next(&job, &view, at(69)), Step::Wait(at(70)));
    assert_eq!(next(&job, &view, at(70)), Step::Look);
    for stopped in [
        ImportJob {
            paused: true,
            ..job.clone()
        },
        ImportJob { killed: true, ..job },
    ] {
        assert_eq!(next(&stopped, &view, at(70)), Step::Rest);
        assert_eq!(readable(&stopped, &view, at(70)), []);
    }
}

#[test]
fn a_file_that_is_missing_is_looked_for_again_and_again() {
    let (job, mut view, mut second) = (job(), JobView::default(), 0);
    for wait in [60, 120, 240, 480, 600, 600] {
        look(&mut view, Vec::new(), second);
        assert_eq!(next(&job, &view, at(second)), Step::Wait(at(second + wait)));
        second += wait;
        assert_eq!(next(&job, &view, at(second)), Step::Look);
    }
}

#[test]
fn outages_are_tried_again_at_once_refusals_later_and_a_day_of_nothing_else_is_a_failure() {
    let waits = |trouble| (0..12).map(move |failures| wait(trouble, failures).as_secs());
    assert!(waits(Trouble::Outage).eq([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]));
    assert!(waits(Trouble::Refusal).take(6).eq([60, 120, 240, 480, 600, 600]));
    let (mut job, mut view, mut second) = (job(), JobView::default(), 0);
    while !view.job.failed {
        assert!(second <= 86_400 + 600, "it never fails");
        assert_eq!(next(&job, &view, at(second)), Step::Look);
        view.job = failed(&view.job, Trouble::Outage, "away", at(second));
        if let Step::Wait(time) = next(&job, &view, at(second)) {
            second = time.as_second() - at(0).as_second();
        }
    }
    assert!(second >= 86_400, "{second}");
    assert_eq!(next(&job, &view, at(second + 100_000)), Step::Rest);
    job.bounces = 1;
    assert_eq!(next(&job, &view, at(second)), Step::Bounce);
    view.job = bounced(&job, &view.job);
    assert_eq!(next(&job, &view, at(second)), Step::Look);
    // One look that succeeds, and nothing has failed.
    view.job = failed(&view.job, Trouble::Outage, "away", at(second));
    look(&mut view, vec![found("a", 0)], second + 1);
    assert_eq!((view.job.failures, view.job.failing_since.is_none()), (0, true));
}

#[test]
fn a_file_that_has_gone_is_looked_for_again_also_if_it_goes_during_a_look() {
    let (job, mut view) = (job(), JobView::default());
    look(&mut view, vec![found("a", 0)], 10);
    let during = Listing::new(&view);
    end(&mut view, "a", ImportFileState::Skipped);
    assert_eq!(next(&job, &view, at(11)), Step::Look);
    let writes = looked(&view, &during, false, at(12));
    write(&mut view, writes);
    assert_eq!(next(&job, &view, at(13)), Step::Look);
}

#[test]
fn whoever_was_frozen_while_another_looked_writes_nothing() {
    let mut view = JobView::default();
    let mut frozen = Listing::new(&view);
    assert!(frozen.take(found("a", 0)));
    look(&mut view, vec![found("b", 0)], 10);
    assert_eq!(looked(&view, &frozen, false, at(11)), []);
}

#[test]
fn a_bad_file_waits_for_a_bounce_and_one_that_cannot_be_had_for_its_time() {
    let (mut job, mut view) = (job(), JobView::default());
    look(&mut view, vec![found("a", 0), found("b", 0), found("c", 0)], 10);
    let ids: Vec<_> = view.in_order().into_iter().map(|(id, _)| id).collect();
    let edit = |view: &mut JobView, place: usize, edit: &dyn Fn(FileProgress) -> FileProgress| {
        let known = view.files[&ids[place]].progress.as_deref().unwrap().clone();
        view.files.insert(ids[place], File::found(edit(known)));
    };
    edit(&mut view, 0, &|known| FileProgress { bad: true, ..known });
    edit(&mut view, 1, &|known| {
        file_failed(&known, Trouble::Refusal, "no", at(20))
    });
    assert_eq!(readable_keys(&job, &view, 79), ["c"]);
    assert_eq!(next_retry(&job, &view), Some(at(80)));
    assert_eq!(readable_keys(&job, &view, 80), ["b", "c"]);
    job.bounces = 1;
    assert_eq!(readable_keys(&job, &view, 20), ["a", "b", "c"]);
    for _ in 0..FILE_FAILURES_MAX {
        edit(&mut view, 1, &|known| {
            file_failed(&known, Trouble::Outage, "no", at(20))
        });
    }
    job.bounces = 0;
    assert_eq!(readable_keys(&job, &view, 1_000_000), ["c"]);
}

#[test]
fn files_that_are_compared_are_read_one_after_the_other() {
    let (mut job, mut view) = (job(), JobView::default());
    job.diff = true;
    look(&mut view, vec![found("a", 0), found("b", 1), found("c", 2)], 10);
    assert_eq!(readable_keys(&job, &view, 10), ["a"]);
    end(&mut view, "a", ImportFileState::Done);
    assert_eq!(readable_keys(&job, &view, 10), ["b"]);
    end(&mut view, "b", ImportFileState::Skipped);
    let third = readable(&job, &view, at(10))[0];
    // What was passed over is compared with nothing.
    let before = previous(&view, third)
        .and_then(File::newest)
        .map(|file: &ImportFile| file.key.as_str());
    assert_eq!(before, Some("a"));
}

#[test]
fn beyond_what_is_remembered_what_is_done_and_gone_is_forgotten_and_else_it_is_a_fault() {
    let (mut job, mut view) = (job(), JobView::default());
    let look = |view: &mut JobView, files: &[&str]| {
        let mut listing = Listing::with_room(view, 3);
        files.iter().all(|key| listing.take(found(key, 0)));
        let writes = looked(view, &listing.in_order(), true, at(10));
        write(view, writes);
    };
    look(&mut view, &["a", "b", "c"]);
    for key in ["a", "b"] {
        end(&mut view, key, ImportFileState::Done);
    }
    look(&mut view, &["b", "c", "d"]);
    assert_eq!(keys(&view), ["b", "c", "d"], "only the oldest that is listed no more");
    look(&mut view, &["b", "c", "d", "e"]);
    assert_eq!(keys(&view), ["b", "c", "d"]);
    assert!(view.job.reason.contains("more than 3 files"), "{}", view.job.reason);
    assert_eq!(next(&job, &view, at(1_000_000)), Step::Rest);
    job.bounces = 1;
    assert_eq!(next(&job, &view, at(10)), Step::Bounce);
}

#[test]
fn many_files_are_written_down_in_their_order_some_at_a_time() {
    let mut view = JobView::default();
    let mut listing = Listing::new(&view);
    for number in (0..2_500).rev() {
        assert!(listing.take(found(&format!("{number:04}"), number)));
    }
    let listing = listing.in_order();
    let mut rounds = 0;
    while view.job.looks == 0 {
        let writes = looked(&view, &listing, false, at(10));
        assert!(writes.len() <= 1_001, "{}", writes.len());
        write(&mut view, writes);
        rounds += 1;
    }
    assert_eq!((rounds, view.files.len()), (3, 2_500));
    assert!(keys(&view).is_sorted());
}

proptest! {
    /// Whatever appears, changes, goes and is read, between looks in any order: every content is read once.
    #[test]
    fn every_content_of_every_file_is_read_once(steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..5_i64), 1..60)) {
        let (job, mut view) = (job(), JobView::default());
        let (mut storage, mut read, mut contents) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        let look = |view: &mut JobView, storage: &BTreeSet<(u8, i64)>, second| {
            let mut listing = Listing::new(view);
            for (key, content) in storage {
                let etag = content.to_string();
                assert!(listing.take(Found { etag, ..found(&key.to_string(), *content) }));
            }
            let writes = looked(view, &listing.in_order(), true, at(second));
            write(view, writes);
        };
        let read_one = |view: &mut JobView, read: &mut Vec<FileId>| {
            let Some(id) = readable(&job, view, at(1_000)).first().copied() else { return };
            read.push(id);
            let file = view.files.remove(&id).unwrap();
            let done = FileDone { file: file.newest().cloned(), number: file.number(), time: None };
            view.files.insert(id, file.ended(done));
        };
        for (second, (what, key, content)) in (0..).zip(steps) {
            match what {
                0 => {
                    storage.retain(|(other, _)| *other != key);
                    storage.insert((key, content));
                }
                1 => storage.retain(|(other, _)| *other != key),
                2 => {
                    look(&mut view, &storage, second);
                    contents.extend(storage.iter().copied());
                }
                _ => read_one(&mut view, &mut read),
            }
        }
        look(&mut view, &storage, 100);
        contents.extend(storage);
        for _ in 0..=contents.len() {
            read_one(&mut view, &mut read);
        }
        let distinct: BTreeSet<_> = read.iter().collect();
        prop_assert_eq!((read.len(), distinct.len()), (contents.len(), contents.len()));
    }
}
