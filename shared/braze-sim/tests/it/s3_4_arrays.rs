//! §3.4: arrays, the heart of an audience export.

use serde_json::json;

use crate::support::Rig;

/// Applies these values of the attribute `s` to one user, one call each, and gives what is there in the end.
async fn after(rig: &Rig, values: &[&str]) -> Vec<String> {
    for value in values {
        rig.applied(&format!(r#"{{"attributes":[{{"external_id":"u","s":{value}}}]}}"#))
            .await;
    }
    rig.user("u")
        .unwrap()
        .array("s")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn s3_4_a_literal_array_replaces_the_whole_and_keeps_each_value_once() {
    let rig = Rig::start().await;
    assert_eq!(after(&rig, &[r#"["old"]"#, r#"["x","y","x"]"#]).await, ["x", "y"]);
}

#[tokio::test]
async fn s3_4_add_appends_and_makes_the_array_if_need_be() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"{"add":["a"]}"#, r#"{"add":["b","c"]}"#]).await,
        ["a", "b", "c"]
    );
}

#[tokio::test]
async fn s3_4_add_moves_a_value_that_is_there_to_the_end() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"["a","b","c"]"#, r#"{"add":["a"]}"#]).await,
        ["b", "c", "a"]
    );
}

#[tokio::test]
async fn s3_4_remove_takes_a_value_out_and_forgives_a_missing_one() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"["a","b"]"#, r#"{"remove":["a","nope"]}"#]).await,
        ["b"]
    );
}

#[tokio::test]
async fn s3_4_add_and_remove_may_stand_in_one_object() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"["a","b"]"#, r#"{"add":["c"],"remove":["a"]}"#]).await,
        ["b", "c"]
    );
}

#[tokio::test]
async fn s3_4_remove_from_an_attribute_that_is_not_there_does_not_make_it() {
    let rig = Rig::start().await;
    after(&rig, &[r#"{"remove":["a"]}"#]).await;
    assert_eq!(rig.attribute("u", "s"), None);
}

#[tokio::test]
async fn s3_4_a_full_array_drops_its_oldest_values() {
    let rig = Rig::with(|settings| settings.array_values_max = 3).await;
    assert_eq!(
        after(&rig, &[r#"["a","b","c"]"#, r#"{"add":["d","e"]}"#]).await,
        ["c", "d", "e"]
    );
    assert_eq!(after(&rig, &[r#"["1","2","3","4"]"#]).await, ["2", "3", "4"]);
}

#[tokio::test]
async fn s3_4_an_array_holds_500_values_by_default() {
    let rig = Rig::start().await;
    let values: Vec<String> = (0..501).map(|n| format!("{n}")).collect();
    let held = after(&rig, &[&serde_json::to_string(&values).unwrap()]).await;
    assert_eq!((held.len(), held[0].as_str(), held[499].as_str()), (500, "1", "500"));
}

#[tokio::test]
async fn s3_4_the_cap_can_be_set_for_one_attribute() {
    let rig = Rig::with(|settings| {
        settings.array_values_max_by_attribute.insert("s".to_owned(), 1);
    })
    .await;
    rig.applied(r#"{"attributes":[{"external_id":"u","s":{"add":["a","b"]},"t":{"add":["a","b"]}}]}"#)
        .await;
    let user = rig.user("u").unwrap();
    assert_eq!((user.array("s"), user.array("t")), (vec!["b"], vec!["a", "b"]));
}

#[tokio::test]
async fn s3_4_an_array_holds_so_many_bytes_in_all() {
    let rig = Rig::with(|settings| settings.value_bytes_max = 10).await;
    assert_eq!(after(&rig, &[r#"["aaaa","bbbb","cccc"]"#]).await, ["bbbb", "cccc"]);
}

#[tokio::test]
async fn s3_4_values_are_compared_with_case_and_blanks() {
    let rig = Rig::start().await;
    assert_eq!(
        after(&rig, &[r#"{"add":["a","A"," a"]}"#, r#"{"remove":["A"]}"#]).await,
        ["a", " a"]
    );
}

#[tokio::test]
async fn s3_4_a_value_of_more_than_255_characters_is_silently_not_added() {
    let rig = Rig::start().await;
    let (longest, longer) = ("ü".repeat(255), "ü".repeat(256));
    let held = after(&rig, &[&format!(r#"{{"add":["a","{longer}","{longest}"]}}"#)]).await;
    assert_eq!(held, ["a".to_owned(), longest]);
}

#[tokio::test]
async fn s3_4_null_unsets_an_array() {
    let rig = Rig::start().await;
    after(&rig, &[r#"["a"]"#, "null"]).await;
    assert_eq!(rig.attribute("u", "s"), None);
}

#[tokio::test]
async fn s3_4_the_last_value_that_goes_leaves_an_empty_array() {
    let rig = Rig::start().await;
    after(&rig, &[r#"["a"]"#, r#"{"remove":["a"]}"#]).await;
    assert_eq!(rig.attribute("u", "s"), Some(json!([])));
}
