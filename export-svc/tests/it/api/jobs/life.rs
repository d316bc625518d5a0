//! What is changed of a job, how it ends, and how it is watched.

use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{
    DeleteExportJobRequest, ExportJob, ExportJobState, KillExportJobRequest, ListExportJobsRequest,
    PauseExportJobRequest, UpdateExportJobRequest, WatchExportJobRequest,
};
use tonic::Code;

use super::super::{blamed, code};
use super::{authorization, create, publish};
use crate::service::{ACCOUNT, Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_changed_where_the_mask_says_and_by_whoever_knew_it() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let created = created.into_inner().export_job.unwrap();
    let update = |job: ExportJob, paths: &[&str]| UpdateExportJobRequest {
        export_job: Some(job),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
        remove_slugs: false,
    };
    publish(&brokers.config(), &["a", "b"]).await;
    let wanted = ExportJob {
        name: created.name.clone(),
        revision: created.revision,
        label: "Ignored".to_owned(),
        description: "For the winter".to_owned(),
        audiences: vec!["gold".to_owned(), "vip".to_owned()],
        ..ExportJob::default()
    };
    let request = update(wanted.clone(), &["description", "audiences"]);
    let changed = client.update_export_job(request.clone()).await.unwrap();
    let changed = changed.into_inner().export_job.unwrap();
    assert_eq!(
        (changed.label.as_str(), &changed.description, &changed.audiences),
        ("VIP", &wanted.description, &wanted.audiences)
    );
    let stored = service.directory.export_jobs().all().unwrap().jobs.remove(0);
    let addition = stored.addition("gold").unwrap();
    assert!(addition.start.contains(&(0, 2)), "where the topic ends: {addition:?}");
    assert_eq!(
        code(client.update_export_job(request).await),
        Code::Aborted,
        "it is based on the revision before"
    );
    let moved = PauseExportJobRequest {
        name: created.name.clone(),
        revision: created.revision,
    };
    assert_eq!(code(client.pause_export_job(moved).await), Code::Aborted);
    let any = ExportJob { revision: 0, ..wanted };
    for (paths, field) in [
        (&["audiences"][..], "export_job.audiences"),
        (&["flush_after"], "update_mask"),
    ] {
        let job = ExportJob {
            audiences: Vec::new(),
            ..any.clone()
        };
        let refused = client.update_export_job(update(job, paths)).await.unwrap_err();
        assert_eq!(blamed(&refused), [field]);
    }
    client.create_export_job(create("Other", "taken", &sim)).await.unwrap();
    let taken = ExportJob {
        audiences: vec!["vip".to_owned(), "taken".to_owned()],
        ..any.clone()
    };
    let refused = client
        .update_export_job(update(taken, &["audiences"]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    let nobody = ExportJob {
        name: format!("{ACCOUNT}/exportJobs/none"),
        ..any
    };
    assert_eq!(
        code(client.update_export_job(update(nobody, &["description"])).await),
        Code::NotFound
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_job_is_still_listed_and_nothing_moves_it_any_more() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(create("VIP", "vip", &sim)).await.unwrap();
    let name = created.into_inner().export_job.unwrap().name;
    let kill = || KillExportJobRequest {
        name: name.clone(),
        ..KillExportJobRequest::default()
    };
    let killed = client.kill_export_job(kill()).await.unwrap().into_inner();
    let killed = killed.export_job.unwrap();
    assert_eq!((killed.state(), killed.counters), (ExportJobState::Killed, None));
    let list = ListExportJobsRequest {
        parent: ACCOUNT.to_owned(),
        ..Default::default()
    };
    let listed = client.list_export_jobs(list).await.unwrap().into_inner().export_jobs;
    assert_eq!(listed[0].state(), ExportJobState::Killed);
    let (again, pause) = (
        client.kill_export_job(kill()).await,
        PauseExportJobRequest {
            name: name.clone(),
            revision: 0,
        },
    );
    assert_eq!(code(again), Code::FailedPrecondition);
    let refused = client.pause_export_job(pause).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("is killed"), "{refused}");
    client.create_export_job(create("Heir", "vip", &sim)).await.unwrap();
    client
        .delete_export_job(DeleteExportJobRequest { name, revision: 0 })
        .await
        .unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_by_state_and_by_authorization() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let (sim, other) = (
        authorization(&service, "Sim", "").await,
        authorization(&service, "Other", "").await,
    );
    let mut client = ExportJobServiceClient::new(service.admin().await);
    for (label, authorization) in [("paused", &sim), ("killed", &sim), ("elsewhere", &other)] {
        let created = client
            .create_export_job(create(label, label, authorization))
            .await
            .unwrap();
        let name = created.into_inner().export_job.unwrap().name;
        match label {
            "killed" => drop(
                client
                    .kill_export_job(KillExportJobRequest {
                        name,
                        ..KillExportJobRequest::default()
                    })
                    .await
                    .unwrap(),
            ),
            _ => drop(
                client
                    .pause_export_job(PauseExportJobRequest { name, revision: 0 })
                    .await
                    .unwrap(),
            ),
        }
    }
    for (states, authorization, expected) in [
        (&[][..], "", &["elsewhere", "killed", "paused"][..]),
        (&[ExportJobState::Paused], "", &["elsewhere", "paused"]),
        (
            &[ExportJobState::Paused, ExportJobState::Killed],
            &sim,
            &["killed", "paused"],
        ),
        (&[ExportJobState::Failed], "", &[]),
        (&[], &other, &["elsewhere"]),
    ] {
        let (mut labels, mut page_token) = (Vec::new(), String::new());
        loop {
            let list = ListExportJobsRequest {
                parent: ACCOUNT.to_owned(),
                page_size: 1,
                page_token,
                states: states.iter().map(|state| (*state).into()).collect(),
                authorization: authorization.to_owned(),
            };
            let page = client.list_export_jobs(list).await.unwrap().into_inner();
            labels.extend(page.export_jobs.into_iter().map(|job| job.label));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        labels.sort_unstable();
        assert_eq!(labels, expected, "{states:?}, {authorization:?}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_watched_until_it_is_gone_or_the_service_ends() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorization(&service, "Sim", "").await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let (mut names, mut watched) = (Vec::new(), Vec::new());
    for audience in ["vip", "gold"] {
        let created = client
            .create_export_job(create(audience, audience, &sim))
            .await
            .unwrap();
        let name = created.into_inner().export_job.unwrap().name;
        let watch = WatchExportJobRequest { name: name.clone() };
        watched.push(client.watch_export_job(watch).await.unwrap().into_inner());
        names.push(name);
    }
    let (mut kept, mut deleted) = (watched.pop().unwrap(), watched.pop().unwrap());
    let mut until = async |state: ExportJobState| {
        while deleted
            .message()
            .await?
            .expect("it goes on")
            .export_job
            .unwrap()
            .state()
            != state
        {}
        Ok::<_, tonic::Status>(())
    };
    until(ExportJobState::Runnable).await.unwrap();
    let name = names.swap_remove(0);
    let pause = PauseExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.pause_export_job(pause).await.unwrap();
    until(ExportJobState::Paused).await.unwrap();
    let delete = DeleteExportJobRequest {
        name: name.clone(),
        revision: 0,
    };
    client.delete_export_job(delete).await.unwrap();
    assert_eq!(code(until(ExportJobState::Killed).await), Code::NotFound);
    assert_eq!(
        code(client.watch_export_job(WatchExportJobRequest { name }).await),
        Code::NotFound
    );
    let ended = async {
        loop {
            if let Err(status) = kept.message().await {
                break status;
            }
        }
    };
    let (ended, ()) = tokio::join!(ended, service.stop());
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
}
