//! §3.7: rate limits and their headers. The windows themselves are tested beside `limits.rs`, where time is an argument.

use std::time::{Duration, SystemTime};

use braze_sim::{Burst, Key, RateHeaders, RateLimits};

use crate::support::{Rig, request};

const BODY: &str = r#"{"attributes":[{"external_id":"u","n":1}]}"#;
const BURST: RateLimits = RateLimits {
    per_hour: None,
    burst: Some(Burst::new(2, Duration::from_secs(600))),
};

fn epoch_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test]
async fn s3_7_the_default_is_3000_requests_in_3_seconds() {
    let rig = Rig::start().await;
    let answer = rig.track(BODY).await;
    assert_eq!(
        (
            answer.number("x-ratelimit-limit"),
            answer.number("x-ratelimit-remaining")
        ),
        (3000, 2999)
    );
}

#[tokio::test]
async fn s3_7_a_request_over_the_limit_gets_429_and_has_no_effect() {
    let rig = Rig::with(|settings| settings.track_limits = BURST).await;
    assert_eq!(rig.track(BODY).await.status, 201);
    assert_eq!(rig.track(BODY).await.status, 201);
    assert_eq!(rig.track(BODY.replace("\"u\"", "\"late\"").as_str()).await.status, 429);
    crate::support::within(rig.handle.idle()).await;
    assert!(rig.user("late").is_none());
}

#[tokio::test]
async fn s3_7_classic_headers_are_on_every_answer_and_the_reset_is_an_instant() {
    let rig = Rig::with(|settings| settings.track_limits = BURST).await;
    let mut remaining = Vec::new();
    for body in [BODY, "broken", BODY] {
        let answer = rig.track(body).await;
        let wait = answer.number("x-ratelimit-reset") - epoch_seconds();
        assert!((1..=601).contains(&wait), "{wait}, rounded up");
        remaining.push((
            answer.status,
            answer.number("x-ratelimit-limit"),
            answer.number("x-ratelimit-remaining"),
        ));
    }
    assert_eq!(remaining, [(201, 2, 1), (400, 2, 0), (429, 2, 0)]);
}

#[tokio::test]
async fn s3_7_mau_headers_count_the_seconds_left_and_a_429_has_only_the_wait() {
    let rig = Rig::with(|settings| {
        settings.track_limits = BURST;
        settings.rate_headers = RateHeaders::Mau;
    })
    .await;
    let first = rig.track(BODY).await;
    assert!((1..=600).contains(&first.number("x-ratelimit-reset")), "{}", first.head);
    assert_eq!(first.header("x-ratelimit-retry-after"), None);
    rig.track(BODY).await;
    let refused = rig.track(BODY).await;
    assert_eq!(refused.status, 429);
    assert!(
        (1..=600).contains(&refused.number("x-ratelimit-retry-after")),
        "{}",
        refused.head
    );
    for absent in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert_eq!(refused.header(absent), None);
    }
}

#[tokio::test]
async fn s3_7_an_hourly_limit_resets_on_the_clock_hour() {
    let rig = Rig::with(|settings| {
        settings.track_limits = RateLimits {
            per_hour: Some(10),
            burst: None,
        }
    })
    .await;
    let answer = rig.track(BODY).await;
    assert_eq!(
        (
            answer.number("x-ratelimit-limit"),
            answer.number("x-ratelimit-reset") % 3600
        ),
        (10, 0)
    );
}

#[tokio::test]
async fn s3_7_header_names_are_in_lower_case() {
    let rig = Rig::start().await;
    let head = rig.track(BODY).await.head;
    let names: Vec<&str> = head.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    assert!(names.iter().all(|name| name.to_lowercase() == *name), "{names:?}");
}

#[tokio::test]
async fn s3_7_a_request_is_counted_when_it_arrives() {
    let rig = Rig::with(|settings| settings.track_limits = BURST).await;
    rig.handle.inject(braze_sim::Fault::hold().next(2));
    let (one, two, third) = tokio::join!(rig.track(BODY), rig.track(BODY), async {
        crate::support::within(rig.handle.until_held(2)).await;
        let third = rig.track(BODY).await;
        rig.handle.release();
        third
    });
    assert_eq!(
        (one.status, two.status, third.status),
        (201, 201, 429),
        "the first two have no answer when the third comes"
    );
}

#[tokio::test]
async fn s3_7_each_workspace_has_its_own_limit_and_an_unknown_key_uses_none() {
    let rig = Rig::with(|settings| settings.track_limits = BURST).await;
    rig.handle.put_key(Key::new("other-key").in_workspace("other"));
    let send = async |key: &str| {
        let headers = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        rig.raw(&request("/users/track", &headers, BODY)).await.unwrap()
    };
    assert_eq!(send("wrong").await.header("x-ratelimit-remaining"), None);
    assert_eq!(send("sim-key").await.number("x-ratelimit-remaining"), 1);
    assert_eq!(send("other-key").await.number("x-ratelimit-remaining"), 1);
}
