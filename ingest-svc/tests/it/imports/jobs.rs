//! Import jobs over gRPC: what somebody wants of them.

use model::Role;
use proto::imports::v1 as wire;
use proto::imports::v1::ImportJobState;
use proto::imports::v1::import_job_service_client::ImportJobServiceClient;
use proto::imports::v1::import_source::Source;
use proto::mapping::v1::PutMappingRequest;
use proto::mapping::v1::mapping_service_client::MappingServiceClient;
use runtime::grpc::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::storages::Allowed;
use crate::harness::wait_for;

pub(super) type Client = ImportJobServiceClient<Channel>;

/// A job of files of that storage.
pub(super) fn job(label: &str, authorization: &str) -> wire::ImportJob {
    let source = Source::Storage(wire::StorageSource {
        authorization: authorization.to_owned(),
        prefix: "daily/".to_owned(),
        pattern: String::new(),
    });
    wire::ImportJob {
        label: label.to_owned(),
        stream: "braze_users".to_owned(),
        source: Some(wire::ImportSource { source: Some(source) }),
        ..wire::ImportJob::default()
    }
}

pub(super) async fn create(
    client: &mut Client,
    allowed: &Allowed,
    job: wire::ImportJob,
) -> Result<(wire::ImportJob, Vec<String>), Status> {
    let request = wire::CreateImportJobRequest {
        parent: allowed.parent(),
        import_job: Some(job),
    };
    let created = client.create_import_job(request).await?.into_inner();
    Ok((created.import_job.unwrap(), created.warnings))
}

pub(super) async fn get(client: &mut Client, name: &str) -> Result<wire::ImportJob, Status> {
    let name = name.to_owned();
    let got = client.get_import_job(wire::GetImportJobRequest { name }).await?;
    Ok(got.into_inner().import_job.unwrap())
}

pub(super) async fn pause(client: &mut Client, name: &str, revision: u64) -> Result<wire::ImportJob, Status> {
    let name = name.to_owned();
    let request = wire::PauseImportJobRequest { name, revision };
    Ok(client.pause_import_job(request).await?.into_inner().import_job.unwrap())
}

pub(super) async fn kill(client: &mut Client, name: &str) -> Result<wire::ImportJob, Status> {
    let (name, revision) = (name.to_owned(), 0);
    let request = wire::KillImportJobRequest { name, revision };
    Ok(client.kill_import_job(request).await?.into_inner().import_job.unwrap())
}

