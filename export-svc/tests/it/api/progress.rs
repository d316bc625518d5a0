//! How far a job is with delivering, as its users see it, and how its log begins and ends.

use braze_sim::{Fault, Sim};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::export_log_service_client::ExportLogServiceClient;
use proto::export::v1::tail_export_log_request::From;
use proto::export::v1::{
    DeleteExportJobRequest, ExportEvent, ExportJob, ExportLogEntry, KillExportJobRequest, TailExportLogRequest,
    TailExportLogResponse, WatchExportJobRequest,
};
use runtime::testing::wait_for;

use super::plan::{authorize, change, create, existing, publish, until, with_sim};
use crate::service::Service;

/// A job of existing users that sends at once.
async fn begin(service: &Service, label: &str, audience: &str, authorization: &str) -> String {
    let job = ExportJob {
        flush_after: Some(prost_types::Duration {
            seconds: 0,
            nanos: 50_000_000,
        }),
        ..existing(label, &[audience], authorization)
    };
    create(service, job).await
}

/// Everything that is said of a job, from the beginning.
async fn log(service: &Service, name: &str) -> tonic::Streaming<TailExportLogResponse> {
    let request = TailExportLogRequest {
        name: name.to_owned(),
        from: Some(From::Oldest(())),
        follow: true,
    };
    let mut client = ExportLogServiceClient::new(service.admin().await);
    client.tail_export_log(request).await.unwrap().into_inner()
}

/// Entries up to the first of this kind.
async fn up_to(log: &mut tonic::Streaming<TailExportLogResponse>, last: ExportEvent) -> Vec<ExportLogEntry> {
    let mut entries = Vec::new();
    let read = async {
        while entries
            .last()
            .is_none_or(|entry: &ExportLogEntry| entry.event() != last)
        {
            entries.extend(log.message().await.unwrap().unwrap().entry);
        }
    };
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), read).await;
    assert!(read.is_ok(), "in vain: {last:?}");
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_and_not_settled_is_pending_for_whoever_watches() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = Service::start(with_sim(&brokers, &sim)).await;
    publish(
        &service,
        (0..3).map(|profile| change("vip", profile, true, "user_id")).collect(),
    )
    .await;
    let authorization = authorize(&service).await;
    sim.handle().inject(Fault::hold());
    let name = begin(&service, "VIP", "vip", &authorization).await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let watch = WatchExportJobRequest { name };
    let mut watched = client.watch_export_job(watch).await.unwrap().into_inner();
    let mut seen = async |pending, added| {
        wait_for("the watcher is told", async || {
            let job = watched.message().await.unwrap().unwrap().export_job.unwrap();
            let counted = job.counters.is_some_and(|counters| counters.added == added);
            (job.pending == pending && job.unread == Some(0) && counted).then_some(())
        })
        .await;
    };
    seen(3, 0).await;
    sim.handle().clear_faults();
    seen(0, 3).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_job_begins_with_its_creation_and_ends_with_its_totals() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = Service::start(with_sim(&brokers, &sim)).await;
    let changes = ["vip", "news"].map(|slug| (0..3).map(|profile| change(slug, profile, true, "user_id")));
    publish(&service, changes.into_iter().flatten().collect()).await;
    let authorization = authorize(&service).await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let added = |job: &ExportJob| job.counters.is_some_and(|counters| counters.added == 3);

    let killed = begin(&service, "VIP", "vip", &authorization).await;
    let mut said = log(&service, &killed).await;
    let entries = up_to(&mut said, ExportEvent::Synced).await;
    let events: Vec<_> = entries.iter().map(ExportLogEntry::event).collect();
    assert_eq!(
        events,
        [ExportEvent::Created, ExportEvent::Started, ExportEvent::Synced]
    );
    assert_eq!(entries[0].token, "admin token");
    assert_eq!(entries[1].token, "", "nobody asked for it");
    until(&service, &killed, added).await;
    let kill = KillExportJobRequest {
        name: killed,
        revision: 0,
        remove_slugs: false,
    };
    client.kill_export_job(kill).await.unwrap();
    let last = up_to(&mut said, ExportEvent::Killed).await.pop().unwrap();
    assert_eq!(last.counters.unwrap().added, 3);

    let deleted = begin(&service, "News", "news", &authorization).await;
    let mut said = log(&service, &deleted).await;
    until(&service, &deleted, added).await;
    let delete = DeleteExportJobRequest {
        name: deleted,
        revision: 0,
    };
    client.delete_export_job(delete).await.unwrap();
    let last = up_to(&mut said, ExportEvent::Deleted).await.pop().unwrap();
    assert_eq!(last.counters.unwrap().added, 3);
    service.stop().await;
}
