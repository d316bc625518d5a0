//! Trying a mapping out: what each column gave, or why it gave nothing.

use ingest_svc::normalize::{Mapping, Nothing, RawRecord, Tested, test};

use super::{RECEIVED, normalize, text};

fn tested(mapping: &Mapping, json: &str) -> Tested {
    let raw = RawRecord {
        account: 1234,
        stream: mapping.stream(),
        json: json.as_bytes(),
        timestamp_field: None,
    };
    let tested = test(mapping, &raw, RECEIVED);
    assert_eq!(tested.outcome, normalize(mapping, &raw, RECEIVED), "{json}");
    tested
}

/// A line for each column.
fn lines(tested: Tested) -> Vec<String> {
    let line = |column: ingest_svc::normalize::TestedColumn| match column.value {
        Ok(value) => format!("{} = {}", column.field, text(value.kind.unwrap())),
        Err(nothing) => format!("{}: {nothing}", column.field),
    };
    tested.columns.into_iter().map(line).collect()
}

#[test]
fn each_column_tells_its_value_or_why_it_has_none() {
    let mapping = Mapping::parse(
        "SELECT id, email(mail) AS email, todate(lower.born) AS born, tolower(emaildomain(oneof(a, mail))) AS domain,\n\
         plan IF plan == \"gold\", n KIND int, n AS none KIND []string, a + 1 AS sum, name + 1 AS more, long KIND date, tw,\n\
         match(\"x_\") AS xs, yy(tags) AS year, match(\"t\") AS map KIND int\n\
         FROM s INTO user BY id OR tw ALIAS a",
    )
    .unwrap();
    let long = "x".repeat(61);
    let record = serde_json::json!({
        "id": "1", "mail": "x@", "plan": "tin", "n": "", "name": "Ann", "long": long, "tw": " ", "tags": ["a", "b"],
    });
    assert_eq!(
        lines(tested(&mapping, &record.to_string())),
        [
            "id = 1",
            "email: `email` makes nothing of \"x@\"",
            "born: the record has no value in `lower.born`",
            "domain: `emaildomain` makes nothing of \"x@\"",
            "plan: its IF is not true",
            "n: \"\" is not a value of kind int, or is empty",
            "none: \"\" is not a value of kind []string, or is empty",
            "sum: the record has no value in `a`",
            "more: its operators have nothing that they can work on",
            &format!("long: \"{}…\" is not a value of kind date, or is empty", "x".repeat(60)),
            "tw: what is blank or longer than 256 bytes identifies nobody",
            "xs: `match` makes nothing of \"x_\"",
            "year: `yy` makes nothing of a list of 2",
            "map: a map of 2 is not a value of kind int, or is empty",
        ]
    );
}

#[test]
fn what_becomes_of_the_record_is_told_beside_its_columns() {
    let mapping = Mapping::parse("SELECT id, a FROM s INTO user BY id WHERE a != 2 ALIAS a").unwrap();
    let whole = tested(&mapping, r#"{"id":"1","a":3}"#);
    assert_eq!(whole.outcome.as_ref().unwrap().event.fields.len(), 2);
    assert_eq!(lines(whole), ["id = 1", "a = 3"]);
    let nobody = tested(&mapping, r#"{"a":3}"#);
    assert_eq!(nobody.outcome.as_ref().unwrap_err().code(), "no_identity");
    assert_eq!(lines(nobody), ["id: the record has no value in `id`", "a = 3"]);
    let not_wanted = tested(&mapping, r#"{"id":1,"a":2}"#);
    assert_eq!(
        (not_wanted.outcome.unwrap_err().code(), not_wanted.columns),
        ("not_wanted", vec![])
    );
    let broken = tested(&mapping, "{");
    assert_eq!(
        (broken.outcome.unwrap_err().code(), broken.columns),
        ("malformed", vec![])
    );
}

#[test]
fn a_field_that_is_there_but_empty_is_as_good_as_missing() {
    let mapping = Mapping::parse("SELECT id, a, b FROM s INTO user BY id ALIAS a").unwrap();
    let columns = tested(&mapping, r#"{"id":1,"a":null,"b":[]}"#).columns;
    for (column, field) in columns[1..].iter().zip(["a", "b"]) {
        assert_eq!(
            column.value,
            Err(Nothing::NoField {
                field: field.to_owned()
            })
        );
    }
}
