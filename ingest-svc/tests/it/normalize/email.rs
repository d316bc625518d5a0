//! `email`: the reference's table, and the corners of RFC 5322.

use proptest::prelude::*;

use super::{constant, evaluate, of_text, text};

#[test]
fn email_gives_what_the_references_table_says() {
    assert_eq!(
        constant(r#"email("Ann.Lee@Example.COM")"#).as_deref(),
        Some("ann.lee@example.com")
    );
    assert_eq!(
        constant(r#"email("Ann <ann@example.com>")"#).as_deref(),
        Some("ann@example.com")
    );
    for none in [r#"email("Ann <ann>")"#, r#"email("")"#, r#"email("x@")"#, "email(42)"] {
        assert_eq!(constant(none), None, "{none}");
    }
    let list = serde_json::json!({"x": ["p@ex.org", "q@ex.org"]});
    assert_eq!(evaluate("email(x)", "", &list).map(text).as_deref(), Some("p@ex.org"));
}

#[test]
fn one_address_is_found_in_all_its_dress() {
    for (mailbox, address) in [
        ("a@b", "a@b"),
        ("  ann@example.com\t\n", "ann@example.com"),
        ("\u{a0}ann@example.com\u{a0}", "ann@example.com"),
        ("<ann@example.com>", "ann@example.com"),
        ("\"Lee, Ann\" <ann@example.com>", "ann@example.com"),
        ("Dr. Ann B. Lee <ann@example.com>", "ann@example.com"),
        ("=?utf-8?q?J=C3=B6rg?= <joerg@example.com>", "joerg@example.com"),
        ("Jörg Müller <joerg@example.com>", "joerg@example.com"),
        ("ann@example.com (home)", "ann@example.com"),
        ("(home) ann@example.com", "ann@example.com"),
        (
            "Pete(A nice \\) chap) <pete(his (own) account)@silly.test(his host)>",
            "pete@silly.test",
        ),
        ("ann+news_2026@sub.example.co.uk", "ann+news_2026@sub.example.co.uk"),
        ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
        ("\"ann\"@example.com", "ann@example.com"),
        ("\"ann lee\"@example.com", "\"ann lee\"@example.com"),
        ("\"a\\\"b\\\\c\"@example.com", "\"a\\\"b\\\\c\"@example.com"),
        ("\"a..b\"@example.com", "\"a..b\"@example.com"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:DB8::1]", "ann@[ipv6:2001:db8::1]"),
        ("JÖRG@MÜLLER.example", "jörg@müller.example"),
        ("team: ann@example.com;", "ann@example.com"),
    ] {
        assert_eq!(of_text("email(x)", mailbox).as_deref(), Some(address), "{mailbox}");
    }
}

#[test]
fn what_is_no_single_address_gives_no_value() {
    for mailbox in [
        "ann",
        "@example.com",
        "ann@@example.com",
        "ann@b@example.com",
        "a@x.org, b@x.org",
        "a@x.org b@x.org",
        "a@x.org;",
        "Ann <ann@example.com",
        "Ann ann@example.com",
        "Ann <ann@example.com> x",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann@.example.com",
        "ann@example.com.",
        "ann @example.com",
        "\"\"@example.com",
        "\"ann@example.com",
        "ann@[not an address]",
        "ann@[192.0.2.1",
        "ann@example.com (open",
        "ann@example.com )",
        "team: a@x.org, b@x.org;",
        "team:;",
        ": ann@example.com;",
        "ann\u{7}@example.com",
        "mailto:ann@example.com",
        "{{${email_address}}}",
    ] {
        assert_eq!(of_text("email(x)", mailbox), None, "{mailbox}");
    }
}

#[test]
fn other_kinds_and_missing_fields_give_no_value() {
    for record in [
        serde_json::json!({}),
        serde_json::json!({"x": null}),
        serde_json::json!({"x": []}),
        serde_json::json!({"x": 42}),
        serde_json::json!({"x": ["nobody", "ann@example.com"]}),
        serde_json::json!({"x": {"y": "ann@example.com"}}),
    ] {
        assert_eq!(evaluate("email(x)", "", &record), None, "{record}");
    }
}

proptest! {
    #[test]
    fn email_never_panics_and_its_result_is_an_address(
        mailbox in prop_oneof![
            any::<String>(),
            "[a-zA-Zé\"\\\\@.()<>,:;\\[\\] ]{0,24}",
            "[A-Z.]{1,6}@[A-Z.]{1,6}",
            "\"[ -~]{0,8}\"@[a-z]{1,6}",
        ]
    ) {
        if let Some(address) = of_text("email(x)", &mailbox) {
            prop_assert!(address.contains('@'));
            prop_assert_eq!(address.to_lowercase(), address.clone());
            prop_assert_eq!(of_text("email(x)", &address), Some(address));
        }
    }
}
