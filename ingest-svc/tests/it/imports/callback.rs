//! Braze's call that an export is ready, over HTTP, to an address that only Braze has.

use std::time::Duration;

use control::ImportJob;
use control::sealing::Sealer;
use proto::imports::v1::ExportCallback;
use secrecy::ExposeSecret;

use crate::harness::imports::{Importing, KEYS};
use crate::harness::{http, wait_for};

/// What Braze sends.
pub(super) const SUCCESS: &[u8] = br#"{"success": true}"#;

/// The path that Braze was given for an export of that number; addresses that are out must stay good.
pub(super) fn path(job: &ImportJob, number: u64) -> String {
    let sealer = Sealer::from_config(&KEYS.into()).unwrap();
    let tag = sealer.tag("callback of a segment export", &format!("{}/{number}", job.name()));
    let token = tag.expose_secret();
    format!("/imports/braze/{}/{}/{number}/{token}", job.account, job.id)
}

async fn call(importing: &Importing, method: &str, path: &str, body: &[u8]) -> http::Answer {
    http::send(importing.service.addresses.http, method, path, &[], body).await
}

/// A job that the service has heard of.
async fn job(importing: &Importing) -> ImportJob {
    let job = importing.job(|_| {}).await;
    let path = path(&job, 1);
    let heard = async || (call(importing, "POST", &path, b"no JSON").await.status != 404).then_some(());
    wait_for("the service hears of the job", heard).await;
    job
}

async fn written(importing: &Importing, job: &ImportJob, callback: ExportCallback) {
    let read = async || (importing.called_back(job) == Some(callback)).then_some(());
    wait_for(&format!("{callback:?} is written down"), read).await;
}

#[tokio::test]
async fn a_call_of_the_address_is_written_down() {
    let importing = Importing::start(|_| {}).await;
    let job = job(&importing).await;
    for (body, success) in [(r#"{"success": false}"#.as_bytes(), false), (SUCCESS, true)] {
        let answer = call(&importing, "POST", &path(&job, 7), body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        written(&importing, &job, ExportCallback { number: 7, success }).await;
    }
}

#[tokio::test]
async fn whoever_does_not_have_the_address_changes_nothing_and_hears_nothing_of_it() {
    let importing = Importing::start(|_| {}).await;
    let job = job(&importing).await;
    let good = path(&job, 7);
    let (front, token) = good.rsplit_once('/').unwrap();
    let of_another = ImportJob {
        id: "other".to_owned(),
        ..job.clone()
    };
    for wrong in [
        format!("{front}/{}", token.to_lowercase()),
        format!("{front}/x"),
        good.replace("/7/", "/8/"),
        // A tag that is right, of a job that is not there.
        path(&of_another, 7),
    ] {
        let answer = call(&importing, "POST", &wrong, SUCCESS).await;
        assert_eq!(answer.refusal(404), "no export of ours has this address");
        assert!(!answer.body.contains(wrong.rsplit('/').next().unwrap()) || wrong.ends_with("/x"));
    }
    assert_eq!(importing.called_back(&job), None);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_its_status_and_nothing_is_written() {
    let importing = Importing::start(|_| {}).await;
    let job = job(&importing).await;
    let path = path(&job, 7);
    let read = call(&importing, "GET", &path, b"").await;
    assert_eq!(read.header("allow"), Some("POST"));
    assert!(read.refusal(405).contains("POST"));
    assert!(
        call(&importing, "POST", &path, b"success")
            .await
            .refusal(400)
            .contains("JSON")
    );
    let large = vec![b' '; (4 << 10) + 1];
    assert_eq!(call(&importing, "POST", &path, &large).await.status, 413);
    assert_eq!(importing.called_back(&job), None);
}

#[tokio::test]
async fn a_call_that_cannot_be_written_down_is_503_so_that_braze_calls_again() {
    let importing = Importing::start(|config| {
        config.http.body_timeout = Duration::from_millis(200);
        config.publish.ack_timeout = Duration::from_millis(200);
    })
    .await;
    let job = job(&importing).await;
    importing.broker.down().unwrap();
    let answer = call(&importing, "POST", &path(&job, 7), SUCCESS).await;
    assert!(answer.header("retry-after").is_some());
    assert!(answer.refusal(503).contains("written down"));
    importing.broker.up().unwrap();
    let again = async || {
        let answer = call(&importing, "POST", &path(&job, 7), SUCCESS).await;
        (answer.status == 200).then_some(())
    };
    wait_for("a call is taken again", again).await;
    let ready = ExportCallback {
        number: 7,
        success: true,
    };
    written(&importing, &job, ready).await;
}
