//! §5.3, §5.4: where the files of an export are, and what is in them.

use std::path::Path;

use braze_sim::{Export, Segment};
use serde_json::{Value, json};

use crate::bucket::S3;
use crate::callbacks::Callbacks;
use crate::files;
use crate::s5_2_export_segment::{all_users, ended, rig, start, users, wish, with_storage};
use crate::support::Rig;

async fn exported(rig: &Rig, wish: &Value) -> Export {
    let before = rig.handle.exports().len();
    start(rig, wish).await;
    ended(&rig.handle, before + 1).await;
    rig.handle.exports().remove(before)
}

/// The one user of an export.
async fn only_user(rig: &Rig, folder: &Path, further: Value) -> Value {
    let run = exported(rig, &wish(further)).await;
    let (_, users) = files::users(&std::fs::read(folder.join("bucket").join(&run.files[0])).unwrap());
    assert_eq!((run.files.len(), users.len()), (1, 1));
    users.into_iter().next().unwrap()
}

fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10
}

fn is_name(text: &str, extension: &str) -> bool {
    let name = text.strip_suffix(extension).unwrap_or_default();
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn s5_3_files_lie_under_segment_date_and_prefix_and_hold_so_many_users_each() {
    let (rig, folder) = rig().await;
    users(&rig, 5).await;
    let mut seen = Vec::new();
    for (format, extension, wish) in [
        ("default", ".zip", wish(json!({}))),
        ("zip", ".zip", wish(json!({"output_format": "zip"}))),
        ("gzip", ".gz", wish(json!({"output_format": "gzip"}))),
    ] {
        let run = exported(&rig, &wish).await;
        for key in &run.files {
            let parts: Vec<&str> = key.split('/').collect();
            let [root, segment, date, prefix, name] = parts[..] else {
                panic!("{key}")
            };
            assert_eq!(
                (root, segment, prefix),
                ("segment-export", all_users().as_str(), run.object_prefix.as_str())
            );
            assert!(is_date(date) && is_name(name, extension), "{format}: {key}");
        }
        let ids = files::external_ids(&folder.path().join("bucket"), &run.files);
        assert_eq!(ids, [vec!["u0", "u1"], vec!["u2", "u3"], vec!["u4"]], "{format}");
        seen.extend(run.files);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 9, "no file takes the place of another");
}

#[tokio::test]
async fn s5_3_a_zip_may_hold_several_entries_whose_names_say_nothing() {
    let (rig, folder) = rig().await;
    users(&rig, 2).await;
    let run = exported(&rig, &wish(json!({}))).await;
    let (entries, users) = files::users(&std::fs::read(folder.path().join("bucket").join(&run.files[0])).unwrap());
    assert_eq!((entries.len(), users.len()), (2, 2));
    let json: Vec<bool> = entries.iter().map(|name| name.ends_with(".json")).collect();
    assert_eq!(json, [true, false]);
}

#[tokio::test]
async fn s5_3_the_date_can_be_the_day_after_the_request() {
    let (rig, _folder) = rig().await;
    users(&rig, 1).await;
    let date = async || {
        let run = exported(&rig, &wish(json!({}))).await;
        run.files[0]
            .split('/')
            .nth(2)
            .unwrap()
            .parse::<jiff::civil::Date>()
            .unwrap()
    };
    let today = date().await;
    rig.handle
        .change_settings(|settings| settings.segment_export.next_day = true);
    let later = date().await;
    // Midnight may pass in between.
    assert!((1..=2).contains(&(later - today).get_days()), "{today} {later}");
}

#[tokio::test]
async fn s5_4_a_line_has_the_fields_that_are_asked_for_and_no_empty_ones() {
    let (rig, folder) = rig().await;
    rig.applied(
        r#"{"attributes":[{"external_id":"a","email":"a@example.org","first_name":"Ines","tier":"gold","n":1}]}"#,
    )
    .await;
    let of = async |further| only_user(&rig, folder.path(), further).await;
    let fields = json!({"fields_to_export": ["external_id", "email", "last_name", "purchases"]});
    assert_eq!(of(fields).await, json!({"external_id": "a", "email": "a@example.org"}));
    let all = json!({"fields_to_export": ["custom_attributes"], "custom_attributes_to_export": ["tier"]});
    assert_eq!(of(all).await, json!({"custom_attributes": {"tier": "gold", "n": 1}}));
    let some = json!({"fields_to_export": ["external_id"], "custom_attributes_to_export": ["tier", "x"]});
    assert_eq!(
        of(some).await,
        json!({"external_id": "a", "custom_attributes": {"tier": "gold"}})
    );
    let none = json!({"fields_to_export": ["external_id"], "custom_attributes_to_export": ["x"]});
    assert_eq!(of(none).await, json!({"external_id": "a"}));
}

#[tokio::test]
async fn s5_4_a_user_has_a_time_of_creation_and_a_random_bucket() {
    let (rig, folder) = rig().await;
    users(&rig, 1).await;
    let user = only_user(
        &rig,
        folder.path(),
        json!({"fields_to_export": ["created_at", "random_bucket"]}),
    )
    .await;
    let created_at = user["created_at"].as_str().unwrap().strip_suffix(" UTC").unwrap();
    created_at.parse::<jiff::civil::DateTime>().unwrap();
    assert!(
        created_at.ends_with(".000") && created_at.as_bytes()[10] == b' ',
        "{created_at}"
    );
    assert!(user["random_bucket"].as_u64().unwrap() < 10_000);
}

#[tokio::test]
async fn s5_3_an_export_holds_the_users_of_its_segment_only() {
    let (rig, folder) = rig().await;
    users(&rig, 4).await;
    rig.handle
        .put_segment(Segment::new("vips", "VIPs", ["u1", "u3", "nobody"]));
    rig.handle.put_segment(Segment::new("empty", "Nobody", ["nobody"]));
    let vips = exported(&rig, &wish(json!({"segment_id": "vips"}))).await;
    let ids = files::external_ids(&folder.path().join("bucket"), &vips.files);
    assert_eq!(ids, [["u1", "u3"]]);
    let empty = exported(&rig, &wish(json!({"segment_id": "empty"}))).await;
    assert_eq!((empty.files, empty.users), (Vec::new(), 0));
}

#[tokio::test]
async fn s5_3_files_are_written_to_a_bucket_over_s3s_protocol() {
    let s3 = S3::start().await;
    let rig = with_storage(Some(s3.storage("secret-1"))).await;
    users(&rig, 5).await;
    let callbacks = Callbacks::listen().await;
    start(
        &rig,
        &wish(json!({"callback_endpoint": callbacks.url, "output_format": "gzip"})),
    )
    .await;
    callbacks.first(1).await;
    let run = rig.handle.exports().remove(0);
    assert!(
        run.files[0].starts_with(&format!("segment-export/{}/", all_users())),
        "{run:?}"
    );
    let ids = files::external_ids(&s3.objects(), &run.files);
    assert_eq!(ids, [vec!["u0", "u1"], vec!["u2", "u3"], vec!["u4"]]);
}

#[tokio::test]
async fn s5_2_an_export_that_cannot_be_written_ends_without_a_callback() {
    let s3 = S3::start().await;
    let rig = with_storage(Some(s3.storage("wrong-secret"))).await;
    users(&rig, 1).await;
    let callbacks = Callbacks::listen().await;
    let run = exported(&rig, &wish(json!({"callback_endpoint": callbacks.url}))).await;
    let error = run.error.unwrap();
    assert!(error.contains("written") && !error.contains("wrong-secret"), "{error}");
    assert_eq!((run.files, run.callbacks, callbacks.count()), (vec![], vec![], 0));
}
