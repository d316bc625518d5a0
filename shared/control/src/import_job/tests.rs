//! Import jobs over a map.

use proto::imports::v1::ImportJobState;

use super::edit::decide_update;
use super::moves::{decide_delete, decide_move};
use super::*;
use crate::account::tests::account;
use crate::export_job::Removed;
use crate::record::testing::Map;
use crate::storage::tests::state;

pub(crate) const STORAGE: &str = "accounts/7/storageAuthorizations/s";
const BRAZE: &str = "accounts/7/authorizations/a";
const NAME: &str = "accounts/7/importJobs/j";

/// Of account 7, from storage `s`.
pub(crate) fn job(id: &str) -> ImportJob {
    let new = NewImportJob {
        label: format!("label of {id}"),
        description: "d".to_owned(),
        stream: "users".to_owned(),
        source: ImportSource::Storage(StorageFiles {
            authorization: STORAGE.to_owned(),
            prefix: "daily/".to_owned(),
            pattern: "[0-9]+\\.csv".to_owned(),
        }),
        format: FileFormat {
            format: Some("csv"),
            delimiter: Some(b'\t'),
            ..FileFormat::default()
        },
        schedule: Some(ImportSchedule::Every(ImportSchedule::EVERY_MIN)),
        drop_errors: true,
        skip_bad_files: true,
        diff: true,
    };
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    build(account(7).number, id.to_owned(), new, now)
}

fn segment(id: &str) -> ImportJob {
    let source = ImportSource::SegmentExport(SegmentFiles {
        storage_authorization: STORAGE.to_owned(),
        authorization: BRAZE.to_owned(),
        segment_id: "vip".to_owned(),
        fields: vec!["email".to_owned()],
        custom_attributes: vec!["tier".to_owned()],
    });
    ImportJob { source, ..job(id) }
}

fn upload(id: &str) -> ImportJob {
    let source = ImportSource::Upload(UploadedFile {
        upload: id.to_owned(),
        file_name: "users.csv".to_owned(),
        size: 7,
    });
    ImportJob {
        source,
        schedule: None,
        ..job(id)
    }
}

/// Account 7 with storage `s`, authorization `a`, and job `j`.
fn state_with_job() -> Map {
    let mut map = state();
    map.apply(decide_create(&map, &job("j"))).unwrap();
    map
}

fn read(map: &Map, name: &str) -> ImportJob {
    record::fetch(map, name).unwrap()
}

fn moved(map: &mut Map, what: ImportMove) -> Result<ImportJob, Error> {
    map.apply(decide_move(what, &*map, NAME, None, Timestamp::UNIX_EPOCH))
}

#[test]
fn a_job_of_each_source_is_read_back_as_it_was_created() {
    let mut map = state();
    for wanted in [job("j"), segment("k"), upload("l")] {
        map.apply(decide_create(&map, &wanted)).unwrap();
        let read = read(&map, &wanted.name());
        let revision = read.revision;
        assert_eq!(read, ImportJob { revision, ..wanted });
    }
}

#[test]
fn a_job_needs_its_account_and_its_authorizations() {
    let missing = |wanted: &ImportJob| match decide_create(&state(), wanted) {
        Err(Error::NotFound(name)) => name,
        other => panic!("{other:?}"),
    };
    let source = |storage: &str, braze: &str| {
        let ImportSource::SegmentExport(files) = segment("k").source else {
            panic!("no segment")
        };
        ImportSource::SegmentExport(SegmentFiles {
            storage_authorization: storage.to_owned(),
            authorization: braze.to_owned(),
            ..files
        })
    };
    let with = |storage, braze| ImportJob {
        source: source(storage, braze),
        ..job("k")
    };
    let (no_storage, no_braze) = ("accounts/7/storageAuthorizations/x", "accounts/7/authorizations/x");
    assert_eq!(missing(&with(no_storage, BRAZE)), no_storage);
    assert_eq!(missing(&with(STORAGE, no_braze)), no_braze);
    let account = account(8).number;
    assert_eq!(missing(&ImportJob { account, ..job("k") }), "accounts/8");
}

