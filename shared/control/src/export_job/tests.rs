mod edit;
mod guard;
mod moves;
mod options;
mod redrive;
mod removal;
mod writes;

use super::moves::{decide_delete, decide_reset};
use super::*;
use crate::account::tests::account;
use crate::authorization::tests::{authorization, state};
use crate::record::testing::Map;

fn job(id: &str, audiences: &[&str], authorization: &str) -> ExportJob {
    let new = NewExportJob {
        label: format!("label of {id}"),
        description: String::new(),
        audiences: audiences.iter().map(|&slug| slug.to_owned()).collect(),
        authorization: format!("accounts/7/authorizations/{authorization}"),
        identifiers: Identifiers {
            external_id_field: Some("customer_no".to_owned()),
            ..Identifiers::default()
        },
        existing_users: true,
        flush_after: Duration::from_millis(2_500),
        batch_updates_max: 75,
        coalesce: Coalesce::EveryEdge,
        events: AudienceEvents::Exits,
        guard_percent: 35,
        options: Options {
            writes: Writes::default(),
            attribute: ATTRIBUTE.to_owned(),
            update_existing_only: true,
            quiet_window: QuietWindow::from_wire(&wire::QuietWindow {
                start: "22:00".to_owned(),
                end: "06:00".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
            })
            .ok(),
            expire_time: "2027-01-01T00:00:00Z".parse().ok(),
            user_cap: Some(UserCap {
                adds_max: 1_000,
                period: Duration::from_secs(86_400),
            }),
        },
        start: vec![(0, 12), (1, 0)],
    };
    ExportJob {
        id: id.to_owned(),
        ..build(account(7).number, new, "2026-01-01T00:00:00Z".parse().unwrap())
    }
}

/// Account 7 with authorizations `a` and `b` for workspace `w`, `c` for workspace `x`, and job `j` of audience `vip` by `a`.
fn state_with_job() -> Map {
    let mut map = state();
    for (id, workspace) in [("b", "w"), ("c", "x")] {
        map.apply(Ok((vec![authorization(7, id, workspace).put()], ())))
            .unwrap();
    }
    map.apply(decide_create(&map, &job("j", &["vip", "gold"], "a")))
        .unwrap();
    map
}

#[test]
fn a_job_is_read_back_as_it_was_created_with_the_workspace_of_its_authorization() {
    let read: ExportJob = record::fetch(&state_with_job(), "accounts/7/exportJobs/j").unwrap();
    let expected = ExportJob {
        workspace: "7.w".to_owned(),
        new_audiences: vec!["vip".to_owned(), "gold".to_owned()],
        revision: read.revision,
        ..job("j", &["vip", "gold"], "a")
    };
    assert_eq!(read, expected);
}

#[test]
fn every_kind_of_identifier_survives_the_record() {
    let mut map = state();
    let identifiers = Identifiers {
        external_id_field: None,
        braze_id_field: Some("br_id".to_owned()),
        alias: Some(Alias {
            label: "crm".to_owned(),
            field: "crm_id".to_owned(),
        }),
        email_field: Some("email".to_owned()),
        phone_field: Some("phone".to_owned()),
    };
    let wanted = ExportJob {
        identifiers: identifiers.clone(),
        ..job("k", &["vip"], "a")
    };
    map.apply(decide_create(&map, &wanted)).unwrap();
    let read: ExportJob = record::fetch(&map, "accounts/7/exportJobs/k").unwrap();
    assert_eq!(read.identifiers, identifiers);
}

#[test]
fn an_audience_goes_to_a_workspace_by_one_job_only_whatever_the_authorization() {
    let map = state_with_job();
    for authorization in ["a", "b"] {
        let error = decide_create(&map, &job("k", &["new", "gold"], authorization)).unwrap_err();
        let Error::AlreadyExists(text) = &error else {
            panic!("{error}")
        };
        assert!(
            text.contains("accounts/7/exportJobs/j") && text.contains("gold"),
            "{text}"
        );
    }
    assert!(
        decide_create(&map, &job("k", &["gold"], "c")).is_ok(),
        "another workspace"
    );
    assert!(
        decide_create(&map, &to_other(job("k", &["gold"], "a"))).is_ok(),
        "another attribute"
    );
    assert!(
        decide_create(&map, &job("k", &["new"], "a")).is_ok(),
        "another audience"
    );
}

