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
