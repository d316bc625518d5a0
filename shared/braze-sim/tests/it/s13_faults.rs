//! §13: faults on demand.

use std::time::{Duration, Instant};

use braze_sim::{Fault, FaultKind, Key, RateHeaders};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Rig, request, within};

const BODY: &str = r#"{"attributes":[{"external_id":"u","n":1}]}"#;

#[tokio::test]
async fn s13_each_status_can_be_given_for_the_next_calls_without_effect() {
    let rig = Rig::start().await;
    for status in [500, 502, 503, 504, 429] {
        rig.handle.inject(Fault::status(status).next(2));
        for _ in 0..2 {
            assert_eq!(rig.track(BODY).await.status, status);
        }
    }
    assert_eq!(
        (rig.handle.faults(), rig.handle.pending(), rig.users().len()),
        (vec![], 0, 0)
    );
    assert_eq!(rig.track(BODY).await.status, 201);
    assert_eq!(rig.handle.journal()[0].fault.as_deref(), Some("status 500"));
}

#[tokio::test]
async fn s13_a_fault_can_strike_at_a_rate() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::status(503).at_rate(0.5));
    let mut failed = 0;
    for _ in 0..100 {
        failed += u32::from(rig.track(BODY).await.status == 503);
    }
    // The seed is fixed; with any, fewer than 20 or more than 80 of 100 has a chance below one in a billion.
    assert!((20..=80).contains(&failed), "{failed}");
}

#[tokio::test]
async fn s13_a_fault_can_strike_the_calls_of_one_key_only() {
    let rig = Rig::start().await;
    rig.handle.put_key(Key::new("other-key"));
    rig.handle.inject(Fault::status(503).for_key("other-key").next(1));
    assert_eq!(rig.track(BODY).await.status, 201);
    let head = "authorization: Bearer other-key\r\ncontent-type: application/json\r\n";
    let struck = rig.raw(&request("/users/track", head, BODY)).await;
    assert_eq!(struck.map(|answer| answer.status), Some(503));
    assert_eq!(
        rig.handle.faults(),
        vec![],
        "the call that it passed over did not use it up"
    );
}

#[tokio::test]
async fn s13_a_status_may_come_although_the_call_takes_effect() {
    let rig = Rig::start().await;
    rig.handle
        .inject(Fault::status(503).applied_after(Duration::ZERO).next(1));
    assert_eq!(rig.track(BODY).await.status, 503);
    within(rig.handle.idle()).await;
    assert_eq!(rig.attribute("u", "n"), Some(json!(1)));
}

#[tokio::test]
async fn s13_a_429_says_how_long_to_wait_in_both_forms() {
    let rig = Rig::start().await;
    let wait = |seconds| FaultKind::Status {
        status: 429,
        retry_after: Some(Duration::from_secs(seconds)),
        apply_after: None,
    };
    rig.handle.inject(Fault::new(wait(600)));
    let classic = rig.track(BODY).await;
    let left = classic.number("x-ratelimit-reset") - jiff::Timestamp::now().as_second();
    assert_eq!((classic.status, classic.number("x-ratelimit-remaining")), (429, 0));
    assert!((500..=601).contains(&left), "{left}");
    rig.handle
        .change_settings(|settings| settings.rate_headers = RateHeaders::Mau);
    let mau = rig.track(BODY).await;
    assert_eq!(
        (mau.number("x-ratelimit-retry-after"), mau.header("x-ratelimit-limit")),
        (600, None)
    );
}

#[tokio::test]
async fn s13_an_answer_can_be_slow() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::delay(Duration::from_millis(300)).next(1));
    let begun = Instant::now();
    assert_eq!(rig.track(BODY).await.status, 201);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn s13_a_call_with_a_slow_answer_takes_effect_at_once() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::delay(Duration::from_secs(600)).next(1));
    tokio::select! {
        _ = rig.track(BODY) => panic!("the answer comes in ten minutes"),
        () = within(rig.handle.until(|sim| !sim.users("default").is_empty())) => {}
    }
    assert_eq!(rig.handle.journal()[0].status, None);
}