fn to_other(job: ExportJob) -> ExportJob {
    let attribute = "other".to_owned();
    let options = Options {
        attribute,
        ..job.options
    };
    ExportJob { options, ..job }
}

#[test]
fn an_audience_is_new_to_each_attribute_by_itself() {
    let mut map = state_with_job();
    let (changes, created) = decide_create(&map, &to_other(job("k", &["vip"], "a"))).unwrap();
    assert_eq!(created.new_audiences, ["vip"], "nobody has it there");
    map.apply(Ok((changes, created))).unwrap();
    map.apply(decide_delete(&map, "accounts/7/exportJobs/k", None)).unwrap();
    let again = decide_create(&map, &to_other(job("l", &["vip", "new"], "a")))
        .unwrap()
        .1;
    assert_eq!(again.new_audiences, ["new"]);
}

#[test]
fn a_job_of_before_there_were_attributes_has_the_one_that_there_was() {
    let mut record = job("j", &["vip"], "a").to_record();
    let Some(control_record::Resource::ExportJob(stored)) = &mut record.resource else {
        panic!("no job")
    };
    stored.export_job.as_mut().unwrap().attribute.clear();
    assert_eq!(ExportJob::from_record(record, 1).unwrap().options.attribute, ATTRIBUTE);
}

#[test]
fn an_audience_is_new_to_an_instance_once_whatever_becomes_of_the_job_and_its_authorization() {
    let mut map = state_with_job();
    map.apply(decide_delete(&map, "accounts/7/exportJobs/j", None)).unwrap();
    for id in ["a", "b"] {
        let name = format!("accounts/7/authorizations/{id}");
        map.apply(crate::authorization::decide_delete(
            &map,
            account(7).number,
            &name,
            &Removed::default(),
            None,
        ))
        .unwrap();
    }
    map.apply(Ok((vec![authorization(7, "again", "w").put()], ()))).unwrap();
    let new_of = |map: &Map, wanted: &ExportJob| decide_create(map, wanted).unwrap().1.new_audiences;
    assert_eq!(new_of(&map, &job("k", &["vip", "new"], "again")), ["new"]);
    assert_eq!(
        new_of(&map, &job("k", &["vip"], "c")),
        [""; 0],
        "it may be the same workspace by another name"
    );
}

#[test]
fn a_label_is_unique_in_the_account() {
    let wanted = ExportJob {
        label: "label of j".to_owned(),
        ..job("k", &["new"], "c")
    };
    let error = decide_create(&state_with_job(), &wanted).unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyExists(text) if text.contains("label of j")),
        "{error}"
    );
}

#[test]
fn an_authorization_that_does_not_exist_is_not_found() {
    let error = decide_create(&state_with_job(), &job("k", &["new"], "zzz")).unwrap_err();
    assert!(matches!(error, Error::NotFound(name) if name == "accounts/7/authorizations/zzz"));
}

#[test]
fn resets_are_numbered_and_the_newest_are_kept_with_all_that_wait_to_be_carried_out() {
    let mut map = state_with_job();
    let name = "accounts/7/exportJobs/j";
    let reset = |map: &mut Map, done, offset| {
        let new = NewReset {
            audiences: vec!["vip".to_owned()],
            offsets: vec![(1, offset)],
            done,
        };
        let decided = decide_reset(map, name, &new, None, Timestamp::UNIX_EPOCH);
        map.apply(decided)?;
        let job: ExportJob = record::fetch(map, name).unwrap();
        Ok::<_, Error>(job.resets)
    };
    let numbers = |resets: &[Reset]| resets.iter().map(|reset| reset.number).collect::<Vec<_>>();
    assert_eq!(numbers(&reset(&mut map, 0, 5).unwrap()), [1]);
    let both = reset(&mut map, 0, 6).unwrap();
    assert_eq!(numbers(&both), [1, 2]);
    assert_eq!((both[0].offsets[0], both[1].offsets[0]), ((1, 5), (1, 6)));
    assert!(both[1].is_about("vip") && !both[1].is_about("gold"));
    for number in 3..=20 {
        assert_eq!(reset(&mut map, 0, 7).unwrap().len(), number);
    }
    assert!(matches!(reset(&mut map, 0, 8), Err(Error::FailedPrecondition(_))));
    let kept = numbers(&reset(&mut map, 5, 8).unwrap());
    assert_eq!(
        (kept.len(), kept[0], kept[19]),
        (20, 2, 21),
        "the oldest goes, if it is done"
    );
    assert!(matches!(reset(&mut map, 1, 8), Err(Error::FailedPrecondition(_))));
}

