//! §1: keys, permissions, source addresses.

use braze_sim::{Key, Options};
use serde_json::json;

use crate::support::{Answer, Rig, request};

const BODY: &str = r#"{"attributes":[{"external_id":"cust-1","tier":"gold"}]}"#;

async fn with_authorization(rig: &Rig, authorization: &str) -> Answer {
    let headers = format!("{authorization}content-type: application/json\r\n");
    rig.raw(&request("/users/track", &headers, BODY)).await.unwrap()
}

#[tokio::test]
async fn s1_a_known_key_is_let_in() {
    let rig = Rig::start().await;
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer sim-key\r\n")
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn s1_2_an_unknown_key_gets_401_that_echoes_it() {
    let rig = Rig::start().await;
    let answer = with_authorization(&rig, "authorization: Bearer wrong-5678\r\n").await;
    assert_eq!(
        (answer.status, answer.json()),
        (401, json!({"message": "Invalid API key: wrong-5678"}))
    );
    assert!(rig.users().is_empty());
}

#[tokio::test]
async fn s1_2_a_missing_or_malformed_header_gets_401() {
    let rig = Rig::start().await;
    for header in [
        "",
        "authorization: sim-key\r\n",
        "authorization: Bearer \"sim-key\"\r\n",
        "authorization: Basic sim-key\r\n",
    ] {
        let answer = with_authorization(&rig, header).await;
        assert_eq!(answer.status, 401, "{header}");
        assert!(
            answer.json()["message"]
                .as_str()
                .unwrap()
                .starts_with("Invalid API key: ")
        );
    }
}

#[tokio::test]
async fn s1_1_a_key_without_the_permission_gets_403() {
    let options = Options {
        keys: vec![Key::new("sim-key").with_permissions(["users.export.ids"])],
        ..Options::default()
    };
    let rig = Rig::of(options).await;
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer sim-key\r\n")
            .await
            .status,
        403
    );
    let export = rig
        .post("/users/export/ids", r#"{"external_ids":["a"]}"#)
        .await
        .unwrap();
    assert_eq!(export.status, 201, "the permission that it has works");
}

#[tokio::test]
async fn s1_2_a_missing_permission_is_401_by_switch() {
    let options = Options {
        keys: vec![Key::new("sim-key").with_permissions(["users.export.ids"])],
        ..Options::default()
    };
    let rig = Rig::of(options).await;
    rig.handle
        .change_settings(|settings| settings.missing_permission_status = 401);
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer sim-key\r\n")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn s1_a_key_is_refused_from_an_address_that_is_not_on_its_list() {
    let here = Key {
        sources: vec!["127.0.0.1".parse().unwrap()],
        ..Key::new("here")
    };
    let there = Key {
        sources: vec!["192.0.2.1".parse().unwrap()],
        ..Key::new("there")
    };
    let rig = Rig::of(Options {
        keys: vec![here, there],
        ..Options::default()
    })
    .await;
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer here\r\n").await.status,
        201
    );
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer there\r\n").await.status,
        403
    );
}

#[tokio::test]
async fn s1_a_key_reaches_the_users_of_its_own_workspace_only() {
    let rig = Rig::start().await;
    rig.handle.put_key(Key::new("other-key").in_workspace("other"));
    assert_eq!(
        with_authorization(&rig, "authorization: Bearer other-key\r\n")
            .await
            .status,
        201
    );
    crate::support::within(rig.handle.idle()).await;
    assert_eq!((rig.users().len(), rig.handle.users("other").len()), (0, 1));
}
