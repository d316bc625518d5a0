//! §5.8: the list of segments, and the permissions and limits of all that is around segments.

use braze_sim::{Burst, DEFAULT_WORKSPACE, Key, RateHeaders, Segment};
use serde_json::{Value, json};

use crate::support::{Rig, request};

async fn list(rig: &Rig, query: &str) -> Vec<Value> {
    let answer = rig.get(&format!("/segments/list{query}")).await;
    assert_eq!((answer.status, &answer.json()["message"]), (200, &json!("success")));
    answer.json()["segments"].as_array().unwrap().clone()
}

fn names(segments: &[Value]) -> Vec<&str> {
    segments
        .iter()
        .map(|segment| segment["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn s5_8_each_workspace_has_a_segment_of_all_users_and_those_that_were_added() {
    let rig = Rig::start().await;
    let all = Segment::all_users(DEFAULT_WORKSPACE);
    assert_ne!(all.id, Segment::all_users("other").id);
    rig.handle.put_segment(Segment {
        tags: vec!["t".to_owned()],
        ..Segment::new("vips", "VIPs", ["a"])
    });
    rig.handle.put_segment(Segment {
        workspace: "other".to_owned(),
        ..Segment::new("theirs", "Theirs", ["a"])
    });
    let all = json!({"id": all.id, "name": "All Users", "analytics_tracking_enabled": true, "tags": []});
    let vips = json!({"id": "vips", "name": "VIPs", "analytics_tracking_enabled": false, "tags": ["t"]});
    assert_eq!(list(&rig, "").await, [all.clone(), vips]);
    rig.handle.put_segment(Segment::new("vips", "Very important", ["a"]));
    assert_eq!(names(&list(&rig, "").await), ["All Users", "Very important"]);
}

#[tokio::test]
async fn s5_8_a_page_has_100_segments_oldest_first_unless_asked_otherwise() {
    let rig = Rig::start().await;
    for number in 1..=100 {
        rig.handle
            .put_segment(Segment::new(number.to_string(), number.to_string(), ["a"]));
    }
    let first = list(&rig, "?page=0").await;
    assert_eq!((first.len(), names(&first)[99]), (100, "99"));
    assert_eq!(names(&list(&rig, "?page=1").await), ["100"]);
    assert_eq!(list(&rig, "?page=2").await, Vec::<Value>::new());
    let newest = list(&rig, "?sort_direction=desc&page=1").await;
    assert_eq!(names(&newest), ["All Users"]);
}

#[tokio::test]
async fn s1_1_each_of_the_calls_around_segments_has_a_permission_of_its_own() {
    let rig = Rig::start().await;
    let segment = Segment::all_users(DEFAULT_WORKSPACE).id;
    let body = json!({"segment_id": segment, "fields_to_export": ["braze_id"]}).to_string();
    for (permission, list, export) in [("segments.list", 200, 403), ("users.export.segment", 403, 201)] {
        rig.handle.put_key(Key::new("sim-key").with_permissions([permission]));
        assert_eq!(rig.get("/segments/list").await.status, list, "{permission}");
        let answer = rig.post("/users/export/segment", &body).await.unwrap();
        assert_eq!(answer.status, export, "{permission}");
    }
    let unknown = request("/users/export/segment", "authorization: Bearer nope\r\n", &body);
    assert_eq!(rig.raw(&unknown).await.unwrap().status, 401);
}

#[tokio::test]
async fn s3_7_the_calls_around_segments_share_a_pool_of_250_000_an_hour_with_each_other_only() {
    let rig = Rig::start().await;
    let list = rig.get("/segments/list").await;
    assert_eq!(
        (list.number("x-ratelimit-limit"), list.number("x-ratelimit-remaining")),
        (250_000, 249_999)
    );
    let export = rig.post("/users/export/segment", "{}").await.unwrap();
    assert_eq!((export.status, export.number("x-ratelimit-remaining")), (400, 249_998));
    let track = rig.track(r#"{"attributes":[{"external_id":"u","n":1}]}"#).await;
    assert_eq!(track.number("x-ratelimit-remaining"), 2_999);
}

#[tokio::test]
async fn s3_7_a_call_over_the_shared_limit_gets_429_in_both_header_forms() {
    let rig = Rig::with(|settings| {
        settings.shared_limits.per_hour = None;
        settings.shared_limits.burst = Some(Burst::new(1, std::time::Duration::from_secs(600)));
    })
    .await;
    assert_eq!(rig.get("/segments/list").await.status, 200);
    let classic = rig.get("/segments/list").await;
    assert_eq!((classic.status, classic.number("x-ratelimit-remaining")), (429, 0));
    rig.handle
        .change_settings(|settings| settings.rate_headers = RateHeaders::Mau);
    let newer = rig.post("/users/export/segment", "{}").await.unwrap();
    assert_eq!((newer.status, newer.header("x-ratelimit-remaining")), (429, None));
    assert!((1..=600).contains(&newer.number("x-ratelimit-retry-after")));
}
