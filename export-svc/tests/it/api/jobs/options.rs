//! What a job does otherwise than others, over the API.

use jiff::{Timestamp, ToSpan};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{
    ExportJob, ExportJobState, GetExportJobRequest, PauseExportJobRequest, QuietWindow, UpdateExportJobRequest, UserCap,
};
use tonic::Code;

use super::super::blamed;
use super::{authorization, create};
use crate::service::{Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn options_are_kept_as_given_and_some_can_be_changed_also_of_a_job_whose_time_is_over() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let mut new = create("VIP", "vip", &sim);
    let soon = Timestamp::now() + 2.seconds();
    let given = ExportJob {
        attribute: "other".to_owned(),
        email_field: "email".to_owned(),
        phone_field: "phone".to_owned(),
        update_existing_only: true,
        quiet_window: Some(QuietWindow {
            start: "22:00".to_owned(),
            end: "06:00".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
        }),
        expire_time: Some(model::time::to_wire(soon)),
        user_cap: Some(UserCap {
            adds_max: 10,
            period: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        }),
        ..new.export_job.take().unwrap()
    };
    new.export_job = Some(given.clone());
    let created = client
        .create_export_job(new)
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    let expected = |job: &ExportJob| ExportJob {
        flush_after: job.flush_after,
        batch_updates_max: job.batch_updates_max,
        coalesce: job.coalesce,
        audience_events: job.audience_events,
        guard_percent: job.guard_percent,
        oldest_unconfirmed_time: job.oldest_unconfirmed_time,
        name: job.name.clone(),
        create_time: job.create_time,
        update_time: job.update_time,
        revision: job.revision,
        state: job.state,
        state_reason: job.state_reason.clone(),
        resume_time: job.resume_time,
        counters: job.counters,
        unread: job.unread,
        ..given.clone()
    };
    assert_eq!(created, expected(&created));
    let get = || GetExportJobRequest {
        name: created.name.clone(),
    };
    runtime::testing::until("it is completed", async || {
        let job = client.clone().get_export_job(get()).await.unwrap().into_inner();
        let job = job.export_job.unwrap();
        job.state() == ExportJobState::Completed && job.state_reason.contains("completed at")
    })
    .await;
    let pause = PauseExportJobRequest {
        name: created.name.clone(),
        revision: 0,
    };
    let refused = client.pause_export_job(pause).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("let it expire later"), "{refused}");
    let update = |job: ExportJob, paths: &[&str]| UpdateExportJobRequest {
        export_job: Some(ExportJob {
            name: created.name.clone(),
            ..job
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
        remove_slugs: false,
    };
    let past = ExportJob {
        expire_time: Some(model::time::to_wire(soon)),
        ..ExportJob::default()
    };
    let refused = client
        .update_export_job(update(past, &["expire_time"]))
        .await
        .unwrap_err();
    assert_eq!(blamed(&refused), ["export_job.expire_time"]);
    let refused = client
        .update_export_job(update(given.clone(), &["attribute"]))
        .await
        .unwrap_err();
    assert_eq!(blamed(&refused), ["update_mask"]);
    let options = ["quiet_window", "expire_time", "user_cap"];
    let changed = client
        .update_export_job(update(ExportJob::default(), &options))
        .await
        .unwrap();
    let changed = changed.into_inner().export_job.unwrap();
    assert_eq!(
        (&changed.quiet_window, &changed.expire_time, &changed.user_cap),
        (&None, &None, &None)
    );
    assert_eq!(
        (changed.state(), &*changed.state_reason),
        (ExportJobState::Runnable, "")
    );
    service.stop().await;
}
