//! §5.1, §5.2: asking for an export of a segment, its end, and the callback.

use std::time::Duration;

use braze_sim::{DEFAULT_WORKSPACE, Options, Segment, SimHandle, Storage};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::callbacks::Callbacks;
use crate::files;
use crate::support::{Answer, Rig, within};

pub(crate) const PATH: &str = "/users/export/segment";

/// A folder as the customer's storage, and a simulator that exports at once and puts two users into a file.
pub(crate) async fn rig() -> (Rig, TempDir) {
    let folder = TempDir::new().unwrap();
    let rig = with_storage(Some(Storage::Folder(folder.path().join("bucket")))).await;
    (rig, folder)
}

pub(crate) async fn with_storage(storage: Option<Storage>) -> Rig {
    let mut options = Options {
        storage,
        ..Options::default()
    };
    options.settings.apply_delay = Duration::ZERO;
    options.settings.segment_export.delay = Duration::ZERO;
    options.settings.segment_export.users_per_file = 2;
    Rig::of(options).await
}

/// Makes the users `u0`, `u1`, …
pub(crate) async fn users(rig: &Rig, count: usize) {
    let objects: Vec<Value> = (0..count)
        .map(|number| json!({"external_id": format!("u{number}")}))
        .collect();
    rig.applied(&json!({ "attributes": objects }).to_string()).await;
}

pub(crate) fn all_users() -> String {
    Segment::all_users(DEFAULT_WORKSPACE).id
}

/// A wish for all users with their external ids, and with these further members.
pub(crate) fn wish(further: Value) -> Value {
    let mut wish = json!({"segment_id": all_users(), "fields_to_export": ["external_id"]});
    for (key, value) in further.as_object().unwrap() {
        wish[key] = value.clone();
    }
    wish
}

pub(crate) async fn ask(rig: &Rig, wish: &Value) -> Answer {
    rig.post(PATH, &wish.to_string()).await.unwrap()
}

/// Asks for an export, which must be started.
pub(crate) async fn start(rig: &Rig, wish: &Value) -> Value {
    let answer = ask(rig, wish).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

/// Waits until so many exports have ended.
pub(crate) async fn ended(sim: &SimHandle, exports: usize) {
    let ended = |sim: &SimHandle| sim.exports().iter().filter(|run| run.ended_at.is_some()).count();
    within(sim.until(|sim| ended(sim) >= exports)).await;
}

#[tokio::test]
async fn s5_1_a_request_that_cannot_be_used_gets_400_and_starts_nothing() {
    let (rig, _folder) = rig().await;
    let many: Vec<String> = (0..501).map(|number| number.to_string()).collect();
    for (further, word) in [
        (json!({"segment_id": "nope"}), "segment"),
        (json!({"segment_id": 7}), "segment_id"),
        (json!({"fields_to_export": []}), "fields_to_export"),
        (json!({"fields_to_export": null}), "fields_to_export"),
        (
            json!({"custom_attributes_to_export": many}),
            "custom_attributes_to_export",
        ),
        (json!({"callback_endpoint": "done"}), "callback_endpoint"),
        (json!({"callback_endpoint": "ftp://example.org/"}), "callback_endpoint"),
        (json!({"output_format": "rar"}), "output_format"),
    ] {
        let answer = ask(&rig, &wish(further.clone())).await;
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            answer.status == 400 && message.contains(word),
            "{further}: {}",
            answer.body
        );
    }
    let broken = rig.post(PATH, "{").await.unwrap();
    assert_eq!((broken.status, broken.json()["error"].is_string()), (400, true));
    assert_eq!(rig.handle.exports(), []);
}

#[tokio::test]
async fn s5_2_the_answer_names_the_prefix_and_a_url_only_without_a_storage() {
    let (rig, _folder) = rig().await;
    let answer = start(&rig, &wish(json!({}))).await;
    let prefix = answer["object_prefix"].as_str().unwrap();
    assert_eq!(answer, json!({"message": "success", "object_prefix": prefix}));
    let lengths: Vec<_> = prefix.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12, 10], "a UUID and Unix seconds: {prefix}");
    let seconds: i64 = prefix.rsplit('-').next().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - seconds).abs() < 600, "{prefix}");

    let without = with_storage(None).await;
    let answer = start(&without, &wish(json!({}))).await;
    assert!(answer["url"].is_string(), "{answer}");
    ended(&without.handle, 1).await;
    let again = start(&without, &wish(json!({}))).await;
    assert_ne!(again["object_prefix"], answer["object_prefix"]);
}

