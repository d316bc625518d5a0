use proto::mapping::v1::test_mapping_response::Outcome;
use proto::mapping::v1::tested_column::Outcome as ColumnOutcome;
use proto::profile::v1::value::Kind;
use proto::profile::v1::{Identity, ProfileEvent, Value};

use super::*;

fn mapping() -> wire::Mapping {
    wire::Mapping {
        name: "accounts/7/mappings/web".to_owned(),
        stream: "web".to_owned(),
        lql: "SELECT …\n".to_owned(),
        version: 3,
        create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
        revision: 12,
    }
}

#[test]
fn a_mapping_is_lines_and_several_are_a_table() {
    assert_eq!(
        lines(Format::TEXT, &mapping()),
        "name         accounts/7/mappings/web\n\
         stream       web\n\
         version      3\n\
         create_time  1970-01-01T00:00:00Z\n\
         revision     12\n"
    );
    assert_eq!(
        table(Format::TEXT, &[mapping()]),
        "NAME                     STREAM  VERSION  CREATE_TIME           REVISION\n\
         accounts/7/mappings/web  web     3        1970-01-01T00:00:00Z  12\n"
    );
    assert_eq!(table::<wire::Mapping>(Format::TEXT, &[]), "none\n");
}

#[test]
fn as_json_it_has_its_statement_and_a_list_is_one_a_line() {
    let two = table(Format::JSON, &[mapping(), mapping()]);
    for line in two.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (json["version"].as_u64(), json["lql"].as_str()),
            (Some(3), Some("SELECT …\n"))
        );
    }
    assert_eq!(two.lines().count(), 2);
}

#[test]
fn problems_are_told_as_compilers_do() {
    let problem = wire::Problem {
        line: 2,
        column: 7,
        message: "unknown function `x`".to_owned(),
    };
    let answer = wire::ValidateMappingResponse {
        problems: vec![problem],
        problems_left_out: 4,
    };
    let file = Path::new("web.lql");
    assert_eq!(
        show::validated(Format::TEXT, file, &answer),
        "web.lql:2:7: unknown function `x`\nand 4 more\n"
    );
    let good = wire::ValidateMappingResponse::default();
    assert_eq!(show::validated(Format::TEXT, file, &good), "the statement is good\n");
}

#[test]
fn a_tested_record_is_told_column_by_column() {
    let column = |field: &str, outcome| wire::TestedColumn {
        field: field.to_owned(),
        outcome: Some(outcome),
    };
    let identity = Identity {
        field: "id".to_owned(),
        value: "1".to_owned(),
    };
    let event = ProfileEvent {
        identities: vec![identity],
        mapping_version: 3,
        ..Default::default()
    };
    let value = Value {
        kind: Some(Kind::StringValue("1".to_owned())),
    };
    let answer = wire::TestMappingResponse {
        outcome: Some(Outcome::Event(event)),
        columns: vec![
            column("id", ColumnOutcome::Value(value)),
            column("email", ColumnOutcome::NothingBecause("its IF is not true".to_owned())),
        ],
        identities_dropped: 0,
    };
    assert_eq!(
        show::tested(Format::TEXT, &answer),
        "would be published, of id:1\nid     = 1\nemail    nothing: its IF is not true\n"
    );
    let json: serde_json::Value = serde_json::from_str(&show::tested(Format::JSON, &answer)).unwrap();
    assert_eq!(json["event"]["mapping_version"], 3);
    assert_eq!(json["columns"][1]["nothing_because"], "its IF is not true");
}

#[test]
fn a_mapping_is_named_in_full_or_by_its_alias() {
    let full = |wanted: &str, account: Option<u64>| {
        let name = Name {
            wanted: wanted.to_owned(),
            account: account.map(|account| AccountNumber::new(account).unwrap()),
        };
        name.full(name::MAPPINGS).ok()
    };
    let name = Some("accounts/7/mappings/web".to_owned());
    assert_eq!(full("web", Some(7)), name);
    assert_eq!(full("accounts/7/mappings/web", None), name);
    assert_eq!(full("web", None), None);
}
