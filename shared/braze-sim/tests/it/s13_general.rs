//! §13, general part: routes and content types.

use serde_json::json;

use crate::support::{Rig, request};

const BODY: &str = r#"{"attributes":[{"external_id":"u","n":1}]}"#;
const KEY: &str = "authorization: Bearer sim-key\r\n";

#[tokio::test]
async fn s13_an_unknown_route_or_a_trailing_slash_is_404() {
    let rig = Rig::start().await;
    for path in ["/users/track/", "/users/tracks", "/users/track/bulk", "/"] {
        let answer = rig.post(path, BODY).await.unwrap();
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"message": "Not Found"})),
            "{path}"
        );
    }
    let get = format!("GET /users/track HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{KEY}\r\n");
    assert_eq!(rig.raw(&get).await.unwrap().status, 404);
}

#[tokio::test]
async fn s1_a_body_that_is_not_declared_as_json_gets_415() {
    let rig = Rig::start().await;
    for kind in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
    ] {
        let answer = rig
            .raw(&request("/users/track", &format!("{KEY}{kind}"), BODY))
            .await
            .unwrap();
        assert_eq!(answer.status, 415, "{kind}");
    }
    assert_eq!((rig.handle.pending(), rig.users().len()), (0, 0));
}

#[tokio::test]
async fn s1_a_content_type_may_have_parameters() {
    let rig = Rig::start().await;
    let kind = "Content-Type: application/json; charset=utf-8\r\n";
    let answer = rig
        .raw(&request("/users/track", &format!("{KEY}{kind}"), BODY))
        .await
        .unwrap();
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn s13_a_connection_may_carry_several_requests() {
    let rig = Rig::start().await;
    let kept = request(
        "/users/track",
        &format!("{KEY}content-type: application/json\r\n"),
        BODY,
    );
    let kept = kept.replace("connection: close\r\n", "");
    let last = request(
        "/users/track",
        &format!("{KEY}content-type: application/json\r\n"),
        "{}",
    );
    let answer = rig.raw(&format!("{kept}{last}")).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.body.contains("HTTP/1.1 400 Bad Request"), "{}", answer.body);
}
