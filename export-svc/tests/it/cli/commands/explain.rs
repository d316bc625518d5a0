//! `explain`.

use serde_json::{Value, json};

use super::{KEY, done, file, folder, refused};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_followed_as_lines_as_a_table_and_as_json() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    for line in [
        format!(
            "authorizations create --account 1234 --label Sim --instance US-01 --key-file {}",
            key_file.display()
        ),
        "jobs create --account 1234 --auth Sim --label VIP --audience vip --audience news --external-id-field user_id \
         --braze-id-field b --existing-users"
            .to_owned(),
        "memberships publish --account 1234 --audience vip --profile 42 --enter --field user_id=cust-1".to_owned(),
    ] {
        done(&service, &line.split_whitespace().collect::<Vec<_>>()).await;
    }
    let explain = ["explain", "--account", "1234", "--job", "VIP", "--profile", "42"];
    let json = [&explain[..], &["--audience", "vip", "--output", "json"]].concat();
    let told = runtime::testing::wait_for("the job has read it", async || {
        let told: Value = serde_json::from_str(&done(&service, &json).await).unwrap();
        (told[0]["standing"]["stage"] == "window").then_some(told)
    })
    .await;
    assert_eq!(told.as_array().unwrap().len(), 1);
    let record = &told[0]["lastRecord"];
    assert_eq!(
        (&record["offset"], &record["action"], &record["fields"]),
        (&json!(0), &json!("enter"), &json!({"user_id": "cust-1"}))
    );
    let choices = json!([
        {"kind": "external_id", "field": "user_id", "value": "cust-1", "chosen": true},
        {"kind": "braze_id", "field": "b", "whyNot": "the record has no such field"},
    ]);
    assert_eq!(told[0]["identifiers"], choices);
    assert_eq!(
        (&told[0]["rejected"], &told[0]["incomplete"]),
        (&Value::Null, &Value::Null)
    );
    let problem = told[0]["brazeUser"]["problem"].as_str().unwrap();
    assert!(problem.contains("Braze cannot be reached"), "{problem}");
    let lines = done(&service, &[&explain[..], &["--audience", "vip"]].concat()).await;
    assert!(
        lines.starts_with("audience     vip\nprofileId    42\nsentence     It is not known"),
        "{lines}"
    );
    let other = "value cust-1; field b, kind braze_id, whyNot the record has no such field\n";
    assert!(lines.contains(other), "{lines}");
    let table = done(&service, &explain).await;
    let rows: Vec<_> = table.lines().collect();
    assert!(rows[0].starts_with("AUDIENCE  STAGE   AT BRAZE   WHY"), "{table}");
    assert!(
        rows[1].starts_with("vip       window  not known  It is not known"),
        "{table}"
    );
    assert!(rows[2].contains("no record of profile 42 in audience news"), "{table}");
    let wrong = [&explain[..], &["--audience", "gold"]].concat();
    let wrong = refused(&service, &wrong).await;
    assert!(wrong.contains("audiences") && wrong.contains("vip, news"), "{wrong}");
    service.stop().await;
}
