//! Statements that are refused, validated and tried out.

use model::Role;
use proto::mapping::v1 as wire;
use proto::mapping::v1::test_mapping_request::Mapping as Tried;
use proto::mapping::v1::test_mapping_response::Outcome;
use proto::mapping::v1::tested_column::Outcome as Column;
use tonic::Code;
use tonic_types::StatusExt;

use super::{WEB, client, get, name, parent, put, try_put};
use crate::harness;

#[tokio::test]
async fn a_put_with_problems_is_refused_with_all_of_them_and_changes_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    let lql = "SELECT emial(x) AS email,\n  y AS y KIND colour\nFROM web INTO user BY email ALIAS web";
    let status = try_put(&mut client, account, lql, None).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let told: Vec<_> = violations
        .iter()
        .map(|one| (one.field.as_str(), &one.description[..5]))
        .collect();
    assert_eq!(told, [("lql", "1:8: "), ("lql", "2:15:")]);
    assert_eq!(
        get(&mut client, &name(account, "web"), None).await.unwrap_err().code(),
        Code::NotFound
    );
    // However many there are, and whatever they quote, the refusal arrives.
    for fault in [
        "nope(x) AS y".to_owned(),
        format!("x AS y KIND `{}`", "\u{fffd}".repeat(400)),
    ] {
        let columns = vec![fault; 50].join(",");
        let lql = format!("SELECT {columns} FROM s INTO user BY y ALIAS a");
        let status = try_put(&mut client, account, &lql, None).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(
            status.message().ends_with("more; ValidateMapping tells them all"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn validating_tells_every_problem_with_its_position_and_puts_nothing() {
    let service = harness::shared().await;
    let (account, _) = service.sender().await;
    let observer = service.token(account, Role::Observer, None).await;
    let mut client = client(service, &observer).await;
    let mut validate = async |lql: &str| {
        let request = wire::ValidateMappingRequest {
            parent: parent(account),
            lql: lql.to_owned(),
        };
        let answer = client.validate_mapping(request).await.unwrap().into_inner();
        let problems = answer.problems.into_iter();
        problems
            .map(|problem| (problem.line, problem.column, problem.message))
            .collect::<Vec<_>>()
    };
    let problems = validate("SELECT a,\n  nope(b) AS b\nFROM web INTO things BY c ALIAS `my web`").await;
    let places: Vec<_> = problems.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(2, 3), (3, 15), (3, 25), (3, 33)]);
    assert_eq!(problems[0].2, "unknown function `nope`; docs/mapping.md lists all");
    assert_eq!(validate(WEB).await, []);
    let listed = wire::ListMappingsRequest {
        parent: parent(account),
        ..Default::default()
    };
    assert!(
        client
            .list_mappings(listed)
            .await
            .unwrap()
            .into_inner()
            .mappings
            .is_empty()
    );
}

#[tokio::test]
async fn testing_tells_the_event_and_why_a_column_gave_nothing_and_publishes_nothing() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let mut client = client(service, &token).await;
    let lql =
        "SELECT user AS id, email(mail) AS email, city FROM web INTO user BY id WHERE NOT event == \"no\" ALIAS web";
    let put = put(&mut client, account, lql).await;
    let mut test = async |mapping: Option<Tried>, version: Option<u64>, record: &str| {
        let request = wire::TestMappingRequest {
            parent: parent(account),
            mapping,
            version,
            record: record.to_owned().into(),
            timestamp_field: "at".to_owned(),
        };
        client.test_mapping(request).await.map(tonic::Response::into_inner)
    };
    let stored = || Some(Tried::Name(put.name.clone()));
    let record = r#"{"user":"1","mail":"x@","event":"view","at":"2026-01-02"}"#;
    let tested = test(stored(), None, record).await.unwrap();
    let Some(Outcome::Event(event)) = tested.outcome else {
        panic!("{tested:?}")
    };
    assert_eq!((event.mapping.as_str(), event.mapping_version), ("web", 1));
    assert_eq!((event.stream.as_str(), event.account), ("web", account.get()));
    assert_eq!(event.event_time.unwrap().seconds, 1_767_312_000);
    let columns: Vec<_> = tested
        .columns
        .into_iter()
        .map(|column| (column.field, column.outcome.unwrap()))
        .collect();
    assert!(matches!(&columns[0], (field, Column::Value(_)) if field == "id"));
    let nothing = |text: &str| Column::NothingBecause(text.to_owned());
    assert_eq!(
        columns[1],
        ("email".to_owned(), nothing("`email` makes nothing of \"x@\""))
    );
    assert_eq!(
        columns[2],
        ("city".to_owned(), nothing("the record has no value in `city`"))
    );

    let not_wanted = test(stored(), None, r#"{"user":"1","event":"no"}"#).await.unwrap();
    assert_eq!(not_wanted.outcome, Some(Outcome::NotWanted(true)));
    let nobody = test(Some(Tried::Lql(WEB.to_owned())), None, "{}").await.unwrap();
    assert!(matches!(nobody.outcome, Some(Outcome::RejectedReason(reason)) if reason.contains("identifies nobody")));
    let built_in = test(
        Some(Tried::Name(name(account, "braze_users"))),
        Some(0),
        r#"{"email":"a@example.com"}"#,
    )
    .await;
    assert!(matches!(built_in.unwrap().outcome, Some(Outcome::Event(event)) if event.mapping_version == 0));

    for (mapping, version, code, field) in [
        (None, None, Code::InvalidArgument, "lql: "),
        (
            Some(Tried::Lql("SELECT".to_owned())),
            None,
            Code::InvalidArgument,
            "lql: ",
        ),
        (
            Some(Tried::Name("accounts/1/mappings/web".to_owned())),
            None,
            Code::InvalidArgument,
            "name: ",
        ),
        (stored(), Some(9), Code::NotFound, "version 9 of "),
    ] {
        let status = test(mapping, version, "{}").await.unwrap_err();
        assert!(status.code() == code && status.message().starts_with(field), "{status}");
    }
    service.events(account, 0).await;
    service.rejected(account, 0).await;
}
