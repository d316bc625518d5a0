//! `authorizations`: what is edited, and what is told of health.

use serde_json::{Value, json};

use super::{KEY, done, file, folder, refused, run};
use crate::cli::{stderr, stdout};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_is_created_with_a_warning_while_braze_is_away_and_edited_by_what_is_given() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    let create = ["authorizations", "create", "--account", "1234", "--label", "S"];
    let more = ["--instance", "https://dashboard-03.braze.com", "--limit-share", "0.25"];
    let key = ["--key-file", key_file, "--output", "json"];
    let output = run(&service, &[create.as_slice(), &more, &key].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let warning = stderr(&output);
    assert!(
        warning.starts_with("warning: the authorization is unknown: "),
        "{warning}"
    );
    let created: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&created["instance"], &created["limitShare"], &created["health"]),
        (&json!("US-03"), &json!(0.25), &json!("unknown"))
    );
    let update = ["authorizations", "update", "S", "--account", "1234", "--output", "json"];
    let edit = ["--requests-per-second", "20", "--limit-share", "default", "--revision"];
    let revision = created["revision"].to_string();
    let edited = done(&service, &[update.as_slice(), &edit, &[&revision]].concat()).await;
    let edited: Value = serde_json::from_str(&edited).unwrap();
    assert_eq!(
        (&edited["label"], &edited["requestsPerSecond"], &edited["limitShare"]),
        (&json!("S"), &json!(20.0), &Value::Null)
    );
    let stale = refused(&service, &[update.as_slice(), &edit, &[&revision]].concat()).await;
    assert!(stale.contains("ABORTED"), "{stale}");
    let listed = done(&service, &["authorizations", "list", "--account", "1234"]).await;
    assert!(listed.contains("HEALTH") && listed.contains("unknown"), "{listed}");
    service.stop().await;
}
