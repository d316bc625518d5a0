//! A job that its guard has paused, as its users see it.

use braze_sim::Sim;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::export_log_service_client::ExportLogServiceClient;
use proto::export::v1::tail_export_log_request::From;
use proto::export::v1::{
    BounceExportJobRequest, ExportEvent, ExportJob, ExportJobState, ListExportJobsRequest, ResumeExportJobRequest,
    TailExportLogRequest, UpdateExportJobRequest,
};
use tonic::Code;

use super::explain;
use super::plan::{authorize, change, create, existing, publish, until, with_sim};
use crate::service::{ACCOUNT, Service};

async fn metrics(service: &Service) -> String {
    let client = reqwest::Client::builder();
    let client = client.timeout(std::time::Duration::from_secs(10)).build().unwrap();
    let url = format!("http://{}/metrics", service.admin);
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_job_says_why_and_is_resumed_by_nobody_who_does_not_confirm() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = Service::start(with_sim(&brokers, &sim)).await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    publish(
        &service,
        (0..400)
            .map(|profile| change("vip", profile, true, "user_id"))
            .collect(),
    )
    .await;
    let job = ExportJob {
        flush_after: Some(prost_types::Duration {
            seconds: 0,
            nanos: 50_000_000,
        }),
        ..existing("VIP", &["vip", "gold"], &authorize(&service).await)
    };
    let name = create(&service, job).await;
    let removed = |count| move |job: &ExportJob| job.counters.is_some_and(|counters| counters.removed == count);
    until(&service, &name, |job| {
        job.counters.is_some_and(|counters| counters.added == 400)
    })
    .await;
    publish(
        &service,
        (0..100)
            .map(|profile| change("vip", profile, false, "user_id"))
            .collect(),
    )
    .await;
    let guarded = until(&service, &name, |job| job.guarded).await;
    assert_eq!(
        (guarded.state(), guarded.guard_percent),
        (ExportJobState::Paused, Some(20))
    );
    assert!(
        guarded.state_reason.contains("audience vip had 400 members"),
        "{}",
        guarded.state_reason
    );
    // Of those who have left some are held back: which ones is up to the partitions.
    let mut held = String::new();
    for profile in (0..100).rev() {
        held = explain::explain(&service, &name, "vip", &profile.to_string())
            .await
            .sentence;
        if held.contains("the job is paused by its guard (") {
            break;
        }
    }
    assert!(
        held.contains("paused by its guard (") && held.contains("jobs resume --confirm"),
        "{held}"
    );
    let paused = ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        states: vec![ExportJobState::Paused.into()],
        ..ListExportJobsRequest::default()
    };
    let listed = client.list_export_jobs(paused).await.unwrap().into_inner().export_jobs;
    assert!(listed.len() == 1 && listed[0].guarded, "{listed:?}");
    assert!(metrics(&service).await.contains("export_guard_pauses_total"));

    let resume = |confirm| ResumeExportJobRequest {
        name: name.clone(),
        revision: guarded.revision,
        confirm,
    };
    let refused = client.resume_export_job(resume(false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for told in [
        "confirmed",
        "80 of them have left",
        "20 %",
        "jobs resume --confirm",
        "`confirm`",
    ] {
        assert!(refused.message().contains(told), "{told}: {}", refused.message());
    }
    let bounce = BounceExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    let bounced = client.bounce_export_job(bounce.clone()).await.unwrap_err();
    assert_eq!(bounced.code(), Code::FailedPrecondition);
    assert!(bounced.message().contains("jobs resume --confirm"), "{bounced}");
    let confirmed = client.resume_export_job(resume(true)).await.unwrap().into_inner();
    let confirmed = confirmed.export_job.unwrap();
    assert_eq!(
        (confirmed.state(), confirmed.guarded),
        (ExportJobState::Runnable, false)
    );
    let stale = client.resume_export_job(resume(true)).await.unwrap_err();
    assert!(
        matches!(stale.code(), Code::Aborted | Code::FailedPrecondition),
        "{stale}"
    );
    until(&service, &name, removed(100)).await;
    let logged = TailExportLogRequest {
        name: name.clone(),
        from: Some(From::Oldest(())),
        follow: true,
    };
    let mut log = ExportLogServiceClient::new(service.admin().await);
    let mut log = log.tail_export_log(logged).await.unwrap().into_inner();
    let resumed = runtime::testing::wait_for("the log tells of the resume", async || {
        let entry = log.message().await.unwrap().unwrap().entry;
        entry.filter(|entry| entry.event() == ExportEvent::Resumed)
    })
    .await;
    assert!(resumed.message.starts_with("confirmed: "), "{resumed:?}");
    assert_eq!(resumed.token, "admin token");
    drop(log);

    // Nor does a job stay paused whose guard is turned off.
    publish(
        &service,
        (100..200)
            .map(|profile| change("vip", profile, false, "user_id"))
            .collect(),
    )
    .await;
    until(&service, &name, |job| job.guarded).await;
    // What it removes its guard does not hold, so a bounce may do something for that.
    let without_gold = UpdateExportJobRequest {
        export_job: Some(ExportJob {
            name: name.clone(),
            audiences: vec!["vip".to_owned()],
            ..ExportJob::default()
        }),
        remove_slugs: true,
        ..UpdateExportJobRequest::default()
    };
    client.update_export_job(without_gold).await.unwrap();
    let bounced = client.bounce_export_job(bounce.clone()).await.unwrap().into_inner();
    assert!(bounced.export_job.unwrap().guarded, "nor does it let the job go on");
    let off = ExportJob {
        name: name.clone(),
        guard_percent: Some(0),
        ..ExportJob::default()
    };
    let update = UpdateExportJobRequest {
        export_job: Some(off),
        ..UpdateExportJobRequest::default()
    };
    let changed = client.update_export_job(update).await.unwrap().into_inner();
    assert!(!changed.export_job.unwrap().guarded);
    until(&service, &name, removed(200)).await;
    service.stop().await;
}
