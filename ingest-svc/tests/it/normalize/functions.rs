//! The functions, a line for each thing that the reference says of one: `expression → what it gives`, or nothing behind the
//! arrow for no value. They see the record below, which arrived at [`RECEIVED`](super::RECEIVED).

mod aggregate;
mod choose;
mod convert;
mod dates;
mod email;
mod hash;
mod json;
mod maps;
mod network;
mod text;
mod url;

use serde_json::{Value, json};

use super::{evaluate, text as printed};

/// Every function of the reference.
pub(super) const FUNCTIONS: [&str; 96] = [
    "tolower",
    "string.lowercase",
    "string.uppercase",
    "string.titlecase",
    "split",
    "string.split",
    "join",
    "strip",
    "string.strip",
    "replace",
    "contains",
    "hasprefix",
    "hassuffix",
    "string.index",
    "string.substr",
    "len",
    "toint",
    "tonumber",
    "tobool",
    "tostring",
    "cast",
    "unsign",
    "todate",
    "todatein",
    "now",
    "totimestamp",
    "epochms",
    "yy",
    "mm",
    "monthofyear",
    "yymm",
    "dayofweek",
    "hourofday",
    "hourofweek",
    "extract",
    "strftime",
    "seconds",
    "unixtrunc",
    "maptime",
    "email",
    "emailname",
    "emaildomain",
    "domain",
    "domains",
    "host",
    "hosts",
    "path",
    "qs",
    "qs2",
    "urldecode",
    "urlmain",
    "urlminusqs",
    "url.matchqs",
    "useragent",
    "useragent.map",
    "ipfilter",
    "oneof",
    "any",
    "all",
    "exists",
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "if",
    "ifcase",
    "set",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "valuect",
    "map",
    "match",
    "mapkeys",
    "mapvalues",
    "mapinvert",
    "filter",
    "filtermatch",
    "array.index",
    "array.slice",
    "hash.md5",
    "hash.sha1",
    "hash.sha256",
    "hash.sha512",
    "hash.sip",
    "hash",
    "encoding.b64encode",
    "encoding.b64decode",
    "json.jmespath",
    "uuid",
    "sqrt",
    "pow",
];

fn record() -> Value {
    json!({
        "event": "hello",
        "price": "$55",
        "born": "10/13/2014",
        "email": "email@email.com",
        "emails": ["email1@email.com", "email2@email.com"],
        "tags": ["a", "b", "c", "d"],
        "more": {"tags": ["a", "b", "a"], "zero": 0, "yes": true, "big": 1_000_000},
        "score_amount": "22",
        "score_": "the prefix alone",
        "tag_name": "bob",
        "same_a": "x",
        "same_b": "x",
        "empty": "",
        "gone": null,
        "none": [],
    })
}

/// What an expression gives for the record.
fn given(expression: &str) -> String {
    evaluate(expression, "", &record()).map(printed).unwrap_or_default()
}

fn check(table: &str) {
    let mut lines = 0;
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (expression, expected) = line.split_once('→').unwrap_or_else(|| panic!("{line}"));
        assert_eq!(given(expression.trim()), expected.trim(), "{}", expression.trim());
        lines += 1;
    }
    assert!(lines > 0);
}
