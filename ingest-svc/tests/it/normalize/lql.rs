//! LQL statements: what is accepted, what it means, and what is said about what is not.

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
        mapping.identity_fields().collect::<Vec<_>>(),
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
         `odd name` as odd longdesc 'it' kind String, [from] AS `by` MergeOp OLDEST shortdesc \"a \\\"b\\\"\",\n\
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

fn problems(text: &str) -> Vec<String> {
    match Mapping::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_problem_of_a_statement_is_told_with_its_place() {
    let text = "\
SELECT a b,
  todate(x,, y) AS c,
  é KIND colour,
  nope(x, never()) AS d MERGEOP most,
  email() AS e, email(a, b) AS e,
  2 AS n MERGEOP sum KIND string,
  todate(x), p KIND AS q, `unclosed AS r,
  s SHORTDESC none, # t, when AS u IF x, v AS v AS v
FROM INTO things
BY a OR n OR e OR e OR when";
    let options = "expected `,`, FROM or an option of the column (AS, SHORTDESC, LONGDESC, KIND, MERGEOP), found";
    assert_eq!(
        problems(text),
        [
            &format!("1:10: {options} `b`"),
            "2:12: expected a field, a text, a number or a call, found `,`",
            "3:10: unknown kind `colour`; there are string, bool, int, number, date, []string, []time, ts[]string, \
             map[string]int, map[string]number, map[string]string, map[string]time, map[string]bool, map[string]intsum",
            "4:3: unknown function `nope`",
            "4:11: unknown function `never`",
            "4:33: unknown merge operator `most`; there are latest, oldest, max, min, sum, count, merge, latestmap, \
             oldestmap, mapmax, mapmin, capped",
            "5:3: `email` takes 1 argument, not 0",
            "5:17: `email` takes 1 argument, not 2",
            "5:32: two columns fill the field `e`",
            "6:18: `sum` cannot merge values of kind string",
            "7:3: the column needs a name: AS <field>",
            "7:21: expected a kind, found `AS`",
            "7:27: the name that ``` begins is not closed by ``` on its line",
            "8:15: expected a text in quotes, found `none`",
            "8:21: `#` does not belong here",
            "8:36: IF is not supported",
            "8:49: the column has two AS",
            "9:6: expected the name of a stream, found `INTO`",
            "9:11: unknown table `things`; there is only `user`",
            "10:4: BY names `a`, which no column fills",
            "10:19: BY names `e` twice",
            "10:24: BY names `when`, which no column fills",
            "10:28: ALIAS <name> is missing",
        ]
    );
}

#[test]
fn what_a_statement_lacks_or_has_twice_is_told() {
    assert_eq!(
        problems(""),
        [
            "1:1: ALIAS <name> is missing",
            "1:1: BY <field> is missing",
            "1:1: FROM <stream> is missing",
            "1:1: INTO <table> is missing",
            "1:1: expected SELECT, found the end",
            "1:1: expected a field, a text, a number or a call, found the end",
        ]
    );
    for (text, problem) in [
        (
            "SELECT a FROM s FROM t INTO user BY a ALIAS q",
            "1:17: `FROM` is stated twice",
        ),
        (
            "SELECT a, FROM s INTO user BY a ALIAS q",
            "1:11: expected a field, a text, a number or a call, found `FROM`",
        ),
        (
            "SELECT a FROM s INTO user BY a OR ALIAS q",
            "1:35: expected a field to identify by, found `ALIAS`",
        ),
        (
            "SELECT a FROM s INTO user BY a WHERE a ALIAS q",
            "1:32: WHERE is not supported",
        ),
        (
            "SELECT a FROM s, t INTO user BY a ALIAS q",
            "1:16: expected FROM, INTO, BY or ALIAS, found `,`",
        ),
        (
            "SELECT a FROM s INTO user BY a ALIAS q SELECT b",
            "1:40: expected FROM, INTO, BY or ALIAS, found `SELECT`",
        ),
        (
            "SELECT a AS b FROM s INTO user BY a ALIAS q",
            "1:35: BY names `a`, which no column fills",
        ),
        (
            "SELECT a KIND geolocation FROM s INTO user BY a ALIAS q",
            "1:15: unknown kind `geolocation`; there are string, bool, int, number, date, []string, []time, ts[]string, \
             map[string]int, map[string]number, map[string]string, map[string]time, map[string]bool, map[string]intsum",
        ),
        (
            "SELECT a KIND int FROM s INTO user BY a ALIAS q",
            "1:39: `a` cannot identify: it is of kind int, not string or []string",
        ),
        ("SELECT a SHORTDESC \"open FROM s", "1:20: the text is not closed by \""),
        (
            "SELECT [] FROM s INTO user BY a ALIAS q",
            "1:8: expected a field, a text, a number or a call, found `[]`",
        ),
        (
            "SELECT a, 9999999999999999999.5.5 AS b FROM s INTO user BY a ALIAS q",
            "1:32: `.` does not belong here",
        ),
    ] {
        assert!(
            problems(text).contains(&problem.to_owned()),
            "{text}: {:?}",
            problems(text)
        );
    }
}

#[test]
fn calls_nested_beyond_reason_are_a_problem_and_no_crash() {
    let nested = |depth: usize| {
        let call = format!("{}x{}", "email(".repeat(depth), ")".repeat(depth));
        Mapping::parse(&format!("SELECT {call} AS a FROM s INTO user BY a ALIAS q"))
    };
    assert!(nested(32).is_ok());
    assert_eq!(
        nested(33).unwrap_err()[0].to_string(),
        "1:206: calls are nested more than 32 deep"
    );
    assert!(nested(100_000).is_err());
}
