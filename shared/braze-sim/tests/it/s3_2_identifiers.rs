//! §3.2: whom an object is about.

use braze_sim::{DEFAULT_WORKSPACE, UserRef};
use serde_json::{Value, json};

use crate::support::Rig;

/// The error of a request's only object.
async fn refusal(rig: &Rig, object: &str) -> Value {
    let answer = rig.track(&format!(r#"{{"attributes":[{object}]}}"#)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    answer.json()["errors"][0]["type"].clone()
}

#[tokio::test]
async fn s3_2_two_primary_identifiers_refuse_the_object() {
    let rig = Rig::start().await;
    let text = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'";
    let alias = r#""user_alias":{"alias_name":"n","alias_label":"l"}"#;
    assert_eq!(refusal(&rig, r#"{"external_id":"a","braze_id":"b"}"#).await, text);
    assert_eq!(refusal(&rig, &format!(r#"{{"external_id":"a",{alias}}}"#)).await, text);
    assert_eq!(refusal(&rig, &format!(r#"{{"braze_id":"b",{alias}}}"#)).await, text);
    assert!(rig.users().is_empty());
}

#[tokio::test]
async fn s3_2_an_object_without_an_identifier_is_refused() {
    let rig = Rig::start().await;
    let text = "'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required";
    assert_eq!(refusal(&rig, r#"{"tier":"gold"}"#).await, text);
    assert_eq!(refusal(&rig, r#"{"external_id":null,"tier":"gold"}"#).await, text);
    assert_eq!(refusal(&rig, r#"{"external_id":"","tier":"gold"}"#).await, text);
}

#[tokio::test]
async fn s3_2_a_push_token_import_needs_no_identifier() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"push_token_import":true,"push_tokens":[]}]}"#)
        .await;
    assert!(rig.users().is_empty());
}

#[tokio::test]
async fn s3_2_an_alias_needs_a_name_and_a_label() {
    let rig = Rig::start().await;
    for alias in [
        r#"{"alias_name":"n"}"#,
        r#"{"alias_label":"l"}"#,
        r#""n""#,
        r#"{"alias_name":"n","alias_label":""}"#,
    ] {
        let text = refusal(&rig, &format!(r#"{{"user_alias":{alias}}}"#)).await;
        assert!(text.as_str().unwrap().contains("user_alias"), "{text}");
    }
}

#[tokio::test]
async fn s3_2_an_external_id_has_at_most_987_bytes() {
    let rig = Rig::start().await;
    let longest = "ü".repeat(493) + "x";
    rig.applied(&format!(r#"{{"attributes":[{{"external_id":"{longest}","a":1}}]}}"#))
        .await;
    let text = refusal(&rig, &format!(r#"{{"external_id":"{longest}x"}}"#)).await;
    assert_eq!(text, "'external_id' must be fewer than 988 bytes");
}

#[tokio::test]
async fn s3_2_external_ids_are_case_sensitive() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"Cust","a":1},{"external_id":"cust","a":2}]}"#)
        .await;
    assert_eq!(
        (rig.attribute("Cust", "a"), rig.attribute("cust", "a")),
        (Some(json!(1)), Some(json!(2)))
    );
}

#[tokio::test]
async fn s3_2_email_and_phone_are_profile_fields_beside_a_primary_identifier() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"a","email":"a@example.org","phone":"+351210000000"}]}"#)
        .await;
    let user = rig.user("a").unwrap();
    assert_eq!(
        (&user.fields["email"], &user.fields["phone"]),
        (&json!("a@example.org"), &json!("+351210000000"))
    );
}

#[tokio::test]
async fn s3_2_email_finds_the_user_when_no_primary_identifier_is_there_and_wins_over_phone() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"mail","email":"a@example.org"},{"external_id":"phone","phone":"+351210000000"}]}"#)
        .await;
    rig.applied(r#"{"attributes":[{"email":"a@example.org","phone":"+351210000000","tier":"gold"}]}"#)
        .await;
    assert_eq!(
        (rig.attribute("mail", "tier"), rig.attribute("phone", "tier")),
        (Some(json!("gold")), None)
    );
    rig.applied(r#"{"attributes":[{"phone":"+351210000000","tier":"blue"}]}"#)
        .await;
    // Both profiles hold the number now; the one that was updated last is chosen.
    assert_eq!(rig.attribute("mail", "tier"), Some(json!("blue")));
    assert_eq!(rig.users().len(), 2);
}

#[tokio::test]
async fn s3_2_a_shared_email_means_the_most_recently_updated_user_with_an_external_id() {
    let rig = Rig::start().await;
    // An e-mail-only profile first, so that the two with an external id are duplicates of it.
    rig.applied(r#"{"attributes":[{"email":"a@example.org","n":0}]}"#).await;
    rig.applied(r#"{"attributes":[{"external_id":"old","email":"a@example.org"}]}"#)
        .await;
    rig.applied(r#"{"attributes":[{"external_id":"new","email":"a@example.org"}]}"#)
        .await;
    let by_braze_id = rig.users()[0].braze_id.clone();
    rig.applied(&format!(r#"{{"attributes":[{{"braze_id":"{by_braze_id}","n":1}}]}}"#))
        .await;
    rig.applied(r#"{"attributes":[{"email":"a@example.org","chosen":true}]}"#)
        .await;
    let chosen: Vec<bool> = rig
        .users()
        .iter()
        .map(|user| user.custom_attributes.contains_key("chosen"))
        .collect();
    assert_eq!(
        chosen,
        [false, false, true],
        "anonymous although updated last, old, new"
    );
}

#[tokio::test]
async fn s3_2_a_shared_email_without_any_external_id_means_the_most_recently_updated_user() {
    let rig = Rig::start().await;
    let alias = |name: &str, more: &str| {
        format!(r#"{{"user_alias":{{"alias_name":"{name}","alias_label":"l"}},"_update_existing_only":false,{more}}}"#)
    };
    let email = r#""email":"a@example.org""#;
    rig.applied(&format!(
        r#"{{"attributes":[{},{}]}}"#,
        alias("one", email),
        alias("two", email)
    ))
    .await;
    rig.applied(&format!(r#"{{"attributes":[{}]}}"#, alias("one", r#""n":1"#)))
        .await;
    rig.applied(r#"{"attributes":[{"email":"a@example.org","chosen":true}]}"#)
        .await;
    let one = rig.handle.user(DEFAULT_WORKSPACE, &UserRef::alias("l", "one")).unwrap();
    let two = rig.handle.user(DEFAULT_WORKSPACE, &UserRef::alias("l", "two")).unwrap();
    assert_eq!(
        (one.custom_attributes.get("chosen"), two.custom_attributes.get("chosen")),
        (Some(&json!(true)), None)
    );
}
