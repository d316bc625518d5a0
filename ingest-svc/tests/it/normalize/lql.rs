//! LQL statements: what is accepted and what it means.

use ingest_svc::normalize::{Kind, Mapping};
use proto::profile::v1::MergeOperator;

use super::{run, text};

#[test]
fn the_shipped_mapping_is_the_baselines_table() {
    // Source, profile field, description and kind as the baseline specification lists them, in its order.
    let baseline = [
        ("braze_id", "br_user_id", "Braze User ID", Kind::Text),
        ("city", "city", "City", Kind::Text),
        ("country", "country", "Country", Kind::Text),
        ("email", "email", "Email Address", Kind::Text),
        ("first_name", "first_name", "First Name", Kind::Text),
        ("gender", "gender", "Gender", Kind::Text),
        ("language", "language", "Language", Kind::Text),
        ("last_name", "last_name", "Last Name", Kind::Text),
        ("phone_number", "phone", "Phone Number", Kind::Text),
        ("time_zone", "time_zone", "Time Zone", Kind::Text),
        ("date_of_birth", "birth_date", "Birth Date", Kind::Date),
        ("twitter_handle", "tw_uid", "Twitter User ID", Kind::Text),
    ];
    let mapping = Mapping::braze_users();
    assert_eq!((mapping.alias(), mapping.stream()), ("braze_users", "braze_users"));
    assert_eq!(
        mapping
            .identity()
            .map(|column| column.field.as_str())
            .collect::<Vec<_>>(),
        ["br_user_id", "email", "tw_uid"]
    );
    let columns: Vec<_> = mapping
        .columns()
        .iter()
        .map(|column| {
            (
                column.field.as_str(),
                column.short_description.as_deref().unwrap_or_default(),
                column.kind,
            )
        })
        .collect();
    assert_eq!(
        columns,
        baseline.map(|(_, field, description, kind)| (field, description, kind))
    );
    // Each source on its own fills its field and no other; the two that are normalized are so.
    for (source, field, ..) in baseline {
        let (given, expected) = match source {
            "email" => ("Ann <Ann@Example.com>", "ann@example.com"),
            "date_of_birth" => ("19820101", "1982-01-01T00:00:00Z"),
            _ => (" As Given ", " As Given "),
        };
        let record = serde_json::json!({source: given, "braze_id": if source == "braze_id" { given } else { "me" }});
        let fields = run(mapping, &record.to_string()).unwrap().event.fields;
        let filled = fields
            .into_iter()
            .find(|other| other.name != "br_user_id" || source == "braze_id")
            .unwrap();
        assert_eq!(
            (filled.name.as_str(), text(filled.value.unwrap().kind.unwrap()).as_str()),
            (field, expected)
        );
    }
}

#[test]
fn a_statement_may_be_spelled_freely() {
    let mapping = Mapping::parse(
        "-- a comment, with SELECT in it\n\
         select first-name, -- one name, no subtraction\n\
         `odd name` as odd longdesc 'it' kind String, [from] AS `by` MergeOp OLDEST shortdesc \"a \\\"b\\\"\" if @mail like '*',\n\
         ToDate( date/of.birth ) AS born, 'x' AS x, -7 AS minus, 2.5 AS half, email(email(@mail)) AS mail KIND []string\n\
         alias my-mapping by mail OR `by` into user from web",
    )
    .unwrap();
    assert_eq!((mapping.alias(), mapping.stream()), ("my-mapping", "web"));
    let columns: Vec<_> = mapping
        .columns()
        .iter()
        .map(|column| (column.field.as_str(), column.kind))
        .collect();
    assert_eq!(
        columns,
        [
            ("first-name", Kind::Text),
            ("odd", Kind::Text),
            ("by", Kind::Text),
            ("born", Kind::Date),
            ("x", Kind::Text),
            ("minus", Kind::Int),
            ("half", Kind::Number),
            ("mail", Kind::Texts),
        ]
    );
    assert_eq!(mapping.columns()[1].long_description.as_deref(), Some("it"));
    assert_eq!(mapping.columns()[2].short_description.as_deref(), Some("a \"b\""));
    assert_eq!(mapping.columns()[2].merge_operator, MergeOperator::Oldest);
    assert_eq!(mapping.columns()[0].merge_operator, MergeOperator::Unspecified);
}

#[test]
fn a_guard_decides_for_its_column_and_a_condition_for_the_record() {
    let mapping = Mapping::parse(
        "SELECT id, email(email) AS email IF opt_in AND NOT hasprefix(email, \"test\"), plan AS plan IF plan IN (\"gold\")\n\
         FROM s INTO user BY id WHERE EXISTS id AND event != \"delete\" ALIAS a",
    )
    .unwrap();
    let fields = |json: &str| -> Vec<String> {
        let event = run(&mapping, json).unwrap().event;
        event.fields.into_iter().map(|field| field.name).collect()
    };
    assert_eq!(
        fields(r#"{"id":1,"opt_in":true,"email":"ann@ex.org","plan":"gold","event":"x"}"#),
        ["id", "email", "plan"]
    );
    // False, no value, and what is neither true nor false let nothing through.
    assert_eq!(
        fields(r#"{"id":1,"opt_in":false,"email":"ann@ex.org","plan":"tin"}"#),
        ["id"]
    );
    assert_eq!(fields(r#"{"id":1,"email":"ann@ex.org"}"#), ["id"]);
    assert_eq!(fields(r#"{"id":1,"opt_in":"yes","email":"ann@ex.org"}"#), ["id"]);
    assert_eq!(fields(r#"{"id":1,"opt_in":"true","email":"test@ex.org"}"#), ["id"]);
    let reason = run(&mapping, r#"{"id":1,"event":"delete"}"#).unwrap_err();
    assert_eq!(reason.code(), "not_wanted");
    assert_eq!(reason.to_string(), "the WHERE of the mapping is not true of the record");
    assert_eq!(run(&mapping, r#"{"event":"x"}"#).unwrap_err().code(), "not_wanted");
}

#[test]
fn what_only_a_guard_or_a_condition_uses_is_read_from_the_record_too() {
    let mapping = Mapping::parse("SELECT id IF a.b == 1 FROM s INTO user BY id WHERE c IN (d) ALIAS a").unwrap();
    assert!(run(&mapping, r#"{"id":1,"a":{"b":1},"c":2,"d":2}"#).is_ok());
    assert_eq!(
        run(&mapping, r#"{"id":1,"a":{"b":2},"c":2,"d":2}"#).unwrap_err().code(),
        "no_identity"
    );
    assert_eq!(
        run(&mapping, r#"{"id":1,"a":{"b":1},"c":2,"d":3}"#).unwrap_err().code(),
        "not_wanted"
    );
}
