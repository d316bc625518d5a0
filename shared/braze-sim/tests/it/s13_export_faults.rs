//! §13: what may go wrong with an export of a segment.

use std::time::Duration;

use braze_sim::{Fault, FaultKind, RateHeaders};
use serde_json::json;

use crate::callbacks::Callbacks;
use crate::files;
use crate::s5_2_export_segment::{PATH, ask, ended, rig, start, users, wish};
use crate::support::within;

#[tokio::test]
async fn s13_an_export_may_never_call_back() {
    let (rig, _folder) = rig().await;
    let callbacks = Callbacks::listen().await;
    let wish = wish(json!({"callback_endpoint": callbacks.url}));
    rig.handle.inject(Fault::new(FaultKind::NoCallback {}).next(1));
    start(&rig, &wish).await;
    ended(&rig.handle, 1).await;
    start(&rig, &wish).await;
    within(
        rig.handle
            .until(|sim| sim.exports().len() == 2 && !sim.exports()[1].callbacks.is_empty()),
    )
    .await;
    assert_eq!((rig.handle.exports()[0].callbacks.len(), callbacks.count()), (0, 1));
    assert_eq!(rig.handle.journal()[0].fault.as_deref(), Some("no callback"));
}

#[tokio::test]
async fn s13_an_export_may_call_back_twice() {
    let (rig, _folder) = rig().await;
    let callbacks = Callbacks::listen().await;
    rig.handle.inject(Fault::new(FaultKind::TwoCallbacks {}).next(1));
    start(&rig, &wish(json!({"callback_endpoint": callbacks.url}))).await;
    let calls = callbacks.first(2).await;
    assert_eq!(
        (&calls[0].body, &calls[1].body),
        (&json!({"success": true}), &json!({"success": true}))
    );
}

#[tokio::test]
async fn s13_a_file_may_come_after_the_callback() {
    let (rig, folder) = rig().await;
    users(&rig, 5).await;
    let callbacks = Callbacks::listen().await;
    let late = |by| Fault::new(FaultKind::LateFile { by }).next(1);
    let wish = wish(json!({"callback_endpoint": callbacks.url}));
    rig.handle.inject(late(Duration::from_secs(600)));
    start(&rig, &wish).await;
    callbacks.first(1).await;
    assert_eq!(
        rig.handle.exports()[0].files.len(),
        2,
        "the last of three is still to come"
    );

    rig.handle.inject(late(Duration::from_millis(1)));
    start(&rig, &wish).await;
    within(
        rig.handle
            .until(|sim| sim.exports().len() == 2 && sim.exports()[1].files.len() == 3),
    )
    .await;
    let run = rig.handle.exports().remove(1);
    let ids = files::external_ids(&folder.path().join("bucket"), &run.files);
    assert_eq!((run.callbacks.len(), ids.concat().len()), (1, 5));
}

#[tokio::test]
async fn s13_a_file_may_be_cut_off() {
    let (rig, folder) = rig().await;
    users(&rig, 3).await;
    for format in ["zip", "gzip"] {
        rig.handle.inject(Fault::new(FaultKind::BrokenFile {}).next(1));
        let exports = rig.handle.exports().len();
        start(&rig, &wish(json!({"output_format": format}))).await;
        ended(&rig.handle, exports + 1).await;
        let run = rig.handle.exports().remove(exports);
        let bucket = folder.path().join("bucket");
        let bytes = std::fs::read(bucket.join(&run.files[0])).unwrap();
        assert!(std::panic::catch_unwind(|| files::users(&bytes)).is_err(), "{format}");
        assert_eq!(
            files::external_ids(&bucket, &run.files[1..]),
            [["u2"]],
            "{format}: only the first"
        );
    }
}

#[tokio::test]
async fn s13_a_fault_strikes_the_calls_of_its_path_only() {
    let (rig, _folder) = rig().await;
    rig.handle.inject(Fault::status(503).on(PATH).next(1));
    users(&rig, 1).await;
    assert_eq!(rig.get("/segments/list").await.status, 200);
    assert_eq!(ask(&rig, &wish(json!({}))).await.status, 503);
    assert_eq!((rig.handle.faults(), rig.handle.exports()), (vec![], vec![]));
    rig.handle.inject(Fault::status(500).on("/segments/list"));
    assert_eq!(rig.get("/segments/list").await.status, 500);
    rig.handle.inject(Fault::status(500).on("/users/export/ids"));
    assert_eq!(rig.post("/users/export/ids", "{}").await.unwrap().status, 500);
}

#[tokio::test]
async fn s13_an_export_may_start_although_nobody_is_told() {
    let (rig, _folder) = rig().await;
    let drop_after = Fault::drop_after().on(PATH).next(1);
    rig.handle.inject(drop_after);
    assert!(rig.post(PATH, &wish(json!({})).to_string()).await.is_none());
    ended(&rig.handle, 1).await;
    rig.handle
        .inject(Fault::status(504).applied_after(Duration::ZERO).on(PATH).next(1));
    assert_eq!(ask(&rig, &wish(json!({}))).await.status, 504);
    ended(&rig.handle, 2).await;
}

#[tokio::test]
async fn s13_a_429_of_the_export_says_how_long_to_wait_by_the_limits_of_its_own_pool() {
    let (rig, _folder) = rig().await;
    rig.handle.inject(Fault::status(429).on(PATH));
    let classic = ask(&rig, &wish(json!({}))).await;
    assert_eq!(
        (
            classic.status,
            classic.number("x-ratelimit-limit"),
            classic.number("x-ratelimit-remaining")
        ),
        (429, 250_000, 0)
    );
    rig.handle
        .change_settings(|settings| settings.rate_headers = RateHeaders::Mau);
    assert_eq!(ask(&rig, &wish(json!({}))).await.number("x-ratelimit-retry-after"), 1);
}

#[tokio::test]
async fn s13_an_export_that_is_held_starts_when_it_is_released() {
    let (rig, _folder) = rig().await;
    rig.handle.inject(Fault::hold().on(PATH).next(1));
    let wish = wish(json!({}));
    let (answer, ()) = tokio::join!(ask(&rig, &wish), async {
        within(rig.handle.until_held(1)).await;
        assert_eq!(rig.handle.exports(), []);
        rig.handle.release();
    });
    assert_eq!((answer.status, rig.handle.exports().len()), (201, 1));
}