#[test]
fn a_label_is_unique_in_the_account_and_so_is_the_id_of_an_upload() {
    let mut map = state_with_job();
    let label = job("j").label;
    let taken = |decided: Result<(Vec<Change>, ()), Error>| match decided {
        Err(Error::AlreadyExists(text)) => text,
        other => panic!("{other:?}"),
    };
    let text = taken(decide_create(&map, &ImportJob { label, ..job("k") }));
    assert!(text.contains("label of j") && text.contains(NAME), "{text}");
    map.apply(decide_create(&map, &upload("u"))).unwrap();
    let text = taken(decide_create(&map, &upload("u")));
    assert_eq!(text, "accounts/7/importJobs/u exists already");
}

#[test]
fn each_move_is_written_down_and_one_that_makes_no_sense_is_refused() {
    let mut map = state_with_job();
    assert!(moved(&mut map, ImportMove::Resume).is_err());
    assert!(moved(&mut map, ImportMove::Pause).unwrap().paused);
    for refused in [ImportMove::Pause, ImportMove::Bounce] {
        assert!(moved(&mut map, refused).is_err(), "{refused:?}");
    }
    assert!(!moved(&mut map, ImportMove::Resume).unwrap().paused);
    assert_eq!(moved(&mut map, ImportMove::Bounce).unwrap().bounces, 1);
    assert_eq!(moved(&mut map, ImportMove::Bounce).unwrap().bounces, 2);
    assert!(moved(&mut map, ImportMove::Kill).unwrap().killed);
    let read = read(&map, NAME);
    assert_eq!((read.paused, read.killed, read.bounces), (false, true, 2));
    for refused in [
        ImportMove::Kill,
        ImportMove::Pause,
        ImportMove::Resume,
        ImportMove::Bounce,
    ] {
        let error = moved(&mut map, refused).unwrap_err();
        assert!(
            matches!(&error, Error::FailedPrecondition(text) if text.contains(NAME)),
            "{error}"
        );
    }
}

#[test]
fn a_move_that_is_based_on_an_older_revision_is_refused() {
    let map = state_with_job();
    let at = read(&map, NAME).revision;
    let pause = |based_on| decide_move(ImportMove::Pause, &map, NAME, based_on, Timestamp::UNIX_EPOCH);
    assert!(matches!(pause(Some(at - 1)), Err(Error::Stale(_))));
    assert!(pause(Some(at)).is_ok());
    assert!(matches!(decide_delete(&map, NAME, Some(at - 1)), Err(Error::Stale(_))));
    let edit = ImportJobEdit::default();
    let update = decide_update(&map, NAME, &edit, Some(at - 1), Timestamp::UNIX_EPOCH);
    assert!(matches!(update, Err(Error::Stale(_))));
}

#[test]
fn what_somebody_wants_is_shown_before_what_is_observed() {
    use ImportJobState as State;
    let job = job("j");
    assert_eq!(job.state(State::Unspecified), State::Runnable);
    assert_eq!(job.state(State::Paused), State::Runnable, "it goes on");
    for observed in [State::Sleeping, State::Completed, State::Fault, State::Failed] {
        assert_eq!(job.state(observed), observed);
    }
    let paused = ImportJob { paused: true, ..job };
    assert_eq!(paused.state(State::Failed), State::Paused);
    let killed = ImportJob { killed: true, ..paused };
    assert_eq!(killed.state(State::Runnable), State::Killed);
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let mut map = state_with_job();
    let now = Timestamp::UNIX_EPOCH;
    let edit = ImportJobEdit {
        label: Some("new".to_owned()),
        schedule: Some(None),
        drop_errors: Some(false),
        ..ImportJobEdit::default()
    };
    map.apply(decide_update(&map, NAME, &edit, None, now)).unwrap();
    let read = read(&map, NAME);
    let expected = ImportJob {
        label: "new".to_owned(),
        schedule: None,
        drop_errors: false,
        update_time: now,
        revision: read.revision,
        ..job("j")
    };
    assert_eq!(read, expected);
    map.apply(decide_create(&map, &job("k"))).unwrap();
    let label = Some("new".to_owned());
    let edit = ImportJobEdit {
        label,
        ..ImportJobEdit::default()
    };
    let taken = decide_update(&map, "accounts/7/importJobs/k", &edit, None, now);
    assert!(matches!(taken, Err(Error::AlreadyExists(_))));
    assert!(decide_update(&map, NAME, &edit, None, now).is_ok(), "its own label");
}

