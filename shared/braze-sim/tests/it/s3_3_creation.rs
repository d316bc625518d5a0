//! §3.3: which unknown identifiers make a user.

use braze_sim::{DEFAULT_WORKSPACE, UserRef};
use serde_json::json;

use crate::support::Rig;

const ALIAS: &str = r#""user_alias":{"alias_name":"9e1d","alias_label":"lytics_uid"}"#;

/// How many users there are after one object with this identifier, and the flag in each of its three states.
async fn created(identifier: &str) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, flag) in counts.iter_mut().zip([
        "",
        r#","_update_existing_only":true"#,
        r#","_update_existing_only":false"#,
    ]) {
        let rig = Rig::start().await;
        let answer = rig
            .track(&format!(r#"{{"attributes":[{{{identifier}{flag},"tier":"gold"}}]}}"#))
            .await;
        assert_eq!(
            (answer.status, answer.json()["attributes_processed"].clone()),
            (201, json!(1)),
            "a skip is not told"
        );
        crate::support::within(rig.handle.idle()).await;
        *count = rig.users().len();
    }
    counts
}

#[tokio::test]
async fn s3_3_an_unknown_external_id_makes_a_user_unless_only_existing_ones_are_to_be_updated() {
    assert_eq!(created(r#""external_id":"cust-1""#).await, [1, 0, 1]);
}

#[tokio::test]
async fn s3_3_an_unknown_alias_makes_a_user_only_if_the_flag_is_false() {
    assert_eq!(created(ALIAS).await, [0, 0, 1]);
}

#[tokio::test]
async fn s3_3_an_unknown_email_makes_a_user_unless_only_existing_ones_are_to_be_updated() {
    assert_eq!(created(r#""email":"a@example.org""#).await, [1, 0, 1]);
}

#[tokio::test]
async fn s3_3_an_unknown_phone_makes_a_user_unless_only_existing_ones_are_to_be_updated() {
    assert_eq!(created(r#""phone":"+351210000000""#).await, [1, 0, 1]);
}

#[tokio::test]
async fn s3_2_a_phone_that_is_no_number_makes_nobody() {
    assert_eq!(created(r#""phone":"210 000 000""#).await, [0, 0, 0]);
}

#[tokio::test]
async fn s3_3_an_unknown_braze_id_never_makes_a_user() {
    assert_eq!(created(r#""braze_id":"64b1f0a2c9e77b0012aa34cd""#).await, [0, 0, 0]);
}

#[tokio::test]
async fn s3_3_an_existing_user_is_updated_whatever_the_flag_says() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"cust-1","tier":"gold"}]}"#)
        .await;
    rig.applied(r#"{"attributes":[{"external_id":"cust-1","_update_existing_only":true,"tier":"blue"}]}"#)
        .await;
    assert_eq!(rig.attribute("cust-1", "tier"), Some(json!("blue")));
    let braze_id = rig.user("cust-1").unwrap().braze_id;
    rig.applied(&format!(
        r#"{{"attributes":[{{"braze_id":"{braze_id}","tier":"red"}}]}}"#
    ))
    .await;
    assert_eq!(rig.attribute("cust-1", "tier"), Some(json!("red")));
    assert_eq!(rig.users().len(), 1);
}

#[tokio::test]
async fn s3_3_an_alias_only_user_is_found_by_label_and_name() {
    let rig = Rig::start().await;
    rig.applied(&format!(
        r#"{{"attributes":[{{{ALIAS},"_update_existing_only":false,"tier":"gold"}}]}}"#
    ))
    .await;
    rig.applied(&format!(r#"{{"attributes":[{{{ALIAS},"tier":"blue"}}]}}"#))
        .await;
    let other = ALIAS.replace("lytics_uid", "other");
    rig.applied(&format!(r#"{{"attributes":[{{{other},"tier":"red"}}]}}"#))
        .await;
    let user = rig
        .handle
        .user(DEFAULT_WORKSPACE, &UserRef::alias("lytics_uid", "9e1d"))
        .unwrap();
    assert_eq!(
        (user.external_id, &user.custom_attributes["tier"]),
        (None, &json!("blue"))
    );
}

#[tokio::test]
async fn s3_3_an_unknown_external_id_with_the_email_of_an_email_only_user_makes_a_duplicate() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"email":"a@example.org","n":1}]}"#).await;
    rig.applied(r#"{"attributes":[{"external_id":"cust-1","email":"a@example.org"}]}"#)
        .await;
    let emails: Vec<_> = rig.users().iter().map(|user| user.fields["email"].clone()).collect();
    assert_eq!(emails, ["a@example.org", "a@example.org"]);
}

#[tokio::test]
async fn s3_2_a_braze_id_has_24_hexadecimal_digits_and_is_the_users_own() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"a","n":1},{"external_id":"b","n":1}]}"#)
        .await;
    let ids: Vec<String> = rig.users().into_iter().map(|user| user.braze_id).collect();
    assert!(
        ids.iter()
            .all(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{ids:?}"
    );
    assert_ne!(ids[0], ids[1]);
}
