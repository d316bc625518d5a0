use std::time::Duration;

use serde_json::json;

use super::*;

const KEY: &str = "0f3c-secret";

fn end_of(status: u16, body: Option<&[u8]>, objects: usize) -> End {
    end_of_all(status, body, [objects, 0, 0])
}

/// As [`end`], of a request with so many attributes, events and purchases.
fn mixed(status: u16, body: &Value, counts: [usize; 3]) -> End {
    end_of_all(status, Some(body.to_string().as_bytes()), counts)
}

fn end_of_all(status: u16, body: Option<&[u8]>, counts: [usize; 3]) -> End {
    let rate = RateHints {
        reset: Some(Duration::from_secs(2)),
        ..RateHints::default()
    };
    let status = StatusCode::from_u16(status).unwrap();
    Answer {
        status,
        rate,
        body,
        counts: Counts(counts),
        key: &SecretString::from(KEY),
    }
    .end()
}

fn end(status: u16, body: &Value, objects: usize) -> End {
    end_of(status, Some(body.to_string().as_bytes()), objects)
}

fn rejected(reason: Reason, message: &str) -> Verdict {
    Verdict::Rejected {
        reason,
        message: message.to_owned(),
    }
}

fn retry() -> Verdict {
    Verdict::Retry { message: None }
}

const ONLY_ONE: &str = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'";

#[test]
fn all_objects_of_a_plain_201_are_accepted() {
    let accepted = |objects| End::Accepted {
        verdicts: vec![Verdict::Accepted; objects],
        split: false,
    };
    assert_eq!(
        end(201, &json!({"attributes_processed": 75, "message": "success"}), 75),
        accepted(75)
    );
    assert_eq!(end(201, &json!({"message": "success"}), 2), accepted(2));
    assert_eq!(
        end(
            200,
            &json!({"attributes_processed": 2, "message": "success", "errors": []}),
            2
        ),
        accepted(2)
    );
    assert_eq!(
        end(
            202,
            &json!({"attributes_processed": 2, "message": "queued", "errors": null}),
            2
        ),
        accepted(2)
    );
}

#[test]
fn objects_named_by_index_are_rejected_and_the_others_accepted() {
    let body = json!({
        "attributes_processed": 2,
        "errors": [
            {"index": 1, "input_array": "attributes", "type": "'email_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'"},
            {"index": "3", "input_array": "attributes", "type": ONLY_ONE},
            {"index": 4, "type": "BAD_LOCATION_UPDATE"},
        ],
        "message": "success",
    });
    let verdicts = vec![
        Verdict::Accepted,
        rejected(
            Reason::Value,
            "'email_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'",
        ),
        Verdict::Accepted,
        rejected(Reason::Identifier, ONLY_ONE),
        rejected(Reason::Value, "BAD_LOCATION_UPDATE"),
    ];
    assert_eq!(end(201, &body, 5), End::Accepted { verdicts, split: false });
}

#[test]
fn an_error_that_names_no_object_leaves_none_delivered_and_asks_for_a_split() {
    for entry in [
        json!({"type": "BAD_LOCATION_UPDATE", "input_array": "attributes"}),
        json!("Something was wrong"),
        json!({"type": "BAD_LOCATION_UPDATE", "input_array": "events", "index": 0}),
        json!({"type": "BAD_LOCATION_UPDATE", "index": 3}),
        json!({"type": "BAD_LOCATION_UPDATE", "index": -1}),
        json!(7),
    ] {
        let body = json!({"attributes_processed": 2, "message": "success", "errors": [entry]});
        assert_eq!(
            end(201, &body, 3),
            End::Accepted {
                verdicts: vec![retry(); 3],
                split: true
            },
            "{body}"
        );
    }
}

#[test]
fn what_is_named_beside_an_unnamed_refusal_keeps_its_verdict() {
    let body =
        json!({"attributes_processed": 1, "message": "success", "errors": ["?", {"index": 2, "type": ONLY_ONE}]});
    let verdicts = vec![retry(), retry(), rejected(Reason::Identifier, ONLY_ONE)];
    assert_eq!(end(201, &body, 3), End::Accepted { verdicts, split: true });
}

