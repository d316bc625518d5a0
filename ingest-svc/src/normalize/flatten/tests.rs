use super::*;

impl<'r, F: FnMut(&str, Value<'r>)> Sink<'r> for F {
    fn field(&mut self, path: &str, value: Value<'r>) {
        self(path, value);
    }
}

/// Every field on a line, a list in brackets.
fn flat(json: &str) -> Result<String, Reason> {
    let mut lines = Vec::new();
    flatten(json.as_bytes(), |_| {}, &mut |path: &str, value: Value<'_>| {
        lines.push(match value {
            Value::List(items) => {
                let texts: Vec<_> = items.into_each().filter_map(Value::into_text).collect();
                format!("{path}=[{}]", texts.join(","))
            }
            value => format!("{path}={}", value.into_text().unwrap()),
        });
    })?;
    Ok(lines.join(" "))
}

#[test]
fn nesting_becomes_dots_lists_and_indexes() {
    for (json, expected) in [
        (r#"{"a":{"b":{"c":"x"}},"d":"y"}"#, "a.b.c=x d=y"),
        (r#"{"tags":["a",2,true,null]}"#, "tags=[a,2,true]"),
        (
            r#"{"devices":[{"os":"iOS"},{"os":"Android"}]}"#,
            "devices[0].os=iOS devices[1].os=Android",
        ),
        (
            r#"{"mixed":["a",{"b":1},["c"],null,"d"]}"#,
            "mixed[1].b=1 mixed[2]=[c] mixed[0]=a mixed[4]=d",
        ),
        (r#"{"gone":null,"none":[],"no":{}}"#, "gone=[] none=[]"),
        (r#"{"":{"a":1},"b":{"":2}}"#, ".a=1 b.=2"),
        (r#"{"a.b":1,"a":{"b":2}}"#, "a.b=1 a.b=2"),
        ("{}", ""),
    ] {
        assert_eq!(flat(json).unwrap(), expected, "{json}");
    }
}

#[test]
fn numbers_lose_their_exponent_and_texts_their_escapes() {
    assert_eq!(
        flat(r#"{"n":[1e3,2.50,-0.5,1e21,18446744073709551615,-7,1e-7]}"#).unwrap(),
        "n=[1000,2.5,-0.5,1000000000000000000000,18446744073709551615,-7,0.0000001]"
    );
    assert_eq!(flat(r#"{"t":"Jos\u00e9 \"J\" 😀"}"#).unwrap(), "t=José \"J\" 😀");
}

#[test]
fn a_text_without_escapes_is_borrowed_from_the_record() {
    flatten(br#"{"city":"Porto"}"#, |_| {}, &mut |_: &str, value: Value<'_>| {
        assert!(matches!(value, Value::Text(Cow::Borrowed("Porto"))))
    })
    .unwrap();
}

#[test]
fn what_stands_between_blanks_is_kept_as_it_was_written() {
    let kept = |json: &str| {
        let mut kept = String::new();
        flatten(
            json.as_bytes(),
            |run| kept.push_str(std::str::from_utf8(run).unwrap()),
            &mut |_: &str, _: Value<'_>| {},
        )
        .unwrap();
        kept
    };
    for (json, expected) in [
        (
            "\r\n{ \"a\" :\t\"x \\\" y\" ,\n\"b\":[1.0 , {} ]} ",
            r#"{"a":"x \" y","b":[1.0,{}]}"#,
        ),
        (r#"{"a":null}"#, r#"{"a":null}"#),
        ("{ }", "{}"),
    ] {
        assert_eq!(kept(json), expected);
    }
}

#[test]
fn a_number_of_64_bits_is_exact_and_a_larger_one_a_float() {
    for (json, expected) in [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "18446744073709552000"),
        ("-0", "-0"),
        ("-0.0", "-0"),
        ("0e5", "0"),
    ] {
        assert_eq!(flat(&format!("{{\"n\":{json}}}")).unwrap(), format!("n={expected}"));
    }
    assert!(matches!(flat(r#"{"n":1e400}"#), Err(Reason::Malformed(_))));
}

#[test]
fn nesting_ends_at_127() {
    let nested = |depth: usize| {
        let json = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        flat(&json).map(|flat| flat.len())
    };
    assert_eq!(nested(127), Ok(127 + 126 + 2));
    assert!(matches!(nested(128), Err(Reason::Malformed(_))));
}

#[test]
fn a_list_ends_after_a_thousand_values() {
    let items = vec!["1"; 1_001].join(",");
    flatten(
        format!(r#"{{"a":[{items}]}}"#).as_bytes(),
        |_| {},
        &mut |_: &str, value: Value<'_>| {
            assert!(matches!(value, Value::List(items) if items.len() == 1_000));
        },
    )
    .unwrap();
}

#[test]
fn what_is_not_an_object_is_named() {
    for (json, found) in [
        (" [1]", "a list"),
        ("\"x\"", "a text"),
        ("-1", "a number"),
        ("true", "a truth value"),
        ("null", "null"),
    ] {
        assert_eq!(flat(json), Err(Reason::NotAnObject { found }), "{json}");
    }
}

#[test]
fn broken_text_and_deep_nesting_are_malformed_not_a_panic() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for json in [
        "",
        "{",
        r#"{"a":}"#,
        r#"{"a":1} x"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":-}"#,
        r#"{"a":truest}"#,
        r#"{"a":"\x"}"#,
        "{a:1}",
        "{,}",
        "\u{feff}{}",
        r#"{"a":"line
break"}"#,
        r#"{"a":"\ud800"}"#,
        "{'a':1}",
        &deep,
    ] {
        assert!(matches!(flat(json), Err(Reason::Malformed(_))), "{json}");
    }
    assert!(matches!(
        flatten(b"{\"a\":\"\xff\"}", |_| {}, &mut |_: &str, _: Value<'_>| {}),
        Err(Reason::Malformed(_))
    ));
}
