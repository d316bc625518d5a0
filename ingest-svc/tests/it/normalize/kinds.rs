//! Kinds and merge operators: what a column converts to, and what may be folded how.

use ingest_svc::normalize::{Kind, Mapping};
use proto::profile::v1::MergeOperator;
use proto::profile::v1::value::Kind as Typed;
use serde_json::json;

use super::{RECEIVED, evaluate, text};

const ALL: [&str; 14] = [
    "string",
    "bool",
    "int",
    "number",
    "date",
    "[]string",
    "[]time",
    "ts[]string",
    "map[string]int",
    "map[string]number",
    "map[string]string",
    "map[string]time",
    "map[string]bool",
    "map[string]intsum",
];

#[test]
fn a_column_converts_to_its_kind_or_gives_nothing() {
    let value = |kind: &str, x: serde_json::Value| evaluate("x", kind, &json!({ "x": x })).map(text);
    for (kind, x, expected) in [
        ("", json!("Porto"), Some("Porto")),
        ("KIND string", json!(["p", "q"]), Some("p")),
        ("KIND string", json!(1e3), Some("1000")),
        ("KIND int", json!("$1,234.56"), Some("1234")),
        ("KIND int", json!("many"), None),
        ("KIND number", json!("2.50"), Some("2.5")),
        ("KIND bool", json!(true), Some("true")),
        ("KIND bool", json!("yes"), None),
        ("KIND date", json!("19820101"), Some("1982-01-01T00:00:00Z")),
        ("KIND date", json!("soon"), None),
        ("KIND []string", json!(["a", "b", "", "a", 1]), Some("a|b|1")),
        ("KIND []string", json!("a"), Some("a")),
        ("KIND []string", json!([""]), None),
        ("KIND string", json!(""), None),
        ("KIND string", json!(["", "b"]), None),
        ("KIND string", json!(" "), Some(" ")),
        ("KIND string", json!(null), None),
        ("KIND string", json!([]), None),
        ("KIND string", json!({"y": 1}), None),
    ] {
        assert_eq!(value(kind, x.clone()).as_deref(), expected, "{kind} of {x}");
    }
}

#[test]
fn lists_and_maps_convert_item_by_item() {
    let record = json!({
        "city": "Porto", "list": ["p", "q", "", "p", 1], "dates": ["19820101", "soon", "1982-01-01", "19820102"],
        "m": {"a": "1", "b": "2.5", "c": "x", "d": "19820101", "t": true, "n": null},
    });
    for (expression, kind, expected) in [
        ("city", "", Some("Porto")),
        ("city", "string", Some("Porto")),
        ("list", "string", Some("p")),
        ("list", "[]string", Some("p|q|1")),
        ("city", "[]string", Some("Porto")),
        ("list", "ts[]string", Some("p|q|1")),
        ("dates", "[]time", Some("1982-01-01T00:00:00Z|1982-01-02T00:00:00Z")),
        ("city", "[]time", None),
        ("match(\"m.\")", "map[string]int", Some("a=1|b=2|d=19820101")),
        ("match(\"m.\")", "map[string]intsum", Some("a=1|b=2|d=19820101")),
        ("match(\"m.\")", "map[string]number", Some("a=1|b=2.5|d=19820101")),
        (
            "match(\"m.\")",
            "map[string]string",
            Some("a=1|b=2.5|c=x|d=19820101|t=true"),
        ),
        ("match(\"m.\")", "map[string]time", Some("d=1982-01-01T00:00:00Z")),
        ("match(\"m.\")", "map[string]bool", Some("a=true|t=true")),
        ("city", "map[string]string", None),
        ("match(\"m.\")", "string", None),
        ("valuect(list)", "", Some("1=1|p=2|q=1")),
    ] {
        let clause = if kind.is_empty() {
            String::new()
        } else {
            format!("KIND {kind}")
        };
        assert_eq!(
            evaluate(expression, &clause, &record).map(text).as_deref(),
            expected,
            "{kind} of {expression}"
        );
    }
}

#[test]
fn a_set_ends_after_a_thousand_values() {
    let many: Vec<String> = (0..1_001).map(|n| format!("\"{n}\"")).collect();
    let set = evaluate(&format!("[{}]", many.join(", ")), "", &json!({}))
        .map(text)
        .unwrap();
    assert_eq!(set.split('|').count(), 1_000);
}