#[test]
fn a_refusal_of_a_request_with_one_object_names_that_object() {
    for errors in [
        json!([ONLY_ONE]),
        json!(ONLY_ONE),
        json!([{"type": ONLY_ONE}]),
        json!({"message": ONLY_ONE}),
    ] {
        let body = json!({"message": "success", "errors": errors});
        let verdicts = vec![rejected(Reason::Identifier, ONLY_ONE)];
        assert_eq!(end(201, &body, 1), End::Accepted { verdicts, split: false }, "{body}");
    }
}

#[test]
fn a_count_below_the_objects_that_no_error_names_delivers_none_of_them() {
    let body = json!({"attributes_processed": 1, "message": "success", "errors": [{"index": 0, "type": ONLY_ONE}]});
    let verdicts = vec![rejected(Reason::Identifier, ONLY_ONE), retry(), retry()];
    assert_eq!(end(201, &body, 3), End::Accepted { verdicts, split: true });
}

#[test]
fn a_400_that_names_every_object_rejects_each() {
    let text = "The value provided for the 'email' field is not a valid email.";
    let general = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.";
    let mut body = json!({"message": general, "errors": [{"type": text, "input_array": "attributes", "index": 0}]});
    let refused = |verdicts| End::Refused {
        refusal: Refusal::Objects,
        verdicts,
        split: false,
        message: general.to_owned(),
    };
    assert_eq!(end(400, &body, 1), refused(vec![rejected(Reason::Value, text)]));
    body["attributes_processed"] = json!(0);
    assert_eq!(
        end(400, &body, 2),
        refused(vec![rejected(Reason::Value, text), retry()]),
        "nothing of a 400 was processed"
    );
}

#[test]
fn a_400_about_the_whole_request_is_split_down_to_the_object_that_causes_it() {
    let parse = "Error while parsing request body. Please check your syntax.";
    for (body, refusal, message) in [
        (json!({"error": parse}), Refusal::Malformed, parse),
        (json!({"message": "no"}), Refusal::Malformed, "no"),
        (json!({"message": "no", "errors": ["why"]}), Refusal::Malformed, "no"),
        (
            json!({"message": "Max Input Length Exceeded"}),
            Refusal::TooManyObjects,
            "Max Input Length Exceeded",
        ),
        (
            json!({"message": "Request Entity Too Large"}),
            Refusal::TooLarge,
            "Request Entity Too Large",
        ),
    ] {
        let message = message.to_owned();
        let several = End::Refused {
            refusal,
            verdicts: vec![retry(); 3],
            split: true,
            message: message.clone(),
        };
        assert_eq!(end(400, &body, 3), several, "{body}");
        if body.get("errors").is_none() {
            let verdicts = vec![rejected(Reason::Unusable, &message)];
            assert_eq!(
                end(400, &body, 1),
                End::Refused {
                    refusal,
                    verdicts,
                    split: false,
                    message
                },
                "{body}"
            );
        }
    }
}

#[test]
fn a_400_whose_body_is_lost_is_unknown() {
    let message = "the answer did not arrive whole".to_owned();
    let status = Some(400);
    assert_eq!(end_of(400, None, 1), End::Unknown { status, message });
}

#[test]
fn a_400_that_is_not_brazes_word_condemns_nobody() {
    for page in [
        "<html>Bad Request</html>",
        "",
        "[]",
        "7",
        r#"{"code":400}"#,
        r#"{"message":7}"#,
    ] {
        for objects in [1, 3] {
            let End::Refused {
                refusal,
                verdicts,
                split,
                ..
            } = end_of(400, Some(page.as_bytes()), objects)
            else {
                panic!("{page}: a 4xx is refused")
            };
            assert_eq!(refusal, Refusal::Other { status: 400 }, "{page}");
            assert_eq!((verdicts, split), (vec![retry(); objects], false), "{page}");
        }
    }
}

