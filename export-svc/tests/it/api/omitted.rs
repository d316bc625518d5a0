//! OmittedChangeService.

use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use model::Role;
use prost::Message;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::omitted_change_service_client::OmittedChangeServiceClient;
use proto::export::v1::tail_omitted_changes_request::From;
use proto::export::v1::{
    RedriveOmittedChangesRequest, RejectedChange, TailOmittedChangesRequest, TailOmittedChangesResponse,
};
use tonic::{Code, Streaming};

use super::{blamed, code, jobs};
use crate::service::{ACCOUNT, Service, config};

/// Keeps changes as the engine does: job, offset and reason of each.
async fn keep(kafka: &kafka::Config, changes: &[(&str, i64, &str)]) {
    let topic = Topics::new(kafka).export_rejected();
    let publisher = Publisher::new(kafka, PublisherOptions::default()).unwrap();
    for (job, offset, reason) in changes {
        let rejected = RejectedChange {
            job: (*job).to_owned(),
            offset: *offset,
            reason: (*reason).to_owned(),
            ..RejectedChange::default()
        };
        let record = RecordOut::new(&topic)
            .key((*job).to_owned())
            .payload(rejected.encode_to_vec());
        publisher.publish_all(vec![record]).await.remove(0).unwrap();
    }
}

async fn job(service: &Service, authorization: &str, audience: &str) -> String {
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client
        .create_export_job(jobs::create(audience, audience, authorization))
        .await;
    created.unwrap().into_inner().export_job.unwrap().name
}

fn offset(answer: TailOmittedChangesResponse) -> i64 {
    assert!(answer.keep_time.is_some());
    answer.change.unwrap().offset
}

async fn all(mut answers: Streaming<TailOmittedChangesResponse>) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        offsets.push(offset(answer));
    }
    offsets
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_there_is_not_is_refused_with_those_that_there_are() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let name = job(&service, &jobs::authorization(&service, "Sim", "").await, "vip").await;
    let mut client = OmittedChangeServiceClient::new(service.admin().await);
    let reasons = vec!["blocked".to_owned(), "no_identifer".to_owned()];
    let tail = TailOmittedChangesRequest {
        name: name.clone(),
        reasons: reasons.clone(),
        ..TailOmittedChangesRequest::default()
    };
    let redrive = RedriveOmittedChangesRequest {
        name,
        reasons,
        revision: 0,
    };
    for refused in [
        client.tail_omitted_changes(tail).await.map(drop),
        client.redrive_omitted_changes(redrive).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(blamed(&refused), ["reasons"]);
        assert!(refused.message().contains("no_identifier, "), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_a_job_are_told_in_order_and_on_request_by_reason_or_all() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = jobs::authorization(&service, "Sim", "").await;
    let (vip, news) = (job(&service, &sim, "vip").await, job(&service, &sim, "news").await);
    let kept: Vec<_> = (0..30)
        .map(|at| match at % 3 {
            0 => (vip.as_str(), at, "no_identifier"),
            1 => (vip.as_str(), at, "blocked"),
            _ => (news.as_str(), at, "no_identifier"),
        })
        .collect();
    keep(&brokers.config(), &kept).await;
    let mut client = OmittedChangeServiceClient::new(service.admin().await);
    let of_vip: Vec<i64> = (0..30).filter(|at| at % 3 != 2).collect();
    for (from, reasons, expected) in [
        (None, &[][..], &of_vip[..]),
        (Some(From::Oldest(())), &[], &of_vip),
        (Some(From::Newest(3)), &[], &[25, 27, 28]),
        (Some(From::Newest(0)), &[], &[]),
        (Some(From::Newest(2)), &["blocked"], &[25, 28]),
        (Some(From::Newest(3)), &["blocked", "no_identifier"], &[25, 27, 28]),
        (None, &["value"], &[]),
    ] {
        let request = TailOmittedChangesRequest {
            name: vip.clone(),
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            from,
            follow: false,
        };
        let answers = client.tail_omitted_changes(request).await.unwrap().into_inner();
        assert_eq!(all(answers).await, expected, "{from:?}, {reasons:?}");
    }
    let too_many = TailOmittedChangesRequest {
        name: vip.clone(),
        from: Some(From::Newest(1_001)),
        ..TailOmittedChangesRequest::default()
    };
    assert_eq!(
        blamed(&client.tail_omitted_changes(too_many).await.unwrap_err()),
        ["newest"]
    );
    let nobody = TailOmittedChangesRequest {
        name: format!("{ACCOUNT}/exportJobs/none"),
        ..TailOmittedChangesRequest::default()
    };
    assert_eq!(code(client.tail_omitted_changes(nobody).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_are_told_until_nobody_listens_and_not_beyond_a_token() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = jobs::authorization(&service, "Sim", "").await;
    let vip = job(&service, &sim, "vip").await;
    keep(&brokers.config(), &[(&vip, 0, "blocked"), (&vip, 1, "blocked")]).await;
    let follow = || TailOmittedChangesRequest {
        name: vip.clone(),
        from: Some(From::Newest(1)),
        follow: true,
        ..TailOmittedChangesRequest::default()
    };
    let token = service.token(Role::Observer).await;
    let mut client = OmittedChangeServiceClient::new(service.connect(Some(&token)).await);
    // More calls than there may be at a time: each gives its place back when its caller goes.
    for _ in 0..9 {
        let answers = loop {
            match client.tail_omitted_changes(follow()).await {
                Ok(answers) => break answers,
                Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
                Err(status) => panic!("{status}"),
            }
        };
        assert_eq!(offset(answers.into_inner().message().await.unwrap().unwrap()), 1);
    }
    let mut answers = client.tail_omitted_changes(follow()).await.unwrap().into_inner();
    assert_eq!(offset(answers.message().await.unwrap().unwrap()), 1);
    keep(&brokers.config(), &[(&vip, 2, "blocked")]).await;
    assert_eq!(offset(answers.message().await.unwrap().unwrap()), 2);
    let tokens = service.directory.api_tokens();
    let account = model::AccountNumber::new(1234).unwrap();
    for token in tokens
        .list(account, &control::Page::new(&["ListApiTokens"], 0, "").unwrap())
        .unwrap()
        .items
    {
        tokens.delete(account, &token.id, None).await.unwrap();
    }
    let ended = answers.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_calls_at_a_time_and_no_more() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = jobs::authorization(&service, "Sim", "").await;
    let follow = TailOmittedChangesRequest {
        name: job(&service, &sim, "vip").await,
        follow: true,
        ..TailOmittedChangesRequest::default()
    };
    let mut client = OmittedChangeServiceClient::new(service.admin().await);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(client.tail_omitted_changes(follow.clone()).await.unwrap());
    }
    assert_eq!(code(client.tail_omitted_changes(follow).await), Code::ResourceExhausted);
    service.stop().await;
}
