//! §13: the admin API over HTTP.

use serde_json::{Value, json};

use crate::support::{Answer, Rig, within};

const BODY: &str = r#"{"attributes":[{"external_id":"a/b ü","n":1}]}"#;

async fn send(rig: &Rig, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{method} /_sim/{path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n");
    let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    rig.raw(&request).await.unwrap()
}

async fn get(rig: &Rig, path: &str) -> Value {
    let answer = send(rig, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

#[tokio::test]
async fn s13_users_are_looked_up_and_listed_over_http() {
    let rig = Rig::start().await;
    rig.applied(BODY).await;
    let user = get(&rig, "users/lookup?external_id=a%2Fb%20%C3%BC").await;
    assert_eq!(
        (&user["external_id"], &user["custom_attributes"]),
        (&json!("a/b ü"), &json!({"n": 1}))
    );
    assert_eq!(get(&rig, "users").await, json!([user]));
    let unknown = send(&rig, "GET", "users/lookup?external_id=nope", "").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["message"].as_str().unwrap().contains("\"nope\""));
    assert_eq!(send(&rig, "GET", "users/lookup", "").await.status, 400);
    assert_eq!(send(&rig, "DELETE", "users", "").await.status, 204);
    assert_eq!(get(&rig, "users").await, json!([]));
}

#[tokio::test]
async fn s13_a_look_up_can_wait_for_a_user() {
    let rig = Rig::start().await;
    let (user, ()) = tokio::join!(
        get(&rig, "users/lookup?external_id=a%2Fb%20%C3%BC&wait=30s"),
        rig.applied(BODY)
    );
    assert_eq!(user["custom_attributes"], json!({"n": 1}));
}

#[tokio::test]
async fn s13_idle_answers_when_everything_is_applied_and_503_when_it_takes_too_long() {
    let rig = Rig::with(|settings| settings.apply_delay = std::time::Duration::from_secs(600)).await;
    assert_eq!(get(&rig, "idle").await, json!({"idle": true, "pending": 0}));
    rig.track(BODY).await;
    let busy = send(&rig, "GET", "idle?wait=10ms", "").await;
    assert_eq!((busy.status, busy.json()), (503, json!({"idle": false, "pending": 1})));
}

#[tokio::test]
async fn s13_the_journal_the_meter_and_the_order_are_read_over_http() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        rig.applied(BODY).await;
    }
    let journal = get(&rig, "journal?tail=2").await;
    assert_eq!(
        (&journal["arrivals"], &journal["order"]),
        (&json!(3), &json!({"overlapping": 0, "overtaken": 0}))
    );
    let arrivals: Vec<_> = journal["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["arrival"].clone())
        .collect();
    assert_eq!(arrivals, [2, 3]);
    assert_eq!(get(&rig, "meter").await["data_points"], 3);
    assert_eq!(send(&rig, "DELETE", "meter", "").await.status, 204);
    assert_eq!(send(&rig, "DELETE", "journal", "").await.status, 204);
    assert_eq!(get(&rig, "meter").await["data_points"], 0);
    assert_eq!(get(&rig, "journal").await["calls"], json!([]));
}

#[tokio::test]
async fn s13_settings_are_changed_over_http_and_misfits_refused() {
    let rig = Rig::start().await;
    let changed = send(&rig, "PATCH", "settings", r#"{"apply_delay":"2s","objects":{"max":5}}"#).await;
    assert_eq!(
        (changed.status, &changed.json()["objects"]),
        (200, &json!({"max": 5, "per_array": false}))
    );
    assert_eq!(rig.handle.settings().objects.max, 5);
    let before = rig.handle.settings();
    for misfit in [r#"{"objects":{"maximum":5}}"#, r#"{"apply_delay":7}"#, r#"{"nope":1}"#] {
        assert_eq!(send(&rig, "PATCH", "settings", misfit).await.status, 400, "{misfit}");
    }
    assert_eq!(rig.handle.settings(), before);
}

#[tokio::test]
async fn s13_faults_are_armed_listed_and_cleared_over_http() {
    let rig = Rig::start().await;
    for fault in [
        r#"{"kind":"status","status":503,"next":3}"#,
        r#"{"kind":"delay","by":"2s","rate":0.1}"#,
        r#"{"kind":"drop_after","apply_after":"30s"}"#,
        r#"{"kind":"drop_before"}"#,
        r#"{"kind":"hold"}"#,
    ] {
        assert_eq!(send(&rig, "POST", "faults", fault).await.status, 204, "{fault}");
    }
    send(&rig, "POST", "faults/refuse", r#"{"external_ids":["x"],"text":"no"}"#).await;
    send(&rig, "POST", "keys/reject", r#"{"key":"sim-key"}"#).await;
    let armed = get(&rig, "faults").await;
    assert_eq!(armed["armed"][0], json!({"kind": "status", "status": 503, "next": 3}));
    assert_eq!(armed["armed"].as_array().unwrap().len(), 5);
    assert_eq!(armed["refused_objects"], json!({"x": "no"}));
    assert_eq!(armed["rejected_keys"].as_array().unwrap().len(), 1);
    assert_eq!(send(&rig, "DELETE", "faults", "").await.status, 204);
    let none = json!({"armed": [], "refused_objects": {}, "rejected_keys": [], "held": 0});
    assert_eq!(get(&rig, "faults").await, none);
}

#[tokio::test]
async fn s13_a_fault_that_makes_no_sense_is_refused() {
    let rig = Rig::start().await;
    for (fault, status) in [
        (r#"{"kind":"status","status":200}"#, 400),
        (r#"{"kind":"hold","rate":2}"#, 400),
        (r#"{"kind":"explode"}"#, 422),
        (r#"{"kind":"delay"}"#, 422),
        (r#"{"kind":"hold","nxet":1}"#, 422),
    ] {
        assert_eq!(send(&rig, "POST", "faults", fault).await.status, status, "{fault}");
    }
    assert_eq!(rig.handle.faults(), []);
}

#[tokio::test]
async fn s13_held_calls_are_released_over_http() {
    let rig = Rig::start().await;
    send(&rig, "POST", "faults", r#"{"kind":"hold"}"#).await;
    let (answer, ()) = tokio::join!(rig.track(BODY), async {
        within(rig.handle.until_held(1)).await;
        assert_eq!(get(&rig, "faults").await["held"], 1);
        assert_eq!(send(&rig, "POST", "faults/release", "").await.status, 204);
    });
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn s13_keys_are_added_over_http_and_shown_without_their_text() {
    let rig = Rig::start().await;
    assert_eq!(
        send(&rig, "POST", "keys", r#"{"key":"fresh-key-9876","workspace":"w"}"#)
            .await
            .status,
        204
    );
    let keys = send(&rig, "GET", "keys", "").await;
    assert!(
        !keys.body.contains("fresh-key") && !keys.body.contains("sim-key"),
        "{}",
        keys.body
    );
    assert_eq!(
        (&keys.json()[1]["workspace"], &keys.json()[1]["rejected"]),
        (&json!("w"), &json!(false))
    );
}

#[tokio::test]
async fn s13_the_admin_api_is_not_in_the_journal() {
    let rig = Rig::start().await;
    assert_eq!(get(&rig, "health").await, json!({"ok": true}));
    assert_eq!((rig.handle.arrivals(), rig.handle.journal().len()), (0, 0));
}

#[tokio::test]
async fn s13_segments_are_added_and_exports_shown_over_http() {
    let rig = Rig::start().await;
    let vips = json!({"id": "vips", "name": "VIPs", "external_ids": ["a"]}).to_string();
    assert_eq!(send(&rig, "POST", "segments", &vips).await.status, 204);
    let unknown = json!({"id": "vips", "name": "VIPs", "filter": "x"}).to_string();
    assert_eq!(
        send(&rig, "POST", "segments", &unknown).await.status,
        422,
        "an unknown member is an error"
    );
    let segments = get(&rig, "segments").await;
    assert_eq!(
        (&segments[0]["name"], &segments[1]["name"], &segments[1]["external_ids"]),
        (&json!("All Users"), &json!("VIPs"), &json!(["a"]))
    );
    assert_eq!(get(&rig, "segments?workspace=other").await.as_array().unwrap().len(), 1);
    let body = json!({"segment_id": "vips", "fields_to_export": ["email"], "callback_endpoint": "http://sim/?token=t"});
    let answer = rig.post("/users/export/segment", &body.to_string()).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let exports = get(&rig, "exports").await;
    assert_eq!(
        (&exports[0]["segment_id"], &exports[0]["object_prefix"]),
        (&json!("vips"), &answer.json()["object_prefix"])
    );
    assert!(!exports.to_string().contains("token"), "{exports}");
}