#[test]
fn a_deleted_job_frees_its_audiences_and_its_authorization() {
    let mut map = state_with_job();
    map.apply(decide_delete(&map, "accounts/7/exportJobs/j", None)).unwrap();
    assert!(decide_create(&map, &job("k", &["vip"], "b")).is_ok());
    assert!(matches!(
        decide_delete(&map, "accounts/7/exportJobs/j", None),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn an_authorization_in_use_cannot_be_deleted_and_its_jobs_are_named() {
    let mut map = state_with_job();
    let delete = |map: &Map, id: &str| {
        crate::authorization::decide_delete(
            map,
            account(7).number,
            &format!("accounts/7/authorizations/{id}"),
            &Removed::default(),
            None,
        )
    };
    let error = delete(&map, "a").unwrap_err();
    let Error::FailedPrecondition(text) = &error else {
        panic!("{error}")
    };
    assert!(text.contains("accounts/7/exportJobs/j"), "{text}");
    assert!(
        delete(&map, "b").is_ok(),
        "the same workspace, but no job names this one"
    );
    map.apply(decide_delete(&map, "accounts/7/exportJobs/j", None)).unwrap();
    assert!(delete(&map, "a").is_ok());
}

#[test]
fn an_account_that_owns_something_cannot_be_deleted() {
    let mut map = state_with_job();
    let number = account(7).number;
    let error = crate::account::decide_delete(&map, number, None).unwrap_err();
    let Error::FailedPrecondition(text) = &error else {
        panic!("{error}")
    };
    assert!(
        text.contains("accounts/7/exportJobs/j") && text.contains("accounts/7/authorizations/c"),
        "{text}"
    );
    map.apply(decide_delete(&map, "accounts/7/exportJobs/j", None)).unwrap();
    for id in ["a", "b", "c"] {
        let name = format!("accounts/7/authorizations/{id}");
        map.apply(crate::authorization::decide_delete(
            &map,
            number,
            &name,
            &Removed::default(),
            None,
        ))
        .unwrap();
    }
    map.apply(crate::account::decide_delete(&map, number, None)).unwrap();
    let left = map.keys();
    assert!(
        left.iter().all(|key| key.starts_with("exportedAudience/7/")),
        "but for what users at Braze may have: {left:?}"
    );
}

#[test]
fn a_job_whose_record_cannot_be_read_still_exists_until_it_is_deleted() {
    let mut map = state_with_job();
    map.insert("exportJob/accounts/7/exportJobs/k", b"\xff\xff");
    let all = |map: &Map| -> AllExportJobs { record::scan(map, "accounts/").collect() };
    let read = all(&map);
    assert_eq!(read.jobs.len(), 1);
    assert_eq!(read.unreadable, ["accounts/7/exportJobs/k"]);
    let error = decide_create(&map, &job("l", &["new"], "a")).unwrap_err();
    let Error::FailedPrecondition(text) = &error else {
        panic!("{error}")
    };
    assert!(text.contains("accounts/7/exportJobs/k"), "{text}");
    let error = crate::account::decide_delete(&map, account(7).number, None).unwrap_err();
    assert!(error.to_string().contains("accounts/7/exportJobs/k"), "{error}");
    map.apply(decide_delete(&map, "accounts/7/exportJobs/k", None)).unwrap();
    assert_eq!(all(&map).unreadable, [""; 0]);
    assert!(decide_create(&map, &job("l", &["new"], "a")).is_ok());
    assert!(matches!(
        decide_delete(&map, "accounts/7/exportJobs/k", None),
        Err(Error::NotFound(_))
    ));
}