#[tokio::test]
async fn a_job_is_created_edited_moved_and_deleted() {
    let allowed = Allowed::start(|_| ()).await;
    let storage = allowed.folder(&mut allowed.storages().await, "").await.unwrap();
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let wanted = job("Daily", &storage.name);
    let (created, warnings) = create(&mut client, &allowed, wanted.clone()).await.unwrap();
    assert_eq!((&created.source, warnings.len()), (&wanted.source, 0));
    let taken = create(&mut client, &allowed, wanted).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists, "{taken}");

    let paused = pause(&mut client, &created.name, created.revision).await.unwrap();
    assert_eq!(paused.state(), ImportJobState::Paused);
    let stale = pause(&mut client, &created.name, created.revision).await.unwrap_err();
    assert_eq!(stale.code(), Code::FailedPrecondition, "{stale}");
    let (name, revision) = (created.name.clone(), created.revision);
    let stale = client.resume_import_job(wire::ResumeImportJobRequest { name, revision });
    assert_eq!(stale.await.unwrap_err().code(), Code::Aborted);
    let (name, revision) = (created.name.clone(), 0);
    let bounced = client.bounce_import_job(wire::BounceImportJobRequest { name, revision });
    assert_eq!(bounced.await.unwrap_err().code(), Code::FailedPrecondition);

    let edit = wire::UpdateImportJobRequest {
        import_job: Some(wire::ImportJob {
            name: created.name.clone(),
            drop_errors: true,
            revision: paused.revision,
            ..wire::ImportJob::default()
        }),
        update_mask: None,
    };
    let edited = client
        .update_import_job(edit)
        .await
        .unwrap()
        .into_inner()
        .import_job
        .unwrap();
    assert!(edited.drop_errors && edited.label == "Daily" && edited.revision > paused.revision);
    let (name, revision) = (created.name.clone(), edited.revision);
    let resumed = client.resume_import_job(wire::ResumeImportJobRequest { name, revision });
    let resumed = resumed.await.unwrap().into_inner().import_job.unwrap();
    assert_ne!(resumed.state(), ImportJobState::Paused);

    let killed = kill(&mut client, &created.name).await.unwrap();
    assert_eq!(killed.state(), ImportJobState::Killed);
    assert_eq!(
        kill(&mut client, &created.name).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    let (name, revision) = (created.name.clone(), 0);
    let deleted = client.delete_import_job(wire::DeleteImportJobRequest { name, revision });
    deleted.await.unwrap();
    assert_eq!(
        get(&mut client, &created.name).await.unwrap_err().code(),
        Code::NotFound
    );
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_job_is_told_at_once_and_what_it_needs_must_be_there() {
    let allowed = Allowed::start(|_| ()).await;
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let bad = wire::ImportJob {
        label: String::new(),
        format: Some(wire::FileFormat {
            format: "xml".to_owned(),
            ..wire::FileFormat::default()
        }),
        ..job("", "accounts/1/storageAuthorizations/a")
    };
    let refused = create(&mut client, &allowed, bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_details_bad_request().unwrap();
    let fields: Vec<_> = details.field_violations.into_iter().map(|found| found.field).collect();
    let told = ["label", "source.storage.authorization", "format.format"];
    assert_eq!(fields, told.map(|field| format!("import_job.{field}")));

    let nowhere = format!("{}/storageAuthorizations/a", allowed.parent());
    let missing = create(&mut client, &allowed, job("Daily", &nowhere)).await.unwrap_err();
    assert_eq!(
        (missing.code(), missing.message()),
        (Code::NotFound, &*format!("{nowhere} does not exist"))
    );
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_job_whose_stream_no_mapping_reads_is_created_with_a_warning_until_one_does() {
    let allowed = Allowed::start(|_| ()).await;
    let storage = allowed.folder(&mut allowed.storages().await, "").await.unwrap();
    let channel = allowed.channel(Role::DataManager).await;
    let mut client = Client::new(channel.clone());
    let wanted = wire::ImportJob {
        stream: "orders".to_owned(),
        ..job("Orders", &storage.name)
    };
    let (created, warnings) = create(&mut client, &allowed, wanted).await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("orders"), "{warnings:?}");
    assert_eq!(created.mapping, "");
    let put = PutMappingRequest {
        parent: allowed.parent(),
        lql: "SELECT user AS id FROM orders INTO user BY id ALIAS shop".to_owned(),
        if_revision: None,
    };
    MappingServiceClient::new(channel).put_mapping(put).await.unwrap();
    let mapping = format!("{}/mappings/shop", allowed.parent());
    wait_for("the mapping is live", async || {
        (get(&mut client, &created.name).await.unwrap().mapping == mapping).then_some(())
    })
    .await;
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn what_a_job_needs_cannot_be_deleted_before_it_is_killed() {
    let allowed = Allowed::start(|_| ()).await;
    let mut storages = allowed.storages().await;
    let storage = allowed.folder(&mut storages, "").await.unwrap();
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let (created, _) = create(&mut client, &allowed, job("Daily", &storage.name))
        .await
        .unwrap();
    let delete = || wire::DeleteStorageAuthorizationRequest {
        name: storage.name.clone(),
        revision: 0,
    };
    let refused = storages.delete_storage_authorization(delete()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&created.name), "{refused}");
    kill(&mut client, &created.name).await.unwrap();
    storages.delete_storage_authorization(delete()).await.unwrap();
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_export_of_a_segment_needs_keys() {
    let allowed = Allowed::start(|config| config.secrets.keys = "".into()).await;
    let storage = allowed.folder(&mut allowed.storages().await, "").await.unwrap();
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let source = Source::SegmentExport(wire::SegmentExportSource {
        storage_authorization: storage.name.clone(),
        authorization: format!("{}/authorizations/a", allowed.parent()),
        segment_id: "vip".to_owned(),
        fields: vec!["external_id".to_owned()],
        custom_attributes: Vec::new(),
    });
    let wanted = wire::ImportJob {
        source: Some(wire::ImportSource { source: Some(source) }),
        ..job("VIP", &storage.name)
    };
    let refused = create(&mut client, &allowed, wanted).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("secrets.keys"), "{refused}");
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn jobs_are_listed_by_state_in_pages_that_only_their_own_list_takes_on() {
    let allowed = Allowed::start(|_| ()).await;
    let storage = allowed.folder(&mut allowed.storages().await, "").await.unwrap();
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    for label in ["a", "b", "c"] {
        let (created, _) = create(&mut client, &allowed, job(label, &storage.name)).await.unwrap();
        if label == "b" {
            kill(&mut client, &created.name).await.unwrap();
        }
    }
    let mut observer = Client::new(allowed.channel(Role::Observer).await);
    let mut list = async |states: &[ImportJobState], page_token: &str| {
        let request = wire::ListImportJobsRequest {
            parent: allowed.parent(),
            page_size: 2,
            page_token: page_token.to_owned(),
            states: states.iter().map(|state| (*state).into()).collect(),
        };
        let listed = observer.list_import_jobs(request).await?.into_inner();
        let labels: Vec<_> = listed.import_jobs.into_iter().map(|job| job.label).collect();
        Ok::<_, Status>((labels.join(","), listed.next_page_token))
    };
    let (first, next) = list(&[], "").await.unwrap();
    assert_eq!(
        (first.as_str(), list(&[], &next).await.unwrap()),
        ("a,b", ("c".to_owned(), String::new()))
    );
    let killed = [ImportJobState::Killed];
    assert_eq!(list(&killed, "").await.unwrap().0, "b");
    assert_eq!(list(&killed, &next).await.unwrap_err().code(), Code::InvalidArgument);
    let refused = create(&mut observer, &allowed, job("d", &storage.name))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    allowed.service.lifecycle.drain("the test is over");
}
