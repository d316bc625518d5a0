//! §3.4: the other kinds of values.

use braze_sim::AttributeType;
use serde_json::{Value, json};

use crate::support::Rig;

/// Applies these values of the attribute `v` to one user, one call each, and gives what is there in the end.
async fn after(rig: &Rig, values: &[&str]) -> Option<Value> {
    for value in values {
        rig.applied(&format!(r#"{{"attributes":[{{"external_id":"u","v":{value}}}]}}"#))
            .await;
    }
    rig.attribute("u", "v")
}

#[tokio::test]
async fn s3_4_literals_are_set_as_they_are() {
    let rig = Rig::start().await;
    for literal in [r#""text""#, r#""""#, "true", "7", "1.5", r#""2026-01-31""#] {
        assert_eq!(
            after(&rig, &[literal]).await,
            Some(serde_json::from_str(literal).unwrap())
        );
    }
}

#[tokio::test]
async fn s3_4_null_unsets_an_attribute_and_a_profile_field() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u","v":1,"first_name":"Ines"}]}"#)
        .await;
    rig.applied(r#"{"attributes":[{"external_id":"u","v":null,"first_name":null}]}"#)
        .await;
    let user = rig.user("u").unwrap();
    assert!(user.custom_attributes.is_empty() && user.fields.is_empty(), "{user:?}");
}

#[tokio::test]
async fn s3_4_reserved_names_are_profile_fields_in_lower_case_only() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u","first_name":"Ines","First_Name":"x"}]}"#)
        .await;
    let user = rig.user("u").unwrap();
    assert_eq!(
        (&user.fields["first_name"], &user.custom_attributes["First_Name"]),
        (&json!("Ines"), &json!("x"))
    );
}

#[tokio::test]
async fn s3_4_inc_adds_to_an_integer_every_time() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"{"inc":3}"#, r#"{"inc":3}"#, r#"{"inc":-1}"#]).await,
        Some(json!(5))
    );
    assert_eq!(after(&rig, &[r#""text""#, r#"{"inc":3}"#]).await, Some(json!("text")));
}

#[tokio::test]
async fn s3_4_a_nested_object_replaces_the_whole_unless_merged() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"{"a":1,"b":{"c":1}}"#, r#"{"b":{"d":2}}"#]).await,
        Some(json!({"b": {"d": 2}}))
    );
    rig.applied(r#"{"attributes":[{"external_id":"u","_merge_objects":true,"v":{"a":1,"b":{"e":3}}}]}"#)
        .await;
    assert_eq!(rig.attribute("u", "v"), Some(json!({"a": 1, "b": {"d": 2, "e": 3}})));
    assert_eq!(
        rig.attribute("u", "_merge_objects"),
        None,
        "a control key is not an attribute"
    );
}

#[tokio::test]
async fn s3_4_one_bad_nested_value_drops_all_nested_updates_of_the_attribute() {
    let rig = Rig::start().await;
    let good = r#"{"a":1,"t":{"$time":"2026-01-31T00:00:00Z"}}"#;
    for bad in [
        r#"{"a":2,"b":null}"#,
        r#"{"a":2,"t":{"$time":"soon"}}"#,
        r#"{"a":2,"b c":1}"#,
        r#"{"a":2,"b.c":1}"#,
    ] {
        assert_eq!(
            after(&rig, &[good, bad]).await,
            Some(serde_json::from_str(good).unwrap()),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn s3_4_a_nested_object_over_the_size_limit_is_not_applied() {
    let rig = Rig::with(|settings| settings.value_bytes_max = 20).await;
    let held = after(&rig, &[r#"{"a":1}"#, r#"{"a":"12345678901234567890"}"#]).await;
    assert_eq!(held, Some(json!({"a": 1})));
}

#[tokio::test]
async fn s3_4_a_string_or_a_name_of_more_than_255_characters_is_silently_not_applied() {
    let rig = Rig::start().await;
    let (longest, longer) = ("ü".repeat(255), "ü".repeat(256));
    assert_eq!(
        after(&rig, &[&format!("\"{longest}\""), &format!("\"{longer}\"")]).await,
        Some(json!(longest))
    );
    rig.applied(&format!(
        r#"{{"attributes":[{{"external_id":"u","{longest}":1,"{longer}":1}}]}}"#
    ))
    .await;
    assert_eq!(
        (rig.attribute("u", &longest), rig.attribute("u", &longer)),
        (Some(json!(1)), None)
    );
}

#[tokio::test]
async fn s3_4_blanks_round_a_name_are_stripped_and_inside_a_value_kept() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u"," v ":" x "}]}"#).await;
    assert_eq!(rig.attribute("u", "v"), Some(json!(" x ")));
}

#[tokio::test]
async fn s3_4_names_are_case_sensitive() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u","v":1,"V":2}]}"#).await;
    assert_eq!(
        (rig.attribute("u", "v"), rig.attribute("u", "V")),
        (Some(json!(1)), Some(json!(2)))
    );
}

#[tokio::test]
async fn s3_4_a_value_of_another_type_than_the_forced_one_is_dropped_without_an_error() {
    let rig = Rig::with(|settings| {
        settings.attribute_types.insert("v".to_owned(), AttributeType::Array);
    })
    .await;
    assert_eq!(
        after(&rig, &[r#"{"add":["a"]}"#, r#""text""#, "1", "true", r#"{"a":1}"#]).await,
        Some(json!(["a"]))
    );
    rig.handle.change_settings(|settings| {
        settings.attribute_types.insert("v".to_owned(), AttributeType::String);
    });
    assert_eq!(after(&rig, &[r#"{"add":["b"]}"#]).await, Some(json!(["a"])));
    assert_eq!(after(&rig, &[r#""text""#]).await, Some(json!("text")));
}

#[tokio::test]
async fn s3_4_a_blocked_attribute_is_ignored_without_an_error() {
    let rig = Rig::with(|settings| {
        settings.blocked_attributes.insert("v".to_owned());
    })
    .await;
    rig.applied(r#"{"attributes":[{"external_id":"u","v":{"add":["a"]},"w":1}]}"#)
        .await;
    assert_eq!(
        (rig.attribute("u", "v"), rig.attribute("u", "w")),
        (None, Some(json!(1)))
    );
}

#[tokio::test]
async fn s3_2_identifiers_cannot_be_unset_or_set_as_attributes() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"u","v":1,"braze_id":null,"user_alias":null}]}"#)
        .await;
    let user = rig.user("u").unwrap();
    assert_eq!(user.external_id.as_deref(), Some("u"));
    assert_eq!(user.custom_attributes.len(), 1);
}
