//! ExportJobService.

mod failed;
mod life;
mod options;
mod removal;

use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use proto::authorization::v1::DeleteAuthorizationRequest;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::reset_export_job_request::To;
use proto::export::v1::{
    CreateExportJobRequest, DeleteExportJobRequest, ExportJob, ExportJobState, GetExportJobRequest,
    ListExportJobsRequest, PauseExportJobRequest, ResetExportJobRequest, ResetOffsets, ResumeExportJobRequest,
};
use tonic::Code;

use super::{authorizations, blamed, code};
use crate::service::{ACCOUNT, Service, config};

pub(super) async fn authorization(service: &Service, label: &str, workspace: &str) -> String {
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let created = client
        .create_authorization(authorizations::create(label, workspace))
        .await
        .unwrap()
        .into_inner();
    created.authorization.unwrap().name
}

pub(super) fn create(label: &str, audience: &str, authorization: &str) -> CreateExportJobRequest {
    let job = ExportJob {
        r#type: "export_audiences".to_owned(),
        label: label.to_owned(),
        audiences: vec![audience.to_owned()],
        authorization: authorization.to_owned(),
        external_id_field: "customer_no".to_owned(),
        ..ExportJob::default()
    };
    CreateExportJobRequest {
        parent: ACCOUNT.to_owned(),
        export_job: Some(job),
    }
}

