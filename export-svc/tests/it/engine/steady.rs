//! Proves: in steady state each record of the membership topic is fetched once, whatever the number of jobs.
//!
//! How: by what the readers have polled, in bytes of keys and values, against the same bytes of the topic. That counts what was
//! fetched too, since a reader loses only by going elsewhere what it has fetched and not polled, and it is never told to.
//! (librdkafka's own statistics pile up in a client that is not polled, so the service does not ask for them.)

use control::NewAuthorization;
use control::NewExportJob;
use futures::future::join_all;

use super::rig::{KEY, Rig, job, until};

const AUDIENCES: usize = 20;
const USERS: usize = 100;

/// The sum of a metric of one Braze workspace.
fn metric(name: &str, workspace: &str) -> f64 {
    let label = format!("workspace=\"1234.{workspace}\"");
    let text = runtime::telemetry::install_metrics().render();
    let of_it = |line: &&str| line.split('{').next() == Some(name) && line.contains(&label);
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
    text.lines().filter(of_it).filter_map(value).sum()
}

async fn read_once(jobs: usize) {
    runtime::telemetry::install_metrics();
    let rig = Rig::new().await;
    let workspace = format!("steady-{jobs}");
    let authorization = NewAuthorization {
        label: workspace.clone(),
        description: String::new(),
        instance: "US-01".to_owned(),
        workspace: Some(workspace.clone()),
        budget: control::Budget::default(),
        rest_api_key: KEY.into(),
    };
    let authorization = rig.authorize_with(authorization).await;
    let mut created = Vec::new();
    for number in 0..jobs {
        let new = NewExportJob {
            authorization: authorization.clone(),
            ..job(&format!("audience-{number}"))
        };
        created.push(rig.create_with(new).await);
    }
    let engine = rig.start();
    for job in &created {
        engine.until(job, |_| true).await;
    }
    for user in 0..USERS {
        let id = format!("cust-{user}");
        let profile = user.to_string();
        let fields = [("user_id", id.as_str()), ("name", "of as many letters as names have")];
        let audiences: Vec<_> = (0..AUDIENCES).map(|number| format!("audience-{number}")).collect();
        join_all(audiences.iter().map(|audience| rig.enter(audience, &profile, &fields))).await;
    }
    for job in &created {
        engine.settled(job, (USERS as u64, 0, 0, 0)).await;
    }
    let all = (AUDIENCES * USERS) as f64;
    let records = || metric("export_reader_records_total", &workspace);
    until(
        || records() >= all,
        || format!("{} of {all} records are read", records()),
    )
    .await;
    engine.drain().await;
    let topic = rig.read(rig.topics.audience_membership(1234)).await;
    let bytes: usize = topic.iter().map(|(key, value)| key.len() + value.len()).sum();
    let read = metric("export_reader_bytes_total", &workspace) / bytes as f64;
    assert!((1.0..=1.01).contains(&read), "{read} of the topic is read");
    assert_eq!(records(), all);
    assert_eq!(
        metric("export_reader_seeks_total", &workspace),
        1.0,
        "to where it began"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_twenty_jobs_every_byte_of_the_topic_is_read_once_as_with_one() {
    for jobs in [1, AUDIENCES] {
        read_once(jobs).await;
    }
}