#[test]
fn a_request_without_objects_tells_a_good_key_from_a_bad_one() {
    let words = json!({"message": "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."});
    let refusal = |status| match end(status, &words, 0) {
        End::Refused { refusal, .. } => refusal,
        end => panic!("{end:?}"),
    };
    assert_eq!(refusal(400), Refusal::Malformed);
    assert_eq!(refusal(401), Refusal::Unauthorized { status: Some(401) });
}

#[test]
fn each_status_has_its_meaning() {
    let body = json!({"message": "words"});
    for (status, refusal, split) in [
        (401, Refusal::Unauthorized { status: Some(401) }, false),
        (403, Refusal::Unauthorized { status: Some(403) }, false),
        (
            429,
            Refusal::RateLimited {
                retry_after: Some(Duration::from_secs(2)),
            },
            false,
        ),
        (413, Refusal::TooLarge, true),
        (404, Refusal::Other { status: 404 }, false),
        (415, Refusal::Other { status: 415 }, false),
        (301, Refusal::Other { status: 301 }, false),
    ] {
        let expected = End::Refused {
            refusal,
            verdicts: vec![retry(); 2],
            split,
            message: "words".to_owned(),
        };
        assert_eq!(end(status, &body, 2), expected);
    }
    for status in [408, 425, 500, 502, 503, 504, 599] {
        assert_eq!(
            end(status, &body, 2),
            End::Unknown {
                status: Some(status),
                message: "words".to_owned()
            }
        );
    }
}

#[test]
fn a_2xx_that_is_not_brazes_word_is_unknown() {
    for body in [
        "",
        "<html>login</html>",
        "[]",
        "{}",
        r#"{"message":"hello"}"#,
        r#"{"message":"succ"#,
    ] {
        assert!(
            matches!(
                end_of(201, Some(body.as_bytes()), 2),
                End::Unknown { status: Some(201), .. }
            ),
            "{body}"
        );
    }
    assert!(matches!(end_of(201, None, 2), End::Unknown { status: Some(201), .. }));
}

#[test]
fn known_faults_are_permanent_and_unknown_ones_are_tried_again() {
    for (words, reason) in [
        ("EXTERNAL_USER_ID_TOO_LARGE", Reason::ExternalIdTooLong),
        ("'external_id' must be fewer than 988 bytes", Reason::ExternalIdTooLong),
        ("BLACKLISTED_EXTERNAL_USER_ID", Reason::Blocked),
        ("provided external_id is blacklisted and disallowed", Reason::Blocked),
        (ONLY_ONE, Reason::Identifier),
        (
            "'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required",
            Reason::Identifier,
        ),
        (
            "'external_id' or 'braze_id' or 'user_alias' is required",
            Reason::Identifier,
        ),
        ("BAD_DEVICE_ID", Reason::Value),
        ("BAD_EMAIL_SUBSCRIPTION_STATE", Reason::Value),
        ("BAD_PUSH_SUBSCRIPTION_STATE", Reason::Value),
        ("BAD_PUSH_TOKEN_APP_ID", Reason::Value),
        ("BAD_SUBSCRIPTION_GROUP_STATE", Reason::Value),
        ("EMAIL_BAD_FORMAT", Reason::Value),
        ("INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO", Reason::Value),
        (
            "The value provided for the 'email' field is not a valid email.",
            Reason::Value,
        ),
        (
            "'push_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'",
            Reason::Value,
        ),
    ] {
        assert_eq!(verdict(words), rejected(reason, words));
    }
    for words in [
        "",
        "INTERNAL_ERROR",
        "Service temporarily unavailable",
        "Please try again",
    ] {
        assert_eq!(
            verdict(words),
            Verdict::Retry {
                message: Some(words.to_owned())
            }
        );
    }
}

#[test]
fn of_several_faults_of_one_object_a_permanent_one_counts() {
    let body = json!({"message": "success", "errors": [
        {"index": 0, "type": "INTERNAL_ERROR"}, {"index": 0, "type": "BAD_DEVICE_ID"}, {"index": 0, "type": ONLY_ONE},
    ]});
    let verdicts = vec![rejected(Reason::Value, "BAD_DEVICE_ID"), Verdict::Accepted];
    assert_eq!(end(201, &body, 2), End::Accepted { verdicts, split: false });
}

