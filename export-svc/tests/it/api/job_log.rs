//! ExportLogService.

use std::time::Duration;

use model::Role;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::export_log_service_client::ExportLogServiceClient;
use proto::export::v1::tail_export_log_request::From;
use proto::export::v1::{
    ExportEvent, ExportLogEntry, PauseExportJobRequest, ResumeExportJobRequest, TailExportLogRequest,
};

use super::{blamed, jobs};
use crate::service::{Service, config};

fn request(name: &str, from: From, follow: bool) -> TailExportLogRequest {
    TailExportLogRequest {
        name: name.to_owned(),
        from: Some(from),
        follow,
    }
}

/// The next entry of somebody's doing.
async fn next(answers: &mut tonic::Streaming<proto::export::v1::TailExportLogResponse>) -> ExportLogEntry {
    let next = async {
        loop {
            let entry = answers.message().await.unwrap().unwrap().entry.unwrap();
            if entry.event < ExportEvent::Started as i32 {
                return entry;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), next)
        .await
        .expect("it is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_job_says_who_did_what_and_goes_on_with_what_comes() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = jobs::authorization(&service, "Sim", "").await;
    let mut admin = ExportJobServiceClient::new(service.admin().await);
    let created = admin.create_export_job(jobs::create("VIP", "vip", &sim)).await.unwrap();
    let vip = created.into_inner().export_job.unwrap().name;
    let other = admin.create_export_job(jobs::create("News", "news", &sim)).await;
    let other = other.unwrap().into_inner().export_job.unwrap().name;
    let mut log = ExportLogServiceClient::new(service.admin().await);
    let mut followed = log
        .tail_export_log(request(&vip, From::Oldest(()), true))
        .await
        .unwrap()
        .into_inner();
    let first = next(&mut followed).await;
    assert_eq!(
        (first.event(), first.job.as_str(), first.token.as_str()),
        (ExportEvent::Created, vip.as_str(), "admin token")
    );
    assert!(first.counters.is_some() && first.time.is_some());
    // Another job's entries are none of its own.
    let pause = |name: &str| PauseExportJobRequest {
        name: name.to_owned(),
        revision: 0,
    };
    admin.pause_export_job(pause(&other)).await.unwrap();
    let token = service.token(Role::DataManager).await;
    let mut manager = ExportJobServiceClient::new(service.connect(Some(&token)).await);
    manager.pause_export_job(pause(&vip)).await.unwrap();
    let paused = next(&mut followed).await;
    let id = token.split('_').nth(2).unwrap();
    assert_eq!(
        (paused.event(), paused.token),
        (ExportEvent::Paused, format!("accounts/1234/apiTokens/{id}"))
    );
    // What is refused has not happened.
    manager.pause_export_job(pause(&vip)).await.unwrap_err();
    let resume = ResumeExportJobRequest {
        name: vip.clone(),
        revision: 0,
        confirm: false,
    };
    manager.resume_export_job(resume).await.unwrap();
    let resumed = next(&mut followed).await;
    assert_eq!((resumed.event(), resumed.message.as_str()), (ExportEvent::Resumed, ""));
    drop(followed);
    let mut newest = log
        .tail_export_log(request(&vip, From::Newest(1), false))
        .await
        .unwrap()
        .into_inner();
    assert!(newest.message().await.unwrap().is_some());
    assert!(newest.message().await.unwrap().is_none(), "one, and the end");
    let too_many = log.tail_export_log(request(&vip, From::Newest(1_001), false)).await;
    assert_eq!(blamed(&too_many.unwrap_err()), ["newest"]);
    service.stop().await;
}
