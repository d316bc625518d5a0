//! `jobs bounce --state`.

use serde_json::Value;

use super::{KEY, done, file, folder, run};
use crate::cli::stderr;
use crate::service::{Service, config};

/// States of the jobs that a command shows, by label.
async fn jobs(service: &Service, line: &str) -> Vec<(String, String)> {
    let shown = done(service, &line.split_whitespace().collect::<Vec<_>>()).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let jobs = shown.as_array().unwrap().iter();
    let text = |job: &Value, key: &str| job[key].as_str().unwrap().to_owned();
    jobs.map(|job| (text(job, "label"), text(job, "state"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_in_a_state_is_bounced_and_no_other() {
    let brokers = kafka::testing::brokers();
    // Braze cannot be reached.
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    let job = |label: &str| {
        format!(
            "jobs create --account 1234 --auth Sim --label {label} --audience {label} --external-id-field user_id --flush-after 50ms"
        )
    };
    for line in [
        format!("authorizations create --account 1234 --label Sim --instance US-01 --key-file {key_file}"),
        job("vip"),
        job("news"),
        job("idle"),
        "memberships publish --account 1234 --audience vip --profile 42 --enter --field user_id=cust-1".to_owned(),
        "memberships publish --account 1234 --audience news --profile 42 --enter --field user_id=cust-1".to_owned(),
    ] {
        done(&service, &line.split_whitespace().collect::<Vec<_>>()).await;
    }
    runtime::testing::until("two jobs sleep", async || {
        let asleep = jobs(&service, "jobs list --account 1234 --state sleeping --output json").await;
        asleep.len() == 2
    })
    .await;
    let none = jobs(&service, "jobs bounce --account 1234 --state failed --output json").await;
    assert_eq!(none, []);
    // One that tries again just then does not sleep.
    runtime::testing::until("both are bounced", async || {
        let mut bounced = jobs(&service, "jobs bounce --account 1234 --state sleeping --output json").await;
        bounced.sort();
        let labels: Vec<_> = bounced.iter().map(|(label, _)| &**label).collect();
        assert!(!labels.contains(&"idle"), "it does not sleep");
        labels == ["news", "vip"]
    })
    .await;
    for wrong in [
        "jobs bounce --state sleeping",
        "jobs bounce vip --account 1234 --state sleeping",
        "jobs bounce --account 1234 --state sleeping --revision 1",
        "jobs bounce --account 1234",
    ] {
        let output = run(&service, &wrong.split_whitespace().collect::<Vec<_>>()).await;
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", stderr(&output));
    }
    service.stop().await;
}