#[test]
fn the_key_is_in_no_text() {
    let echo = format!("Invalid API key: {KEY}");
    let clean = "Invalid API key: [redacted]";
    for (status, body) in [
        (401, json!({"message": echo}).to_string()),
        (401, echo.clone()),
        (500, json!({"error": echo}).to_string()),
        (
            400,
            json!({"message": "no", "errors": [{"index": 0, "type": echo}]}).to_string(),
        ),
        (
            201,
            json!({"message": "success", "errors": [{"index": 0, "type": echo}]}).to_string(),
        ),
    ] {
        let text = format!("{:?}", end_of(status, Some(body.as_bytes()), 2));
        assert!(!text.contains(KEY) && text.contains(clean), "{text}");
    }
}

#[test]
fn an_error_is_the_objects_of_the_array_and_index_that_it_names() {
    let body = json!({
        "message": "success", "attributes_processed": 2, "events_processed": 2, "purchases_processed": 1,
        "errors": [
            {"index": 0, "input_array": "events", "type": "'name' is required"},
            {"index": 1, "input_array": "purchases", "type": "'price' must be a number"},
        ],
    });
    let End::Accepted { verdicts, split } = mixed(201, &body, [2, 3, 2]) else {
        panic!("it is accepted")
    };
    let [yes, name, price] = [
        Verdict::Accepted,
        rejected(Reason::Value, "'name' is required"),
        rejected(Reason::Value, "'price' must be a number"),
    ];
    let expected = [&yes, &yes, &name, &yes, &yes, &yes, &price];
    assert_eq!((verdicts.iter().collect::<Vec<_>>(), split), (expected.to_vec(), false));
}

#[test]
fn an_array_of_which_objects_are_missing_leaves_the_others_accepted() {
    let short = json!({"message": "success", "attributes_processed": 2, "events_processed": 1});
    let unplaced = json!({
        "message": "success", "attributes_processed": 2, "events_processed": 2,
        "errors": [{"input_array": "events", "type": "odd"}],
    });
    for body in [short, unplaced] {
        let expected = End::Accepted {
            verdicts: vec![Verdict::Accepted, Verdict::Accepted, retry(), retry()],
            split: true,
        };
        assert_eq!(mixed(201, &body, [2, 2, 0]), expected, "{body}");
    }
    let unknown = json!({"message": "success", "errors": [{"index": 0, "type": "odd"}]});
    let expected = End::Accepted {
        verdicts: vec![retry(); 4],
        split: true,
    };
    assert_eq!(mixed(201, &unknown, [2, 2, 0]), expected, "it may be about any of them");
    let counted = json!({
        "message": "success", "attributes_processed": 2, "events_processed": 1, "errors": [{"index": 0, "type": "odd"}],
    });
    let expected = End::Accepted {
        verdicts: vec![Verdict::Accepted, Verdict::Accepted, retry(), retry()],
        split: true,
    };
    assert_eq!(
        mixed(201, &counted, [2, 2, 0]),
        expected,
        "it is not about those of which all are counted"
    );
    let all = json!({
        "message": "success", "attributes_processed": 2, "events_processed": 2, "errors": [{"index": 0, "type": "odd"}],
    });
    let expected = End::Accepted {
        verdicts: vec![Verdict::Accepted; 4],
        split: false,
    };
    assert_eq!(
        mixed(201, &all, [2, 2, 0]),
        expected,
        "it is about none, if all are counted"
    );
}

#[test]
fn events_alone_are_counted_and_named_as_attributes_alone_are() {
    let body = json!({"message": "ok", "events_processed": 1, "errors": [{"index": 1, "type": "'time' is required"}]});
    let expected = End::Accepted {
        verdicts: vec![Verdict::Accepted, rejected(Reason::Value, "'time' is required")],
        split: false,
    };
    assert_eq!(mixed(201, &body, [0, 2, 0]), expected);
    let other = json!({"message": "ok", "attributes_processed": 2});
    assert!(
        matches!(mixed(201, &other, [0, 2, 0]), End::Unknown { .. }),
        "that is no word about events"
    );
}
