//! What is changed of a job.

use super::*;
use crate::export_job::edit::decide_update;

const NAME: &str = "accounts/7/exportJobs/j";

fn update(map: &mut Map, edit: &ExportJobEdit) -> Result<ExportJob, Error> {
    let later: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    map.apply(decide_update(map, NAME, edit, &Removed::default(), None, later))?;
    record::fetch(map, NAME)
}

fn audiences(slugs: &[&str]) -> ExportJobEdit {
    ExportJobEdit {
        audiences: Some(slugs.iter().map(|&slug| slug.to_owned()).collect()),
        start: vec![(0, 90), (1, 4)],
        ..ExportJobEdit::default()
    }
}

#[test]
fn label_and_description_change_and_nothing_else() {
    let mut map = state_with_job();
    let before: ExportJob = record::fetch(&map, NAME).unwrap();
    let edit = ExportJobEdit {
        label: Some("Another".to_owned()),
        description: Some("For the winter".to_owned()),
        ..ExportJobEdit::default()
    };
    let after = update(&mut map, &edit).unwrap();
    assert!(after.revision > before.revision && after.update_time > before.update_time);
    let expected = ExportJob {
        label: "Another".to_owned(),
        description: "For the winter".to_owned(),
        update_time: after.update_time,
        revision: after.revision,
        ..before
    };
    assert_eq!(after, expected);
    let only_one = ExportJobEdit {
        description: Some(String::new()),
        ..ExportJobEdit::default()
    };
    assert_eq!(update(&mut map, &only_one).unwrap().label, "Another");
}

#[test]
fn an_audience_that_is_added_remembers_where_it_began_and_which_number_it_has() {
    let mut map = state_with_job();
    let job = update(&mut map, &audiences(&["gold", "new", "newer"])).unwrap();
    assert_eq!(job.audiences, ["gold", "new", "newer"]);
    assert_eq!(job.new_audiences, ["gold", "new", "newer"], "no job ever exported them");
    let addition = job.addition("newer").unwrap();
    assert_eq!(
        (addition.number, addition.start.as_slice()),
        (1, &[(0, 90), (1, 4)][..])
    );
    assert_eq!(job.addition("new"), Some(addition));
    assert_eq!(job.addition("gold"), None, "it was there from the beginning");

    let new = NewReset {
        audiences: Vec::new(),
        offsets: vec![(0, 5)],
        done: 0,
    };
    map.apply(decide_reset(&map, NAME, &new, None, Timestamp::UNIX_EPOCH))
        .unwrap();
    update(&mut map, &audiences(&["gold", "new"])).unwrap();
    let job = update(&mut map, &audiences(&["gold", "new", "newer"])).unwrap();
    assert_eq!(job.resets[0].number, 2, "resets and additions are counted together");
    let numbers = ["new", "newer"].map(|slug| job.addition(slug).unwrap().number);
    assert_eq!(numbers, [1, 3]);
    assert_eq!(job.new_audiences, ["gold", "new"], "what it had before is not new");
}

#[test]
fn a_number_is_never_given_twice_though_everything_that_had_one_is_gone() {
    let mut map = state_with_job();
    update(&mut map, &audiences(&["gold", "new"])).unwrap();
    assert_eq!(update(&mut map, &audiences(&["gold"])).unwrap().additions, []);
    let job = update(&mut map, &audiences(&["gold", "new"])).unwrap();
    assert_eq!(job.addition("new").unwrap().number, 2);
}

#[test]
fn what_another_job_has_is_refused_as_at_creation() {
    let mut map = state_with_job();
    map.apply(decide_create(&map, &job("k", &["taken"], "b"))).unwrap();
    map.apply(decide_create(&map, &job("l", &["elsewhere"], "c"))).unwrap();
    let label = ExportJobEdit {
        label: Some("label of k".to_owned()),
        ..ExportJobEdit::default()
    };
    for (edit, named) in [(label, "label of k"), (audiences(&["gold", "taken"]), "taken")] {
        let error = update(&mut map, &edit).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists(text) if text.contains("exportJobs/k") && text.contains(named)),
            "{error}"
        );
    }
    update(&mut map, &audiences(&["gold", "elsewhere"])).unwrap();
    map.apply(decide_create(&map, &job("m", &["vip"], "a")))
        .expect("an audience that was removed is free");
}

#[test]
fn an_edit_that_is_based_on_an_older_revision_is_stale_and_a_killed_job_takes_no_audience() {
    let mut map = state_with_job();
    let decided = decide_update(
        &map,
        NAME,
        &audiences(&["gold"]),
        &Removed::default(),
        Some(1),
        Timestamp::UNIX_EPOCH,
    );
    assert!(matches!(decided, Err(Error::Stale(_))));
    let known: ExportJob = record::fetch(&map, NAME).unwrap();
    let killed = ExportJob { killed: true, ..known };
    map.apply(Ok((vec![killed.put()], ()))).unwrap();
    assert!(matches!(
        update(&mut map, &audiences(&["gold"])),
        Err(Error::FailedPrecondition(_))
    ));
    let label = ExportJobEdit {
        label: Some("Old".to_owned()),
        ..ExportJobEdit::default()
    };
    assert_eq!(update(&mut map, &label).unwrap().label, "Old");
    // Also when another job has its audience by now.
    map.apply(decide_create(&map, &job("m", &["vip"], "a"))).unwrap();
    let label = ExportJobEdit {
        label: Some("Older".to_owned()),
        ..ExportJobEdit::default()
    };
    assert_eq!(update(&mut map, &label).unwrap().label, "Older");
}

#[test]
fn additions_end_before_their_record_grows_too_large() {
    let mut map = state_with_job();
    let with = |offsets| ExportJobEdit {
        start: (0..offsets).map(|partition| (partition, i64::MAX)).collect(),
        ..audiences(&["gold", "new"])
    };
    assert!(matches!(
        update(&mut map, &with(50_001)),
        Err(Error::FailedPrecondition(_))
    ));
    let job = update(&mut map, &with(50_000)).unwrap();
    assert!(prost::Message::encoded_len(&job.to_record()) < 900_000);
}

#[test]
fn a_completed_job_takes_an_audience_with_a_later_expiry_and_not_without() {
    let mut map = state_with_job();
    let known: ExportJob = record::fetch(&map, NAME).unwrap();
    let expires = known.options.expire_time.unwrap();
    let update = |map: &mut Map, edit: &ExportJobEdit| {
        let now = expires + jiff::Span::new().hours(1);
        map.apply(decide_update(map, NAME, edit, &Removed::default(), None, now))
    };
    let refused = update(&mut map, &audiences(&["vip", "gold", "new"])).unwrap_err();
    assert!(
        matches!(&refused, Error::FailedPrecondition(text) if text.contains("is completed")),
        "{refused}"
    );
    let capped = ExportJobEdit {
        options: OptionsEdit {
            user_cap: Some(None),
            ..OptionsEdit::default()
        },
        ..audiences(&["vip", "gold", "new"])
    };
    assert!(matches!(update(&mut map, &capped), Err(Error::FailedPrecondition(_))));
    let later = ExportJobEdit {
        options: OptionsEdit {
            expire_time: Some(Some(expires + jiff::Span::new().hours(2))),
            ..OptionsEdit::default()
        },
        ..audiences(&["vip", "gold", "new"])
    };
    let job = update(&mut map, &later).unwrap();
    assert_eq!(job.audiences, ["vip", "gold", "new"]);
}
