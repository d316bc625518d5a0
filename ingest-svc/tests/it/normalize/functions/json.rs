use serde_json::json;

use crate::normalize::{evaluate, text};

#[test]
fn a_path_leads_into_a_json_text() {
    let x =
        r#"[{"name":"n1","ct":8,"share":0.5,"b":true,"tags":["a","b"],"gone":null},{"name":"n2","ct":10,"b":false}]"#;
    let record = json!({"x": x, "bad": "[{,}]", "object": r#"{"name":"bob","city":"portland"}"#});
    for (expression, expected) in [
        (r#"json.jmespath(x, "[?name == 'n1'].name | [0]")"#, Some("n1")),
        (r#"json.jmespath(x, "[0].ct") + 1"#, Some("9")),
        (r#"json.jmespath(x, "[0].share")"#, Some("0.5")),
        (r#"json.jmespath(x, "[?b].b | [0]")"#, Some("true")),
        (r#"len(json.jmespath(x, "[0].tags"))"#, Some("2")),
        (r#"join(json.jmespath(x, "[].name"), "+")"#, Some("n1+n2")),
        (r#"json.jmespath(x, "[0].gone")"#, None),
        (r#"json.jmespath(x, "[7].name")"#, None),
        (r#"json.jmespath(object, "name")"#, Some("bob")),
        (r#"mapkeys(json.jmespath(object, "@"))"#, Some("city|name")),
        (r#"json.jmespath(bad, "name")"#, None),
        (r#"json.jmespath(missing, "name")"#, None),
    ] {
        assert_eq!(
            evaluate(expression, "", &record).map(text).as_deref(),
            expected,
            "{expression}"
        );
    }
}
