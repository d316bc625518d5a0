//! What a job writes: it is kept, it is a place of its own, and it goes without a guard if it is no attribute.

use super::*;
use crate::export_job::edit::decide_update;
use crate::export_job::removal::{check, decide_kill_and_remove};

const NAME: &str = "accounts/7/exportJobs/e";

/// As [`job`], sending events of that name.
fn events(id: &str, name: &str) -> ExportJob {
    let mut job = job(id, &["vip", "gold"], "a");
    job.options.writes = Writes::Events(CustomEvents {
        name: name.to_owned(),
        time_field: Some("since".to_owned()),
    });
    job
}

fn state_with_events() -> Map {
    let mut map = state_with_job();
    map.apply(decide_create(&map, &events("e", "entered"))).unwrap();
    map
}

#[test]
fn a_job_that_sends_events_is_read_back_as_such_beside_one_that_writes_an_attribute() {
    let map = state_with_events();
    let read: ExportJob = record::fetch(&map, NAME).unwrap();
    assert_eq!(read.options.writes, events("e", "entered").options.writes);
    let wire = read.to_wire();
    assert_eq!(
        (
            &*wire.r#type,
            &*wire.event_name,
            &*wire.event_time_field,
            &*wire.attribute
        ),
        ("export_events", "entered", "since", "")
    );
    let attribute: ExportJob = record::fetch(&map, "accounts/7/exportJobs/j").unwrap();
    assert!(attribute.options.writes.is_attribute() && attribute.place() != read.place());
    let mut other = wire::ExportJob {
        r#type: "export_everything".to_owned(),
        ..wire
    };
    assert_eq!(Writes::read(&other), None);
    other.r#type = "export_audiences".to_owned();
    assert_eq!(Writes::read(&other), Some(Writes::Attribute));
}

#[test]
fn a_job_that_sends_purchases_is_read_back_with_where_their_values_come_from() {
    let mut wanted = job("p", &["vip"], "a");
    let source = |field: &str| Source::Field(field.to_owned());
    wanted.options.writes = Writes::Purchases(Box::new(Purchases {
        product_id: Source::Constant("upgrade".to_owned()),
        price: source("price"),
        currency: Source::Constant("EUR".to_owned()),
        quantity: source("many"),
        time_field: Some("since".to_owned()),
    }));
    let mut map = state_with_job();
    map.apply(decide_create(&map, &wanted)).unwrap();
    let read: ExportJob = record::fetch(&map, "accounts/7/exportJobs/p").unwrap();
    assert_eq!(read.options.writes, wanted.options.writes);
    assert!(read.guard.is_off() && !read.leaves_earlier());
    let again = ExportJob {
        label: "another".to_owned(),
        id: "q".to_owned(),
        ..wanted
    };
    let error = decide_create(&map, &again).unwrap_err().to_string();
    assert!(error.contains("exports audience vip to purchase of upgrade"), "{error}");
}

#[test]
fn one_job_only_sends_events_of_a_name_about_an_audience() {
    let map = state_with_events();
    let again = ExportJob {
        label: "another".to_owned(),
        ..events("k", "entered")
    };
    let error = decide_create(&map, &again).unwrap_err().to_string();
    assert!(error.contains("exports audience vip to event entered"), "{error}");
    let named = ExportJob {
        label: "another".to_owned(),
        ..events("k", "moved")
    };
    assert!(decide_create(&map, &named).is_ok());
}

#[test]
fn to_a_job_that_sends_events_every_audience_is_new_whatever_was_sent_before() {
    let mut map = state_with_events();
    assert!(map.apply(decide_delete(&map, NAME, None)).is_ok());
    let (_, again) = decide_create(&map, &events("f", "entered")).unwrap();
    assert_eq!(again.new_audiences, ["vip", "gold"]);
}

#[test]
fn a_job_that_removes_nothing_has_no_guard_and_gets_none() {
    let map = state_with_events();
    let read: ExportJob = record::fetch(&map, NAME).unwrap();
    assert!(read.guard.is_off());
    let edit = |percent| {
        let edit = ExportJobEdit {
            guard_percent: Some(percent),
            ..ExportJobEdit::default()
        };
        decide_update(
            &map,
            NAME,
            &edit,
            &Removed::default(),
            None,
            "2026-01-02T00:00:00Z".parse().unwrap(),
        )
    };
    let error = edit(20).unwrap_err().to_string();
    assert!(error.contains("leave guard_percent out"), "{error}");
    assert!(edit(0).is_ok());
}

#[test]
fn of_a_job_that_writes_no_attribute_no_slugs_are_removed() {
    let map = state_with_events();
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let error = decide_kill_and_remove(&map, NAME, &Removed::default(), None, now).unwrap_err();
    assert!(
        matches!(&error, Error::FailedPrecondition(text) if text.contains("no slugs to remove")),
        "{error}"
    );
    let edit = ExportJobEdit {
        audiences: Some(vec!["vip".to_owned(), "new".to_owned()]),
        start: vec![(0, 12), (1, 0)],
        ..ExportJobEdit::default()
    };
    let decided = decide_update(&map, NAME, &edit, &Removed::default(), None, now);
    assert!(decided.is_ok(), "others come and go all the same");
}

#[test]
fn whoever_removes_a_slug_from_an_attribute_holds_no_events_up() {
    let mut map = state_with_job();
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let none = Removed::default();
    map.apply(decide_kill_and_remove(
        &map,
        "accounts/7/exportJobs/j",
        &none,
        None,
        now,
    ))
    .unwrap();
    let created = |job| decide_create(&map, &job).unwrap().1;
    assert!(check(&map, &created(events("e", "entered")), &none).is_ok());
    assert!(check(&map, &created(job("k", &["vip"], "a")), &none).is_err());
}
