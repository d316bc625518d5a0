//! What can be done with a job that has failed.

use std::time::Duration;

use braze_sim::{Fault, Sim};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{BounceExportJobRequest, ExportJob, ExportJobState, PauseExportJobRequest};
use tonic::Code;

use super::super::plan::{authorize, change, create, existing, publish, until, with_sim};
use crate::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_failed_is_not_paused_but_bounced_and_then_it_can_be() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let mut config = with_sim(&brokers, &sim);
    config.engine.fail_after = Duration::from_millis(300);
    config.engine.sleep_max = Duration::from_millis(100);
    config.engine.probe_after = Duration::from_millis(50);
    config.engine.request_timeout = Duration::from_secs(30);
    let service = Service::start(config).await;
    let job = ExportJob {
        flush_after: Some(prost_types::Duration {
            seconds: 0,
            nanos: 50_000_000,
        }),
        ..existing("VIP", &["vip"], &authorize(&service).await)
    };
    let name = create(&service, job).await;
    sim.handle().inject(Fault::status(503));
    publish(&service, vec![change("vip", 1, true, "user_id")]).await;
    until(&service, &name, |job| job.state() == ExportJobState::Failed).await;
    let pause = || PauseExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let refused = client.pause_export_job(pause()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("until it is bounced"), "{refused}");
    sim.handle().clear_faults();
    let bounce = BounceExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.bounce_export_job(bounce).await.unwrap();
    let added = |job: &ExportJob| job.counters.is_some_and(|counters| counters.added == 1);
    until(&service, &name, added).await;
    let paused = client.pause_export_job(pause()).await.unwrap().into_inner();
    assert_eq!(paused.export_job.unwrap().state(), ExportJobState::Paused);
    service.stop().await;
}
