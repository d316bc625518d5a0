//! §5.6: looking users up through Braze's own API.

use serde_json::json;

use crate::support::Rig;

async fn export(rig: &Rig, body: &str) -> serde_json::Value {
    let answer = rig.post("/users/export/ids", body).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn s5_6_users_are_found_by_each_kind_of_identifier() {
    let rig = Rig::start().await;
    rig.applied(
        r#"{"attributes":[{"external_id":"a","email":"a@example.org","phone":"+351210000000","tier":"gold"},
            {"user_alias":{"alias_name":"n","alias_label":"l"},"_update_existing_only":false,"tier":"blue"}]}"#,
    )
    .await;
    let braze_id = rig.user("a").unwrap().braze_id;
    for body in [
        json!({"external_ids": ["a"]}),
        json!({"braze_id": braze_id}),
        json!({"email_address": "a@example.org"}),
        json!({"phone": "+351210000000"}),
    ] {
        let answer = export(&rig, &body.to_string()).await;
        assert_eq!(
            answer["users"][0]["custom_attributes"],
            json!({"tier": "gold"}),
            "{body}"
        );
        assert_eq!(
            (
                answer["users"].as_array().unwrap().len(),
                answer.get("invalid_user_ids")
            ),
            (1, None)
        );
    }
    let answer = export(&rig, r#"{"user_aliases":[{"alias_name":"n","alias_label":"l"}]}"#).await;
    assert_eq!(answer["users"][0]["custom_attributes"], json!({"tier": "blue"}));
}

#[tokio::test]
async fn s5_6_unknown_external_ids_are_listed() {
    let rig = Rig::start().await;
    let answer = export(&rig, r#"{"external_ids":["nope-1"],"fields_to_export":["braze_id"]}"#).await;
    assert_eq!(
        answer,
        json!({"message": "success", "users": [], "invalid_user_ids": ["nope-1"]})
    );
}

#[tokio::test]
async fn s5_6_only_the_fields_that_are_asked_for_come_and_no_empty_ones() {
    let rig = Rig::start().await;
    rig.applied(r#"{"attributes":[{"external_id":"a","first_name":"Ines","tier":"gold"}]}"#)
        .await;
    let fields = r#"{"external_ids":["a"],"fields_to_export":["external_id","first_name","purchases"]}"#;
    assert_eq!(
        export(&rig, fields).await["users"],
        json!([{"external_id": "a", "first_name": "Ines"}])
    );
}

#[tokio::test]
async fn s5_4_events_are_summed_up_by_name() {
    let rig = Rig::start().await;
    let event = |time: &str| format!(r#"{{"external_id":"a","name":"viewed","time":"{time}"}}"#);
    rig.applied(&format!(
        r#"{{"events":[{},{}]}}"#,
        event("2026-01-02"),
        event("2026-01-01")
    ))
    .await;
    let answer = export(&rig, r#"{"external_ids":["a"]}"#).await;
    let sums = json!([{"name": "viewed", "first": "2026-01-01", "last": "2026-01-02", "count": 2}]);
    assert_eq!(answer["users"][0]["custom_events"], sums);
}

#[tokio::test]
async fn s5_6_more_than_50_ids_get_400() {
    let rig = Rig::start().await;
    let ids: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    let answer = rig
        .post("/users/export/ids", &json!({"external_ids": ids}).to_string())
        .await
        .unwrap();
    let text = "The max number of external_ids and aliases per request was exceeded";
    assert_eq!((answer.status, answer.json()), (400, json!({"message": text})));
    assert_eq!(
        export(&rig, &json!({"external_ids": ids[..50]}).to_string()).await["users"],
        json!([])
    );
}

#[tokio::test]
async fn s5_6_the_limit_is_250_a_minute_and_not_that_of_users_track() {
    let rig = Rig::start().await;
    let answer = rig
        .post("/users/export/ids", r#"{"external_ids":["a"]}"#)
        .await
        .unwrap();
    assert_eq!(
        (
            answer.number("x-ratelimit-limit"),
            answer.number("x-ratelimit-remaining")
        ),
        (250, 249)
    );
    let track = rig.track(r#"{"attributes":[{"external_id":"u","n":1}]}"#).await;
    assert_eq!(track.number("x-ratelimit-remaining"), 2999);
}