#[test]
fn a_killed_job_can_be_called_otherwise_and_an_upload_has_no_schedule() {
    let mut map = state_with_job();
    moved(&mut map, ImportMove::Kill).unwrap();
    map.apply(decide_create(&map, &upload("u"))).unwrap();
    let update = |name: &str, edit: &ImportJobEdit| decide_update(&map, name, edit, None, Timestamp::UNIX_EPOCH);
    let described = ImportJobEdit {
        description: Some("e".to_owned()),
        ..ImportJobEdit::default()
    };
    let scheduled = ImportJobEdit {
        schedule: Some(job("j").schedule),
        ..ImportJobEdit::default()
    };
    assert!(update(NAME, &described).is_ok());
    assert!(matches!(update(NAME, &scheduled), Err(Error::FailedPrecondition(_))));
    let error = update("accounts/7/importJobs/u", &scheduled).unwrap_err();
    assert!(error.to_string().contains("uploaded"), "{error}");
}

#[test]
fn an_authorization_of_a_job_that_is_not_killed_cannot_be_deleted_and_the_job_is_named() {
    let mut map = state();
    map.apply(decide_create(&map, &segment("j"))).unwrap();
    let number = account(7).number;
    let delete_storage = |map: &Map| crate::storage::tests::delete(map, STORAGE);
    let delete_braze = |map: &Map| crate::authorization::decide_delete(map, number, BRAZE, &Removed::default(), None);
    for refused in [delete_storage(&map), delete_braze(&map)] {
        let Err(Error::FailedPrecondition(text)) = refused else {
            panic!("{refused:?}")
        };
        assert!(text.contains(NAME) && text.contains("label of j"), "{text}");
    }
    moved(&mut map, ImportMove::Kill).unwrap();
    assert!(delete_storage(&map).is_ok() && delete_braze(&map).is_ok());
}

#[test]
fn an_account_that_imports_something_cannot_be_deleted() {
    let mut map = state_with_job();
    let delete = |map: &Map| crate::account::decide_delete(map, account(7).number, None);
    let error = delete(&map).unwrap_err().to_string();
    assert!(error.contains(NAME) && error.contains(STORAGE), "{error}");
    map.apply(decide_delete(&map, NAME, None)).unwrap();
    map.apply(crate::storage::tests::delete(&map, STORAGE)).unwrap();
    let braze = crate::authorization::decide_delete(&map, account(7).number, BRAZE, &Removed::default(), None);
    map.apply(braze).unwrap();
    assert!(delete(&map).is_ok());
}

#[test]
fn a_job_whose_record_cannot_be_read_still_exists_until_it_is_deleted() {
    let mut map = state_with_job();
    let damaged = "accounts/7/importJobs/k";
    map.insert(&format!("importJob/{damaged}"), b"\xff\xff");
    let all = |map: &Map| -> AllImportJobs { record::scan(map, "accounts/").collect() };
    let read = all(&map);
    assert_eq!((read.jobs.len(), read.unreadable), (1, vec![damaged.to_owned()]));
    let error = crate::account::decide_delete(&map, account(7).number, None).unwrap_err();
    assert!(error.to_string().contains(damaged), "{error}");
    map.apply(decide_delete(&map, damaged, None)).unwrap();
    assert_eq!(all(&map).unreadable, [""; 0]);
    assert!(matches!(decide_delete(&map, damaged, None), Err(Error::NotFound(_))));
}
