//! Slugs that are removed when audiences leave their job, or it is killed. Braze is away: what there is to be removed waits.

use std::time::Duration;

use proto::authorization::v1::DeleteAuthorizationRequest;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{
    BounceExportJobRequest, DeleteExportJobRequest, ExportJob, ExportJobState, GetExportJobRequest,
    KillExportJobRequest, ListExportJobsRequest, PauseExportJobRequest, ResumeExportJobRequest, UpdateExportJobRequest,
    WatchExportJobRequest,
};
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::{MembershipAction, MembershipChange, PublishMembershipChangesRequest};
use runtime::grpc::Channel;
use tonic::Code;

use super::super::{blamed, code};
use super::{authorization, create};
use crate::service::{ACCOUNT, Service, config};

type Jobs = ExportJobServiceClient<Channel>;

async fn enter(service: &Service, audience: &str) {
    let mut change = MembershipChange {
        account: 1234,
        audience_slug: audience.to_owned(),
        profile_id: "1".to_owned(),
        fields: [("customer_no".to_owned(), "C-1".to_owned())].into(),
        ..MembershipChange::default()
    };
    change.set_action(MembershipAction::Enter);
    let request = PublishMembershipChangesRequest {
        change: Some(change),
        ..PublishMembershipChangesRequest::default()
    };
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let requests = futures::stream::iter([request]);
    let mut answers = client.publish_membership_changes(requests).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
}

async fn get(client: &mut Jobs, name: &str) -> ExportJob {
    let name = name.to_owned();
    let answer = client.get_export_job(GetExportJobRequest { name }).await.unwrap();
    answer.into_inner().export_job.unwrap()
}

/// An edit that leaves a job these audiences.
fn keep(name: &str, audiences: &[&str], remove_slugs: bool) -> UpdateExportJobRequest {
    let export_job = ExportJob {
        name: name.to_owned(),
        audiences: audiences.iter().map(|&slug| slug.to_owned()).collect(),
        ..ExportJob::default()
    };
    UpdateExportJobRequest {
        export_job: Some(export_job),
        remove_slugs,
        ..UpdateExportJobRequest::default()
    }
}

