//! §3.6 and §13: the checks of one object, in their order.

use serde_json::Value;

use crate::support::Rig;

/// The sentence and the code with which the only object of `array` is refused.
async fn refusal(rig: &Rig, array: &str, object: &str) -> (String, String) {
    let mut types = Vec::new();
    for form in ["sentences", "codes"] {
        rig.handle
            .change_settings(|settings| settings.errors = serde_json::from_value(Value::from(form)).unwrap());
        let answer = rig.track(&format!(r#"{{"{array}":[{object}]}}"#)).await;
        assert_eq!(answer.status, 400, "{object}: {}", answer.body);
        types.push(answer.json()["errors"][0]["type"].as_str().unwrap().to_owned());
    }
    (types[0].clone(), types[1].clone())
}

async fn assert_code(rig: &Rig, object: &str, code: &str) {
    assert_eq!(refusal(rig, "attributes", object).await.1, code, "{object}");
}

#[tokio::test]
async fn s3_6_what_is_no_object_is_refused() {
    let rig = Rig::start().await;
    for value in ["7", "\"u\"", "null", "[]"] {
        let (sentence, _) = refusal(&rig, "attributes", value).await;
        assert_eq!(sentence, "'attributes' must be an array of objects");
    }
}

#[tokio::test]
async fn s3_6_a_dummy_user_is_refused() {
    let rig = Rig::with(|settings| {
        settings.banned_external_ids.insert("null".to_owned());
    })
    .await;
    let (sentence, code) = refusal(&rig, "attributes", r#"{"external_id":"null","n":1}"#).await;
    assert_eq!(sentence, "provided external_id is blacklisted and disallowed");
    assert_eq!(code, "BLACKLISTED_EXTERNAL_USER_ID");
}

#[tokio::test]
async fn s3_6_a_long_external_id_has_a_code() {
    let rig = Rig::start().await;
    let object = format!(r#"{{"external_id":"{}"}}"#, "x".repeat(988));
    assert_code(&rig, &object, "EXTERNAL_USER_ID_TOO_LARGE").await;
}

#[tokio::test]
async fn s3_6_a_malformed_email_is_refused() {
    let rig = Rig::start().await;
    for email in [
        "a",
        "a@b",
        "@example.org",
        "a b@example.org",
        "a@example..org",
        "a@b@example.org",
    ] {
        let (sentence, code) = refusal(
            &rig,
            "attributes",
            &format!(r#"{{"external_id":"u","email":"{email}"}}"#),
        )
        .await;
        assert_eq!(
            sentence, "The value provided for the 'email' field is not a valid email.",
            "{email}"
        );
        assert_eq!(code, "EMAIL_BAD_FORMAT");
    }
    rig.applied(r#"{"attributes":[{"external_id":"u","email":"a.b+c@mail.example.org"}]}"#)
        .await;
}

#[tokio::test]
async fn s3_6_a_subscription_state_is_one_of_three() {
    let rig = Rig::start().await;
    for (key, code) in [
        ("email_subscribe", "BAD_EMAIL_SUBSCRIPTION_STATE"),
        ("push_subscribe", "BAD_PUSH_SUBSCRIPTION_STATE"),
    ] {
        let refused = refusal(&rig, "attributes", &format!(r#"{{"external_id":"u","{key}":"yes"}}"#)).await;
        assert_eq!(
            refused.0,
            format!("'{key}' must be 'subscribed', 'unsubscribed', or 'opted_in'")
        );
        assert_eq!(refused.1, code);
        for state in ["subscribed", "unsubscribed", "opted_in"] {
            rig.applied(&format!(
                r#"{{"attributes":[{{"external_id":"u","{key}":"{state}"}}]}}"#
            ))
            .await;
        }
    }
}

#[tokio::test]
async fn s3_6_subscription_groups_are_objects_with_an_id_and_a_state() {
    let rig = Rig::start().await;
    let object = |groups: &str| format!(r#"{{"external_id":"u","subscription_groups":{groups}}}"#);
    assert_code(&rig, &object(r#""all""#), "BAD_SUBSCRIPTION_GROUP_ARRAY").await;
    assert_code(&rig, &object(r#"["all"]"#), "BAD_SUBSCRIPTION_GROUP_HASH").await;
    assert_code(
        &rig,
        &object(r#"[{"subscription_state":"subscribed"}]"#),
        "BAD_SUBSCRIPTION_GROUP_ID",
    )
    .await;
    assert_code(
        &rig,
        &object(r#"[{"subscription_group_id":"g","subscription_state":"opted_in"}]"#),
        "BAD_SUBSCRIPTION_GROUP_STATE",
    )
    .await;
    let good = object(r#"[{"subscription_group_id":"g","subscription_state":"subscribed"}]"#);
    rig.applied(&format!(r#"{{"attributes":[{good}]}}"#)).await;
}

#[tokio::test]
async fn s3_6_a_location_has_a_longitude_and_a_latitude() {
    let rig = Rig::start().await;
    assert_code(
        &rig,
        r#"{"external_id":"u","current_location":{"latitude":41.1}}"#,
        "BAD_LOCATION_UPDATE",
    )
    .await;
    rig.applied(r#"{"attributes":[{"external_id":"u","current_location":{"latitude":41.1,"longitude":-8.6}}]}"#)
        .await;
}

#[tokio::test]
async fn s3_6_email_subscription_info_is_not_an_attribute() {
    let rig = Rig::start().await;
    let object = r#"{"external_id":"u","email_subscription_info":{}}"#;
    assert_code(&rig, object, "INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO").await;
}

#[tokio::test]
async fn s13_the_first_check_that_fails_gives_the_error() {
    let rig = Rig::with(|settings| {
        settings.banned_external_ids.insert("null".to_owned());
    })
    .await;
    // Each object has all the faults of those below it.
    let groups = r#""subscription_groups":1"#;
    let push = format!(r#""push_subscribe":"x",{groups}"#);
    let subscribe = format!(r#""email_subscribe":"x",{push}"#);
    let email = format!(r#""email":"x",{subscribe}"#);
    for (object, start) in [
        (
            format!(r#"{{"external_id":"null","braze_id":"b",{email}}}"#),
            "You must specify only one of",
        ),
        (
            format!(r#"{{"external_id":"null",{email}}}"#),
            "provided external_id is blacklisted",
        ),
        (
            format!(r#"{{"external_id":"u",{email}}}"#),
            "The value provided for the 'email'",
        ),
        (format!(r#"{{"external_id":"u",{subscribe}}}"#), "'email_subscribe'"),
        (format!(r#"{{"external_id":"u",{push}}}"#), "'push_subscribe'"),
        (format!(r#"{{"external_id":"u",{groups}}}"#), "'subscription_groups'"),
    ] {
        let (sentence, _) = refusal(&rig, "attributes", &object).await;
        assert!(sentence.starts_with(start), "{object}: {sentence}");
    }
}

#[tokio::test]
async fn s3_12_an_event_needs_a_name_and_a_time() {
    let rig = Rig::start().await;
    assert_eq!(
        refusal(&rig, "events", r#"{"external_id":"u","time":"2026-01-01"}"#)
            .await
            .0,
        "'name' is required"
    );
    assert_eq!(
        refusal(&rig, "events", r#"{"external_id":"u","name":"e"}"#).await.0,
        "'time' is required"
    );
}

#[tokio::test]
async fn s3_12_a_purchase_needs_a_product_a_currency_a_price_and_a_time() {
    let rig = Rig::start().await;
    let good =
        r#"{"external_id":"u","product_id":"p","currency":"EUR","price":9.5,"quantity":100,"time":"2026-01-01"}"#;
    for (part, with) in [
        (r#""product_id":"p","#, ""),
        (r#""currency":"EUR","#, ""),
        (r#""price":9.5,"#, ""),
        (r#","time":"2026-01-01""#, ""),
        (r#""price":9.5"#, r#""price":"9.5""#),
        (r#""EUR""#, r#""euro""#),
        (r#""quantity":100"#, r#""quantity":101"#),
    ] {
        refusal(&rig, "purchases", &good.replace(part, with)).await;
    }
    rig.applied(&format!(r#"{{"purchases":[{good}]}}"#)).await;
}
