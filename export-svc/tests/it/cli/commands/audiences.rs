//! `audiences`, and what `jobs create` and `jobs update` warn of.

use serde_json::{Value, json};

use super::{KEY, done, file, folder, run};
use crate::cli::{stderr, stdout};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_to_choose_from_is_listed_and_a_typo_is_a_warning_on_stderr() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    let publish = [
        "memberships",
        "publish",
        "--account",
        "1234",
        "--audience",
        "vip",
        "--enter",
    ];
    done(
        &service,
        &[publish.as_slice(), &["--profile", "42", "--field", "user_id=cust-1"]].concat(),
    )
    .await;
    let listed = done(
        &service,
        &["audiences", "list", "--account", "1234", "--output", "json"],
    )
    .await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["slug"], &listed[0]["members"]), (&json!("vip"), &json!(1)));
    let fields = done(&service, &["audiences", "fields", "--account", "1234"]).await;
    assert!(fields.contains("user_id  1"), "{fields}");
    let form = done(&service, &["authorizations", "providers"]).await;
    assert!(form.contains("rest_api_key") && form.contains("secret"), "{form}");
    let create = ["authorizations", "create", "--account", "1234", "--label", "S"];
    let more = ["--instance", "US-01", "--key-file", key_file];
    done(&service, &[create.as_slice(), &more].concat()).await;
    let job = ["jobs", "create", "--account", "1234", "--auth", "S", "--label", "J"];
    let typos = ["--audience", "vpi", "--external-id-field", "user"];
    let output = run(&service, &[job.as_slice(), &typos].concat()).await;
    assert!(
        output.status.success() && stdout(&output).contains("exportJobs"),
        "{output:?}"
    );
    let warnings = stderr(&output);
    assert!(
        warnings.contains("warning: audience \"vpi\"") && warnings.contains("warning: external_id_field \"user\""),
        "{warnings}"
    );
    let update = ["jobs", "update", "J", "--account", "1234", "--add-audience", "vpp"];
    let output = run(&service, &update).await;
    assert!(output.status.success() && stdout(&output).contains("vpp"), "{output:?}");
    let warnings = stderr(&output);
    assert!(
        warnings.starts_with("warning: audience \"vpp\"") && warnings.lines().count() == 1,
        "{warnings}"
    );
    service.stop().await;
}
