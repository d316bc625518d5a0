//! §3.6: what an answer says.

use braze_sim::ErrorForm;
use serde_json::json;

use crate::support::{Rig, within};

const NO_USABLE_ARRAY: &str = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.";
const MIXED: &str = r#"{"attributes":[
    {"external_id":"good-0","n":1},
    {"external_id":"bad-1","email_subscribe":"yes"},
    {"external_id":"good-2","n":1},
    {"external_id":"bad-3","push_subscribe":"yes"},
    {"external_id":"bad-4","braze_id":"64b1f0a2c9e77b0012aa34cd"}]}"#;

#[tokio::test]
async fn s3_6_all_accepted_is_201_with_the_count() {
    let rig = Rig::start().await;
    let answer = rig
        .track(r#"{"attributes":[{"external_id":"a","n":1},{"external_id":"b","n":1}]}"#)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!({"attributes_processed": 2, "message": "success"}))
    );
}

#[tokio::test]
async fn s3_6_each_array_that_was_sent_is_counted_and_no_other() {
    let rig = Rig::start().await;
    let event = r#"{"external_id":"a","name":"e","time":"2026-01-01"}"#;
    let purchase = r#"{"external_id":"a","product_id":"p","currency":"EUR","price":1,"time":"2026-01-01"}"#;
    let answer = rig
        .track(&format!(r#"{{"events":[{event},{event}],"purchases":[{purchase}]}}"#))
        .await;
    let counts = json!({"events_processed": 2, "purchases_processed": 1, "message": "success"});
    assert_eq!((answer.status, answer.json()), (201, counts));
    let answer = rig.track(&format!(r#"{{"attributes":[],"events":[{event}]}}"#)).await;
    assert_eq!(
        answer.json(),
        json!({"attributes_processed": 0, "events_processed": 1, "message": "success"})
    );
}

#[tokio::test]
async fn s3_6_some_refused_is_201_with_an_error_for_each() {
    let rig = Rig::start().await;
    let answer = rig.track(MIXED).await;
    let expected = json!({
        "attributes_processed": 2,
        "errors": [
            {"index": 1, "input_array": "attributes", "type": "'email_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'"},
            {"index": 3, "input_array": "attributes", "type": "'push_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'"},
            {"index": 4, "input_array": "attributes", "type": "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"}
        ],
        "message": "success"
    });
    assert_eq!((answer.status, answer.json()), (201, expected));
    within(rig.handle.idle()).await;
    let ids: Vec<_> = rig.users().into_iter().filter_map(|user| user.external_id).collect();
    assert_eq!(ids, ["good-0", "good-2"], "the others are processed");
}

#[tokio::test]
async fn s3_6_an_index_counts_inside_its_own_array() {
    let rig = Rig::start().await;
    let body = r#"{"attributes":[{"external_id":"a","n":1}],"events":[{"external_id":"a","time":"2026-01-01"}]}"#;
    let answer = rig.track(body).await;
    let errors = json!([{"index": 0, "input_array": "events", "type": "'name' is required"}]);
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &errors));
    assert_eq!(answer.json()["events_processed"], 0);
}

#[tokio::test]
async fn s3_6_all_refused_is_400_with_the_errors() {
    let rig = Rig::start().await;
    let answer = rig.track(r#"{"attributes":[{"external_id":"a","email":"no"}]}"#).await;
    let expected = json!({
        "message": NO_USABLE_ARRAY,
        "errors": [{"index": 0, "input_array": "attributes", "type": "The value provided for the 'email' field is not a valid email."}]
    });
    assert_eq!((answer.status, answer.json()), (400, expected));
}

#[tokio::test]
async fn s3_6_all_refused_carries_the_counts_too_by_switch() {
    let rig = Rig::with(|settings| settings.all_refused_with_processed = true).await;
    let answer = rig.track(r#"{"attributes":[{"external_id":"a","email":"no"}]}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["attributes_processed"]),
        (400, &json!(0))
    );
    assert_eq!(answer.json()["errors"][0]["index"], 0);
}

#[tokio::test]
async fn s3_6_no_usable_array_is_400() {
    let rig = Rig::start().await;
    for body in [
        "{}",
        "[]",
        r#"{"attributes":[]}"#,
        r#"{"attributes":{}}"#,
        r#"{"users":[{"external_id":"a"}]}"#,
        "7",
    ] {
        let answer = rig.track(body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (400, json!({"message": NO_USABLE_ARRAY})),
            "{body}"
        );
    }
}

#[tokio::test]
async fn s3_6_codes_stand_in_for_sentences_by_switch() {
    let rig = Rig::with(|settings| settings.errors = ErrorForm::Codes).await;
    let answer = rig.track(MIXED).await;
    let errors = json!([
        {"index": 1, "input_array": "attributes", "type": "BAD_EMAIL_SUBSCRIPTION_STATE"},
        {"index": 3, "input_array": "attributes", "type": "BAD_PUSH_SUBSCRIPTION_STATE"},
        {"index": 4, "input_array": "attributes", "type": "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"}
    ]);
    assert_eq!(
        (answer.status, &answer.json()["errors"]),
        (201, &errors),
        "a rule without a code keeps its sentence"
    );
}

#[tokio::test]
async fn s3_6_errors_are_plain_strings_by_switch() {
    let rig = Rig::with(|settings| settings.errors = ErrorForm::Strings).await;
    let answer = rig.track(r#"{"attributes":[{"external_id":"a","n":1},{"n":1}]}"#).await;
    let errors = json!(["'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required"]);
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &errors));
}

#[tokio::test]
async fn s3_6_errors_lack_their_index_by_switch() {
    let rig = Rig::with(|settings| settings.error_index = false).await;
    let answer = rig
        .track(r#"{"attributes":[{"external_id":"a","n":1},{"external_id":"b","email":"no"}]}"#)
        .await;
    let errors = json!([{"input_array": "attributes", "type": "The value provided for the 'email' field is not a valid email."}]);
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &errors));
}

#[tokio::test]
async fn s3_6_broken_json_is_400_with_error_instead_of_message() {
    let rig = Rig::start().await;
    let expected = json!({"error": "Error while parsing request body. Please check your syntax."});
    for body in [
        "",
        "{",
        r#"{"attributes":[{"external_id":"a"}]"#,
        r#"{"attributes":[]} x"#,
        "attributes=1",
    ] {
        let answer = rig.track(body).await;
        assert_eq!((answer.status, answer.json()), (400, expected.clone()), "{body}");
    }
}
