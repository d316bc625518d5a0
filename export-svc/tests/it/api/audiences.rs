//! AudienceService, and the hints of ExportJobService that come from the same topic.

use std::collections::HashMap;

use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{ExportJob, UpdateExportJobRequest};
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::audience_service_client::AudienceServiceClient;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{
    ListAudiencesRequest, ListAudiencesResponse, ListProfileFieldsRequest, MembershipAction, MembershipChange,
    PublishMembershipChangesRequest,
};
use tonic::Code;

use super::{code, jobs};
use crate::service::{ACCOUNT, Service, config};

async fn publish(service: &Service, changes: &[(&str, &str, MembershipAction)]) {
    let change = |(audience, profile, action): &(&str, &str, MembershipAction)| MembershipChange {
        account: 1234,
        audience_slug: (*audience).to_owned(),
        profile_id: (*profile).to_owned(),
        action: (*action).into(),
        fields: HashMap::from([("user_id".to_owned(), format!("cust-{profile}"))]),
        ..MembershipChange::default()
    };
    let requests: Vec<_> = changes
        .iter()
        .map(|one| PublishMembershipChangesRequest {
            change: Some(change(one)),
            ..PublishMembershipChangesRequest::default()
        })
        .collect();
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let answers = client.publish_membership_changes(futures::stream::iter(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    for _ in changes {
        let answer = answers.message().await.unwrap().unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Published(_))), "{answer:?}");
    }
}

async fn list(service: &Service, page_size: u32, page_token: &str) -> ListAudiencesResponse {
    let request = ListAudiencesRequest {
        parent: ACCOUNT.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let mut client = AudienceServiceClient::new(service.admin().await);
    client.list_audiences(request).await.unwrap().into_inner()
}

fn counts(listed: &ListAudiencesResponse) -> Vec<(&str, u64)> {
    let audiences = listed.audiences.iter();
    audiences
        .map(|audience| (audience.slug.as_str(), audience.members))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn audiences_are_listed_with_their_members_as_of_the_newest_records() {
    use MembershipAction::{Enter, Exit};
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let empty = list(&service, 0, "").await;
    assert_eq!((counts(&empty), empty.unread), (Vec::new(), 0));
    let changes = [
        ("vip", "1", Enter),
        ("vip", "2", Enter),
        ("news", "1", Enter),
        ("vip", "2", Exit),
    ];
    publish(&service, &changes).await;
    let listed = list(&service, 0, "").await;
    assert_eq!((counts(&listed), listed.unread), (vec![("news", 1), ("vip", 1)], 0));
    assert!(
        listed
            .audiences
            .iter()
            .all(|audience| audience.last_change_time.is_some())
    );
    // What comes later is read on to; the pages after the first are of one reading.
    publish(&service, &[("vip", "3", Enter), ("gold", "1", Enter)]).await;
    let first = list(&service, 2, "").await;
    assert_eq!(counts(&first), [("gold", 1), ("news", 1)]);
    publish(&service, &[("vip", "4", Enter)]).await;
    let second = list(&service, 2, &first.next_page_token).await;
    assert_eq!(counts(&second), [("vip", 2)]);
    assert_eq!(second.next_page_token, "");
    assert_eq!(counts(&list(&service, 0, "").await)[2], ("vip", 3));
    let elsewhere = ListAudiencesRequest {
        parent: "accounts/99".to_owned(),
        ..ListAudiencesRequest::default()
    };
    let mut client = AudienceServiceClient::new(service.admin().await);
    assert_eq!(code(client.list_audiences(elsewhere).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_the_newest_records_are_listed_with_how_many_have_them() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    publish(
        &service,
        &[
            ("vip", "1", MembershipAction::Enter),
            ("vip", "2", MembershipAction::Exit),
        ],
    )
    .await;
    let mut client = AudienceServiceClient::new(service.admin().await);
    let request = ListProfileFieldsRequest {
        parent: ACCOUNT.to_owned(),
    };
    let listed = client.list_profile_fields(request).await.unwrap().into_inner();
    let fields: Vec<_> = listed
        .profile_fields
        .iter()
        .map(|field| (field.name.as_str(), field.records))
        .collect();
    assert_eq!((fields, listed.records), (vec![("user_id", 2)], 2));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_an_audience_or_by_a_field_that_no_record_has_is_created_with_a_warning() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let authorization = jobs::authorization(&service, "Sim", "").await;
    let entered = ["vip", "new"].map(|audience| (audience, "1", MembershipAction::Enter));
    publish(&service, &entered).await;
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let typo = client
        .create_export_job(jobs::create("Typo", "vpi", &authorization))
        .await;
    let typo = typo.unwrap().into_inner();
    assert!(typo.export_job.as_ref().is_some_and(|job| !job.name.is_empty()));
    let [audience, field] = &typo.warnings[..] else {
        panic!("{:?}", typo.warnings)
    };
    assert!(audience.starts_with("audience \"vpi\""), "{audience}");
    assert!(
        field.contains("external_id_field \"customer_no\"") && field.contains("user_id"),
        "{field}"
    );
    let mut good = jobs::create("VIP", "vip", &authorization);
    good.export_job = good.export_job.map(|job| ExportJob {
        external_id_field: "user_id".to_owned(),
        ..job
    });
    let good = client.create_export_job(good).await.unwrap().into_inner();
    assert_eq!(good.warnings, [""; 0]);
    // Of an edit only what it adds.
    let name = typo.export_job.unwrap().name;
    let edit = |audiences: &[&str]| UpdateExportJobRequest {
        export_job: Some(ExportJob {
            name: name.clone(),
            audiences: audiences.iter().map(|&slug| slug.to_owned()).collect(),
            ..ExportJob::default()
        }),
        ..UpdateExportJobRequest::default()
    };
    let updated = client
        .update_export_job(edit(&["vpi", "vppi"]))
        .await
        .unwrap()
        .into_inner();
    assert!(
        matches!(&updated.warnings[..], [audience] if audience.starts_with("audience \"vppi\"")),
        "{:?}",
        updated.warnings
    );
    assert_eq!(
        updated.export_job.unwrap().audiences,
        ["vpi", "vppi"],
        "it is changed all the same"
    );
    let known = client
        .update_export_job(edit(&["vppi", "new"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(known.warnings, [""; 0]);
    service.stop().await;
}