#[test]
fn each_kind_is_told_apart_in_the_contract() {
    let record = json!({"x": "1", "m": {"a": "1"}, "d": "19820101"});
    let name = |expression: &str, kind: &str| match evaluate(expression, &format!("KIND {kind}"), &record).unwrap() {
        Typed::StringValue(_) => "string",
        Typed::BoolValue(_) => "bool",
        Typed::IntValue(_) => "int",
        Typed::NumberValue(_) => "number",
        Typed::DateValue(_) => "date",
        Typed::StringList(_) => "[]string",
        Typed::TimeList(_) => "[]time",
        Typed::TimedStringList(_) => "ts[]string",
        Typed::IntMap(_) => "map[string]int",
        Typed::NumberMap(_) => "map[string]number",
        Typed::StringMap(_) => "map[string]string",
        Typed::TimeMap(_) => "map[string]time",
        Typed::BoolMap(_) => "map[string]bool",
        Typed::IntSumMap(_) => "map[string]intsum",
    };
    for kind in ALL {
        let expression = match kind {
            "date" | "[]time" => "d",
            "map[string]time" => "map(\"a\", d)",
            kind if kind.starts_with("map") => "match(\"m.\")",
            _ => "x",
        };
        assert_eq!(name(expression, kind), kind);
    }
}

#[test]
fn without_a_kind_it_is_that_of_the_outermost_function_or_operator() {
    for (expression, kind) in [
        ("x", Kind::Text),
        ("todate(x)", Kind::Date),
        ("toint(x)", Kind::Int),
        ("email(todate(x))", Kind::Text),
        ("oneof(todate(x), now())", Kind::Date),
        ("if(x, toint(x))", Kind::Int),
        ("cast(x AS time)", Kind::Date),
        ("strip(split(x, \",\"))", Kind::Texts),
        ("strip(x)", Kind::Text),
        ("valuect(x)", Kind::IntSumMap),
        ("maptime(x)", Kind::DateMap),
        ("match(\"x\")", Kind::TextMap),
        ("filter(match(\"x\"), \"y\")", Kind::TextMap),
        ("x == 1", Kind::Bool),
        ("NOT x", Kind::Bool),
        ("x BETWEEN 1 AND 2", Kind::Bool),
        ("toint(x) + 1", Kind::Int),
        ("x + 1", Kind::Number),
        ("-toint(x)", Kind::Int),
        ("[\"a\", x]", Kind::Texts),
        ("true", Kind::Bool),
    ] {
        let mapping = Mapping::parse(&format!("SELECT id, {expression} AS v FROM s INTO user BY id ALIAS a")).unwrap();
        assert_eq!(mapping.columns()[1].kind, kind, "{expression}");
    }
}

#[test]
fn merge_operators_fit_the_kinds_of_the_references_table() {
    let maps = &ALL[8..];
    let ordered_maps = [
        "map[string]int",
        "map[string]number",
        "map[string]time",
        "map[string]intsum",
    ];
    let sets = ["[]string", "[]time", "ts[]string"];
    let sets_and_maps = [&sets[..], maps].concat();
    for (operator, code, kinds) in [
        ("latest", MergeOperator::Latest, &ALL[..]),
        ("oldest", MergeOperator::Oldest, &ALL[..]),
        ("max", MergeOperator::Max, &["int", "number", "date"]),
        ("min", MergeOperator::Min, &["int", "number", "date"]),
        ("sum", MergeOperator::Sum, &["int", "number"]),
        ("count", MergeOperator::Count, &["int"]),
        ("merge", MergeOperator::Merge, &sets_and_maps),
        ("latestmap", MergeOperator::LatestMap, maps),
        ("oldestmap", MergeOperator::OldestMap, maps),
        ("mapmax", MergeOperator::MapMax, &ordered_maps),
        ("mapmin", MergeOperator::MapMin, &ordered_maps),
        ("capped", MergeOperator::Capped, &sets),
    ] {
        for kind in ALL {
            let text = format!("SELECT id, x AS v KIND {kind} MERGEOP {operator} FROM s INTO user BY id ALIAS a");
            match Mapping::parse(&text) {
                Ok(mapping) => {
                    assert!(kinds.contains(&kind), "{operator} of {kind}");
                    assert_eq!(mapping.columns()[1].merge_operator, code);
                }
                Err(problems) => {
                    assert!(!kinds.contains(&kind), "{operator} of {kind}");
                    assert!(
                        problems[0].message.contains("cannot merge values of kind"),
                        "{problems:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_merge_operator_travels_with_its_field() {
    let mapping = Mapping::parse("SELECT id, valuect(x) AS v MERGEOP mapmax FROM s INTO user BY id ALIAS a").unwrap();
    let raw = ingest_svc::normalize::RawRecord {
        account: 1,
        stream: "s",
        json: br#"{"id":"1","x":["a","a"]}"#,
        timestamp_field: None,
    };
    let event = super::normalize(&mapping, &raw, RECEIVED).unwrap().event;
    assert_eq!(event.fields[1].merge_operator(), MergeOperator::MapMax);
}