#[tokio::test]
async fn s5_2_without_a_storage_the_users_are_fetched_once_they_are_ready_and_not_for_ever() {
    let rig = with_storage(None).await;
    users(&rig, 3).await;
    rig.handle.put_segment(Segment::new("vips", "VIPs", ["u0"]));
    // The bare client calls the simulator by the name `sim`.
    let path = |answer: Value| {
        answer["url"]
            .as_str()
            .unwrap()
            .strip_prefix("http://sim")
            .unwrap()
            .to_owned()
    };
    let ready = path(start(&rig, &wish(json!({"output_format": "gzip"}))).await);
    ended(&rig.handle, 1).await;
    let zip = fetch(&rig, &ready).await;
    let (entries, users) = files::users(&zip);
    assert_eq!(entries.len(), 2, "gzip is for the customer's own storage only");
    let ids: Vec<_> = users.iter().map(|user| user["external_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["u0", "u1", "u2"]);

    rig.handle
        .change_settings(|settings| settings.segment_export.delay = Duration::from_secs(600));
    let early = rig
        .get(&path(start(&rig, &wish(json!({"segment_id": "vips"}))).await))
        .await;
    assert_eq!(
        (early.status, early.body.contains("<Code>AccessDenied</Code>")),
        (403, true)
    );
    rig.handle
        .change_settings(|settings| settings.segment_export.url_lifetime = Duration::ZERO);
    let late = rig.get(&ready).await;
    assert_eq!(
        (late.status, late.body.contains("<Code>ExpiredToken</Code>")),
        (403, true)
    );
}

async fn fetch(rig: &Rig, path: &str) -> Vec<u8> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{path}", rig.sim.base_url());
    let answer = within(http.get(url).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn s5_2_a_segment_is_exported_once_at_a_time_and_the_429_shows_room_in_the_rate_limit() {
    let (rig, _folder) = rig().await;
    rig.handle.put_segment(Segment::new("vips", "VIPs", ["u0"]));
    rig.handle
        .change_settings(|settings| settings.segment_export.delay = Duration::from_secs(600));
    start(&rig, &wish(json!({}))).await;
    let second = ask(&rig, &wish(json!({}))).await;
    assert_eq!((second.status, second.number("x-ratelimit-remaining")), (429, 249_998));
    assert_eq!(rig.handle.exports().len(), 1);
    start(&rig, &wish(json!({"segment_id": "vips"}))).await;
}

#[tokio::test]
async fn s5_2_a_segment_can_be_exported_again_when_the_callback_comes() {
    let (rig, _folder) = rig().await;
    let callbacks = Callbacks::listen().await;
    let wish = wish(json!({"callback_endpoint": callbacks.url}));
    for export in 1..=3 {
        start(&rig, &wish).await;
        callbacks.first(export).await;
    }
}

#[tokio::test]
async fn s5_2_only_so_many_exports_run_at_once() {
    let (rig, _folder) = rig().await;
    rig.handle.change_settings(|settings| {
        settings.segment_export.delay = Duration::from_secs(600);
        settings.segment_export.running_max = 2;
    });
    for id in ["a", "b", "c"] {
        rig.handle.put_segment(Segment::new(id, id, ["u0"]));
        let answer = ask(&rig, &wish(json!({"segment_id": id}))).await;
        assert_eq!(answer.status, if id == "c" { 429 } else { 201 }, "{id}");
    }
}

#[tokio::test]
async fn s5_2_the_callback_says_success_after_the_last_file_and_the_url_without_a_storage() {
    let (rig, folder) = rig().await;
    users(&rig, 5).await;
    let callbacks = Callbacks::listen().await;
    let answer = start(&rig, &wish(json!({"callback_endpoint": callbacks.url}))).await;
    let calls = callbacks.first(1).await;
    assert_eq!(calls[0].line, "POST /done?token=t HTTP/1.1");
    assert_eq!(calls[0].body, json!({"success": true}));
    let run = rig.handle.exports().remove(0);
    assert_eq!((run.files.len(), run.users), (3, 5));
    assert!(
        run.files
            .iter()
            .all(|key| folder.path().join("bucket").join(key).is_file())
    );
    assert_eq!(answer["object_prefix"], json!(run.object_prefix));
    within(rig.handle.until(|sim| sim.exports()[0].callbacks.len() == 1)).await;
    assert_eq!(rig.handle.exports()[0].callbacks[0].status, Some(204));

    let without = with_storage(None).await;
    let answer = start(&without, &wish(json!({"callback_endpoint": callbacks.url}))).await;
    let calls = callbacks.first(2).await;
    assert_eq!(calls[1].body, json!({"success": true, "url": answer["url"]}));
}