/// Puts these into partition 0 of the membership topic.
async fn publish(kafka: &kafka::Config, payloads: &[&'static str]) {
    let topic = Topics::new(kafka).audience_membership(1234);
    let publisher = Publisher::new(kafka, PublisherOptions::default()).unwrap();
    let record = |payload: &&'static str| RecordOut::new(&topic).partition(0).key("vip/1").payload(*payload);
    for acked in publisher.publish_all(payloads.iter().map(record).collect()).await {
        acked.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_created_read_listed_and_deleted() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client
        .create_export_job(create("VIP", "vip", &sim))
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    assert_eq!(
        (created.batch_updates_max, created.flush_after.unwrap().seconds),
        (75, 300),
        "the baseline's defaults"
    );
    let name = created.name.clone();
    let get = || GetExportJobRequest { name: name.clone() };
    let read = client
        .get_export_job(get())
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    assert_eq!(
        (&read.label, &read.audiences, read.revision),
        (&created.label, &created.audiences, created.revision)
    );
    assert_ne!(read.state(), ExportJobState::Unspecified);
    assert!(read.counters.is_some());
    let list = || ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_export_jobs(list())
            .await
            .unwrap()
            .into_inner()
            .export_jobs
            .len(),
        1
    );
    client
        .delete_export_job(DeleteExportJobRequest {
            name: name.clone(),
            revision: 0,
        })
        .await
        .unwrap();
    assert_eq!(code(client.get_export_job(get()).await), Code::NotFound);
    assert_eq!(
        client.list_export_jobs(list()).await.unwrap().into_inner().export_jobs,
        []
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_and_resumed_and_what_is_impossible_is_refused() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let created = created.into_inner().export_job.unwrap();
    let name = created.name.clone();
    let pause = || PauseExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    let resume = || ResumeExportJobRequest {
        confirm: false,
        name: name.clone(),
        revision: 0,
    };
    let get = || GetExportJobRequest { name: name.clone() };
    let refused = client.resume_export_job(resume()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let paused = client.pause_export_job(pause()).await.unwrap().into_inner();
    let paused = paused.export_job.unwrap();
    assert_eq!(paused.state(), ExportJobState::Paused);
    assert!(paused.revision > created.revision);
    let read = client.get_export_job(get()).await.unwrap().into_inner();
    assert_eq!(read.export_job.unwrap().state(), ExportJobState::Paused);
    assert_eq!(
        code(client.pause_export_job(pause()).await),
        Code::FailedPrecondition,
        "paused already"
    );
    let resumed = client.resume_export_job(resume()).await.unwrap().into_inner();
    let resumed = resumed.export_job.unwrap();
    assert_eq!(resumed.state(), ExportJobState::Runnable);
    assert_eq!((resumed.label, resumed.audiences), (created.label, created.audiences));
    client
        .delete_export_job(DeleteExportJobRequest {
            name: name.clone(),
            revision: 0,
        })
        .await
        .unwrap();
    assert_eq!(code(client.pause_export_job(pause()).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_reset_to_places_that_the_topic_has_and_what_is_wrong_is_named() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    publish(&brokers.config(), &["a", "b"]).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    let reset = |to, audiences: &[&str]| ResetExportJobRequest {
        name: name.clone(),
        audiences: audiences.iter().map(|&slug| slug.to_owned()).collect(),
        to,
        revision: 0,
    };
    let offsets = |offsets: &[(i32, i64)]| {
        let by_partition = offsets.iter().copied().collect();
        Some(To::Offsets(ResetOffsets { by_partition }))
    };
    for (request, fields) in [
        (reset(None, &["gold"]), &["audiences[0]", "beginning"][..]),
        (reset(offsets(&[]), &[]), &["offsets.by_partition"]),
        (reset(offsets(&[(0, -1)]), &[]), &["offsets.by_partition"]),
        (reset(offsets(&[(999, 0)]), &[]), &["offsets.by_partition"]),
    ] {
        assert_eq!(blamed(&client.reset_export_job(request).await.unwrap_err()), fields);
    }
    let status = client
        .reset_export_job(reset(offsets(&[(0, 3)]), &[]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(
        status.message().contains("partition 0") && status.message().contains("is 2"),
        "{status}"
    );
    client
        .reset_export_job(reset(Some(To::Beginning(())), &[]))
        .await
        .unwrap();
    client
        .reset_export_job(reset(offsets(&[(0, 2)]), &["vip"]))
        .await
        .unwrap();
    let nobody = ResetExportJobRequest {
        name: format!("{ACCOUNT}/exportJobs/none"),
        ..reset(Some(To::Beginning(())), &[])
    };
    assert_eq!(code(client.reset_export_job(nobody).await), Code::NotFound);
    let job = service.directory.export_jobs().all().unwrap().jobs.remove(0);
    let newest = job.resets.last().unwrap();
    assert_eq!(
        (newest.number, newest.audiences.as_slice(), newest.offsets.as_slice()),
        (2, &["vip".to_owned()][..], &[(0, 2)][..])
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_looked_up_in_kafka_or_refused_where_there_is_no_look_up() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    publish(&brokers.config(), &["a", "b"]).await;
    let mut to = async |time| {
        let to = Some(To::Time(model::time::to_wire(time)));
        let (name, audiences) = (name.clone(), Vec::new());
        client
            .reset_export_job(ResetExportJobRequest {
                name,
                audiences,
                to,
                revision: 0,
            })
            .await
    };
    let resets = || service.directory.export_jobs().all().unwrap().jobs.remove(0).resets;
    if let kafka::testing::Brokers::InProcess(_) = &brokers {
        let status = to(jiff::Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("by time"), "{status}");
    } else {
        to(jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        let beginning = resets().pop().unwrap().offsets;
        assert!(beginning.iter().all(|(_, offset)| *offset == 0), "{beginning:?}");
        to("2100-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
        let end = resets().pop().unwrap().offsets;
        assert!(
            end.iter()
                .all(|&(partition, offset)| offset == if partition == 0 { 2 } else { 0 }),
            "{end:?}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_needs_an_identifier_and_a_whole_alias() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let mut without = create("VIP", "vip", &sim);
    without.export_job.as_mut().unwrap().external_id_field.clear();
    let status = client.create_export_job(without).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    for way in [
        "external_id_field",
        "braze_id_field",
        "user_alias_label",
        "user_alias_field",
    ] {
        assert!(status.message().contains(way), "{way} is missing: {}", status.message());
    }
    let mut half = create("VIP", "vip", &sim);
    half.export_job.as_mut().unwrap().user_alias_label = "crm".to_owned();
    assert_eq!(
        blamed(&client.create_export_job(half).await.unwrap_err()),
        ["export_job.user_alias_field"]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_audience_goes_to_one_workspace_by_one_job_and_the_other_is_named() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let (first, second) = (
        authorization(&service, "a", "w").await,
        authorization(&service, "b", "w").await,
    );
    let elsewhere = authorization(&service, "c", "x").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let taken = client
        .create_export_job(create("one", "vip", &first))
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    let status = client
        .create_export_job(create("two", "vip", &second))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains(&taken.name), "{}", status.message());
    assert_eq!(
        code(client.create_export_job(create("one", "gold", &elsewhere)).await),
        Code::AlreadyExists,
        "the label"
    );
    client
        .create_export_job(create("two", "vip", &elsewhere))
        .await
        .unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_a_job_uses_stays_and_the_job_is_named() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut jobs = ExportJobServiceClient::new(service.admin().await);
    let job = jobs
        .create_export_job(create("VIP", "vip", &sim))
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    let mut authorizations = AuthorizationServiceClient::new(service.admin().await);
    let delete = || DeleteAuthorizationRequest {
        name: sim.clone(),
        revision: 0,
    };
    let status = authorizations.delete_authorization(delete()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains(&job.name), "{}", status.message());
    jobs.delete_export_job(DeleteExportJobRequest {
        name: job.name,
        revision: 0,
    })
    .await
    .unwrap();
    authorizations.delete_authorization(delete()).await.unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_starts_where_the_membership_topic_ends() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    publish(&brokers.config(), &["before the job", "before the job"]).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let start = service.directory.export_jobs().all().unwrap().jobs.remove(0).start;
    assert!(start.len() > 1, "every partition: {start:?}");
    assert!(
        start
            .iter()
            .all(|&(partition, offset)| offset == if partition == 0 { 2 } else { 0 }),
        "{start:?}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_accounts_authorizations_and_jobs() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let token = service.token(model::Role::Observer).await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client
        .create_export_job(create("VIP", "vip", &sim))
        .await
        .unwrap()
        .into_inner()
        .export_job
        .unwrap();
    service.stop().await;

    let service = Service::start(config(&brokers)).await;
    let mut client = ExportJobServiceClient::new(service.connect(Some(&token)).await);
    let list = ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        ..Default::default()
    };
    let listed = client.list_export_jobs(list).await.unwrap().into_inner().export_jobs;
    let kept: Vec<_> = listed
        .iter()
        .map(|job| (&job.name, &job.authorization, job.revision))
        .collect();
    assert_eq!(kept, [(&created.name, &sim, created.revision)]);
    service.stop().await;
}