fn kill(name: &str, remove_slugs: bool) -> KillExportJobRequest {
    KillExportJobRequest {
        name: name.to_owned(),
        remove_slugs,
        ..KillExportJobRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_with_its_slugs_is_removing_and_holds_its_audiences_and_its_authorization() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    enter(&service, "vip").await;
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    let killed = client.kill_export_job(kill(&name, true)).await.unwrap().into_inner();
    let killed = killed.export_job.unwrap();
    assert_eq!(killed.state(), ExportJobState::Removing);
    assert_eq!(
        (killed.removals.len(), killed.removals[0].done),
        (1, false),
        "{killed:?}"
    );
    assert_eq!(killed.removals[0].audience, "vip");
    let list = ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        states: vec![ExportJobState::Removing.into()],
        ..Default::default()
    };
    assert_eq!(
        client
            .list_export_jobs(list)
            .await
            .unwrap()
            .into_inner()
            .export_jobs
            .len(),
        1
    );
    let pause = PauseExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    for refused in [
        client.kill_export_job(kill(&name, false)).await.unwrap_err(),
        client.pause_export_job(pause).await.unwrap_err(),
        client
            .update_export_job(keep(&name, &["vip"], false))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("is killed"), "{refused}");
    }
    let refused = client.create_export_job(create("Heir", "vip", &sim)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains(&name) && refused.message().contains("vip"),
        "{refused}"
    );
    let mut authorizations = AuthorizationServiceClient::new(service.admin().await);
    let delete = DeleteAuthorizationRequest {
        name: sim.clone(),
        revision: 0,
    };
    let refused = authorizations.delete_authorization(delete).await.unwrap_err();
    assert!(refused.message().contains(&name), "{refused}");
    let bounce = BounceExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.bounce_export_job(bounce).await.unwrap();
    // Whoever cannot wait.
    client
        .delete_export_job(DeleteExportJobRequest { name, revision: 0 })
        .await
        .unwrap();
    client.create_export_job(create("Heir", "vip", &sim)).await.unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_members_is_removed_at_once_and_the_audience_may_come_back_and_the_job_ends() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let mut wanted = create("Both", "vip", &sim);
    wanted.export_job.as_mut().unwrap().audiences.push("gold".to_owned());
    let created = client.create_export_job(wanted).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    let label = UpdateExportJobRequest {
        export_job: Some(ExportJob {
            name: name.clone(),
            label: "Another".to_owned(),
            ..ExportJob::default()
        }),
        remove_slugs: true,
        ..UpdateExportJobRequest::default()
    };
    let refused = client.update_export_job(label).await.unwrap_err();
    assert_eq!(blamed(&refused), ["remove_slugs"]);
    client.update_export_job(keep(&name, &["vip"], true)).await.unwrap();
    runtime::testing::until("the slug is removed", async || {
        let job = get(&mut client, &name).await;
        assert_eq!(
            (job.state(), job.audiences.len(), job.removals.len()),
            (ExportJobState::Runnable, 1, 1)
        );
        job.removals[0].done
    })
    .await;
    let back = client
        .update_export_job(keep(&name, &["vip", "gold"], false))
        .await
        .unwrap();
    assert!(back.into_inner().export_job.unwrap().removals.is_empty());
    let killed = client.kill_export_job(kill(&name, true)).await.unwrap().into_inner();
    assert_eq!(killed.export_job.unwrap().removals.len(), 2);
    let watch = WatchExportJobRequest { name: name.clone() };
    let mut watched = client.watch_export_job(watch).await.unwrap().into_inner();
    let mut last = ExportJobState::Unspecified;
    while let Some(seen) = watched.message().await.unwrap() {
        last = seen.export_job.unwrap().state();
    }
    assert_eq!(last, ExportJobState::Killed, "the watch ends with it");
    assert_eq!(
        code(client.kill_export_job(kill(&name, true)).await),
        Code::FailedPrecondition
    );
    client.create_export_job(create("Heir", "gold", &sim)).await.unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_time_is_over_tells_that_what_it_removes_has_failed_and_is_bounced() {
    let brokers = kafka::testing::brokers();
    let mut config = config(&brokers);
    config.engine.fail_after = Duration::from_millis(1);
    config.engine.backoff_min = Duration::from_millis(50);
    let service = Service::start(config).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let mut wanted = create("Both", "vip", &sim);
    let job = wanted.export_job.as_mut().unwrap();
    job.audiences.push("gold".to_owned());
    job.flush_after = Some(prost_types::Duration {
        seconds: 0,
        nanos: 50_000_000,
    });
    let created = client.create_export_job(wanted).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    enter(&service, "vip").await;
    client.update_export_job(keep(&name, &["gold"], true)).await.unwrap();
    let fails = async |client: &mut ExportJobServiceClient<Channel>| {
        runtime::testing::wait_for("it has failed", async || {
            let job = get(client, &name).await;
            (job.state() == ExportJobState::Failed).then_some(job)
        })
        .await
    };
    fails(&mut client).await;
    // The job itself goes on, so somebody may want it to pause.
    let pause = PauseExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.pause_export_job(pause).await.unwrap();
    let resume = ResumeExportJobRequest {
        name: name.clone(),
        ..ResumeExportJobRequest::default()
    };
    client.resume_export_job(resume).await.unwrap();
    let over = control::ExportJobEdit {
        options: control::OptionsEdit {
            expire_time: Some(Some(jiff::Timestamp::now())),
            ..control::OptionsEdit::default()
        },
        ..control::ExportJobEdit::default()
    };
    let (account, id) = model::name::child(&name, model::name::EXPORT_JOBS).unwrap();
    let jobs = service.directory.export_jobs();
    let edited = jobs.update(account, id, over, None, jiff::Timestamp::now());
    edited.await.unwrap();
    let failed = fails(&mut client).await;
    assert!(failed.state_reason.contains("jobs bounce"), "{failed:?}");
    let bounce = BounceExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.bounce_export_job(bounce).await.unwrap();
    service.stop().await;
}