#[tokio::test]
async fn s13_a_connection_can_be_dropped_before_the_body_is_read() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::drop_before().next(1));
    assert!(rig.post("/users/track", BODY).await.is_none());
    let entry = &rig.handle.journal()[0];
    assert_eq!((entry.status, entry.body_bytes, entry.accepted), (None, 0, 0));
    assert_eq!(rig.track(BODY).await.status, 201);
}

#[tokio::test]
async fn s13_a_connection_can_be_dropped_after_processing() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::drop_after().next(1));
    assert!(rig.post("/users/track", BODY).await.is_none());
    within(rig.handle.idle()).await;
    assert_eq!(rig.attribute("u", "n"), Some(json!(1)));
    let entry = &rig.handle.journal()[0];
    assert_eq!((entry.status, entry.accepted, entry.client_left), (None, 1, false));
}

#[tokio::test]
async fn s13_a_call_can_be_held_until_released() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::hold().next(1));
    let (answer, ()) = tokio::join!(rig.track(BODY), async {
        within(rig.handle.until_held(1)).await;
        assert_eq!((rig.handle.journal()[0].status, rig.handle.pending()), (None, 0));
        rig.handle.release();
    });
    assert_eq!((answer.status, rig.handle.held()), (201, 0));
}

#[tokio::test]
async fn s13_a_held_call_is_carried_out_although_its_client_has_left() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::hold());
    let headers = "authorization: Bearer sim-key\r\ncontent-type: application/json\r\n";
    let mut stream = TcpStream::connect(rig.sim.local_addr()).await.unwrap();
    stream
        .write_all(request("/users/track", headers, BODY).as_bytes())
        .await
        .unwrap();
    within(rig.handle.until_held(1)).await;
    drop(stream);
    within(async {
        while !rig.handle.journal()[0].client_left {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(rig.user("u").is_none());
    rig.handle.release();
    within(rig.handle.until(|sim| !sim.users("default").is_empty())).await;
    assert_eq!(
        (rig.handle.journal()[0].status, rig.attribute("u", "n")),
        (None, Some(json!(1)))
    );
}

#[tokio::test]
async fn s13_objects_with_given_external_ids_can_be_refused() {
    let rig = Rig::start().await;
    rig.handle.refuse_object("bad", "no such luck");
    let answer = rig
        .track(r#"{"attributes":[{"external_id":"u","n":1},{"external_id":"bad","n":1}]}"#)
        .await;
    let errors = json!([{"index": 1, "input_array": "attributes", "type": "no such luck"}]);
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &errors));
}

#[tokio::test]
async fn s13_a_key_can_be_rejected_from_now_on_and_a_new_one_given() {
    let rig = Rig::start().await;
    assert_eq!(rig.track(BODY).await.status, 201);
    rig.handle.reject_key("sim-key");
    let refused = rig.track(BODY).await;
    assert_eq!(
        (refused.status, refused.json()),
        (401, json!({"message": "Invalid API key: sim-key"}))
    );
    rig.handle.put_key(Key::new("sim-key"));
    assert_eq!(rig.track(BODY).await.status, 201);
}

#[tokio::test]
async fn s13_clearing_ends_every_fault_refusal_and_rejection() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::hold().next(1));
    rig.handle.inject(Fault::status(503));
    let (held, ()) = tokio::join!(rig.track(BODY), async {
        within(rig.handle.until_held(1)).await;
        assert_eq!(rig.track(BODY).await.status, 503);
        rig.handle.refuse_object("u", "no");
        rig.handle.reject_key("sim-key");
        rig.handle.clear_faults();
    });
    assert_eq!(
        (held.status, rig.track(BODY).await.status, rig.handle.faults()),
        (201, 201, vec![])
    );
}

#[tokio::test]
async fn s13_the_fault_armed_first_strikes_first() {
    let rig = Rig::start().await;
    rig.handle.inject(Fault::status(500).next(1));
    rig.handle.inject(Fault::status(503).next(1));
    let statuses = [
        rig.track(BODY).await.status,
        rig.track(BODY).await.status,
        rig.track(BODY).await.status,
    ];
    assert_eq!(statuses, [500, 503, 201]);
}
