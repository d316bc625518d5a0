//! Kinds and merge operators: what a column converts to, and what may be folded how.

use ingest_svc::normalize::Mapping;
use proto::profile::v1::MergeOperator;
use serde_json::json;

use super::{evaluate, text};

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
        ("city", "map[string]string", None),
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
