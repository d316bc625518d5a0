//! ExportPlanService: what a job would do, and what it then does.

use std::collections::HashMap;
use std::time::Duration;

use braze_sim::Sim;
use export_svc::config::Config;
use kafka::testing::Brokers;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::export_plan_service_client::ExportPlanServiceClient;
use proto::export::v1::{
    CreateExportJobRequest, ExportCounters, ExportJob, ExportPlan, GetExportJobRequest, PlanExportJobRequest,
};
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::{MembershipAction, MembershipChange, PublishMembershipChangesRequest};
use runtime::testing::wait_for;
use tonic::Code;

use super::{authorizations, jobs};
use crate::service::{ACCOUNT, Service, config};

/// A service whose Braze is this simulator, with waits of a tenth of the usual ones.
pub(super) fn with_sim(brokers: &Brokers, sim: &Sim) -> Config {
    let mut config = config(brokers);
    config.braze.endpoint = Some(sim.base_url());
    config.engine.settle_gap = Duration::from_millis(100);
    config
}

/// An authorization whose key the simulator takes.
pub(super) async fn authorize(service: &Service) -> String {
    let mut client = AuthorizationServiceClient::new(service.admin().await);
    let mut request = authorizations::create("Sim", "");
    request.rest_api_key = "sim-key".to_owned();
    let created = client.create_authorization(request).await.unwrap().into_inner();
    created.authorization.unwrap().name
}

/// A change of a profile with one field.
pub(super) fn change(audience: &str, profile: u32, enter: bool, field: &str) -> MembershipChange {
    let action = if enter {
        MembershipAction::Enter
    } else {
        MembershipAction::Exit
    };
    MembershipChange {
        account: 1234,
        audience_slug: audience.to_owned(),
        profile_id: profile.to_string(),
        action: action.into(),
        fields: HashMap::from([(field.to_owned(), format!("cust-{profile}"))]),
        ..MembershipChange::default()
    }
}

pub(super) async fn publish(service: &Service, changes: Vec<MembershipChange>) {
    let count = changes.len();
    let requests = changes.into_iter().map(|change| PublishMembershipChangesRequest {
        change: Some(change),
        ..PublishMembershipChangesRequest::default()
    });
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let answers = client.publish_membership_changes(futures::stream::iter(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    for _ in 0..count {
        answers.message().await.unwrap().unwrap();
    }
}

/// A job of existing users.
pub(super) fn existing(label: &str, audiences: &[&str], authorization: &str) -> ExportJob {
    ExportJob {
        audiences: audiences.iter().map(|&slug| slug.to_owned()).collect(),
        external_id_field: "user_id".to_owned(),
        braze_id_field: "b".to_owned(),
        existing_users: true,
        ..jobs::create(label, "", authorization).export_job.unwrap()
    }
}

fn planning(job: ExportJob) -> PlanExportJobRequest {
    PlanExportJobRequest {
        parent: ACCOUNT.to_owned(),
        export_job: Some(job),
    }
}

async fn plan(service: &Service, job: &ExportJob) -> ExportPlan {
    let mut client = ExportPlanServiceClient::new(service.admin().await);
    let answer = client
        .plan_export_job(planning(job.clone()))
        .await
        .unwrap()
        .into_inner();
    answer.plan.unwrap()
}

pub(super) async fn create(service: &Service, job: ExportJob) -> String {
    let request = CreateExportJobRequest {
        parent: ACCOUNT.to_owned(),
        export_job: Some(job),
    };
    let mut client = ExportJobServiceClient::new(service.admin().await);
    let created = client.create_export_job(request).await.unwrap().into_inner();
    created.export_job.unwrap().name
}

/// The job, once it is as wanted.
pub(super) async fn until(service: &Service, name: &str, wanted: impl Fn(&ExportJob) -> bool) -> ExportJob {
    let client = ExportJobServiceClient::new(service.admin().await);
    wait_for("the job is as wanted", async || {
        let request = GetExportJobRequest { name: name.to_owned() };
        let job = client.clone().get_export_job(request).await.unwrap().into_inner();
        job.export_job.filter(&wanted)
    })
    .await
}

fn settled(counters: &ExportCounters) -> u64 {
    counters.added + counters.removed + counters.omitted + counters.rejected
}

/// The objects of each call that the simulator took, ascending.
fn taken(sim: &Sim) -> Vec<usize> {
    let journal = sim.handle().journal();
    let mut taken: Vec<_> = journal
        .iter()
        .map(|entry| entry.accepted)
        .filter(|taken| *taken > 0)
        .collect();
    taken.sort_unstable();
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_and_sends_nothing_and_is_what_the_job_then_does() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = Service::start(with_sim(&brokers, &sim)).await;
    let mut changes: Vec<_> = (0..100)
        .map(|profile| change("vip", profile, true, "user_id"))
        .collect();
    changes.extend((100..110).map(|profile| change("vip", profile, true, "b")));
    changes.extend((110..117).map(|profile| change("vip", profile, true, "email")));
    changes.extend((117..122).map(|profile| change("vip", profile, false, "user_id")));
    changes.push(change("another", 1, true, "user_id"));
    publish(&service, changes).await;
    let job = existing("VIP", &["vip"], &authorize(&service).await);
    let written = *service.directory.changed().borrow();
    let planned = plan(&service, &job).await;
    assert_eq!(
        planned,
        ExportPlan {
            adds: 110,
            removes: 0,
            omitted_no_identifier: 7,
            omitted_other: 5,
            overtaken: 0,
            users: 110,
            attribute_writes: 110,
            requests: 2,
            users_created: 100,
            estimated_duration: Some(prost_types::Duration {
                seconds: 0,
                nanos: 40_000_000,
            }),
            requests_per_second: 50.0,
            sampled_one_in: 1,
            records: 123,
            unread: 0,
            events: 0,
            purchases: 0,
        }
    );
    let begins_now = ExportJob {
        existing_users: false,
        ..job.clone()
    };
    let nothing = plan(&service, &begins_now).await;
    assert_eq!((nothing.adds, nothing.requests, nothing.records), (0, 0, 0));
    assert_eq!(*service.directory.changed().borrow(), written, "control is as it was");
    assert!(taken(&sim).is_empty());

    let name = create(&service, job).await;
    until(&service, &name, |job| {
        job.counters.is_some_and(|counters| settled(&counters) == 75 + 12)
    })
    .await;
    // What waits for its batch to fill is sent.
    service.stop().await;
    assert_eq!(taken(&sim), [35, 75]);
    sim.handle().idle().await;
    assert_eq!(sim.handle().users("default").len(), 100);
    let service = Service::start(with_sim(&brokers, &sim)).await;
    let done = until(&service, &name, |job| {
        job.counters.is_some_and(|counters| settled(&counters) == 122)
    })
    .await;
    let counters = done.counters.unwrap();
    assert_eq!((counters.added, counters.removed, counters.omitted), (110, 0, 12));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_that_overtake_each_other_the_plan_tells_how_many_and_how_it_ends() {
    let brokers = kafka::testing::brokers();
    let sim = Sim::start(braze_sim::Options::default()).await.unwrap();
    let service = Service::start(with_sim(&brokers, &sim)).await;
    // 300 changes of 40 profiles in two audiences, in a muddle that is always the same.
    let muddle = (0..300_u32).map(|number| number.wrapping_mul(2_654_435_761));
    let changes = muddle.map(|random| {
        let audience = if random & 1 << 20 == 0 { "a" } else { "b" };
        change(audience, random >> 8 & 31, random & 1 << 22 != 0, "user_id")
    });
    publish(&service, changes.collect()).await;
    let job = ExportJob {
        flush_after: Some(prost_types::Duration {
            seconds: 0,
            nanos: 50_000_000,
        }),
        ..existing("Muddle", &["a", "b"], &authorize(&service).await)
    };
    let planned = plan(&service, &job).await;
    assert!(
        planned.adds > 0 && planned.removes > 0 && planned.overtaken > 100,
        "{planned:?}"
    );
    let all = planned.adds + planned.removes + planned.overtaken + planned.omitted_other;
    assert_eq!(all, 300, "{planned:?}");
    let name = create(&service, job).await;
    let done = until(&service, &name, |job| {
        job.counters.is_some_and(|counters| settled(&counters) == 300)
    })
    .await;
    let counters = done.counters.unwrap();
    let within = |counter, planned: u64, more| (planned..=planned + more).contains(&counter);
    assert!(
        within(counters.added, planned.adds, planned.overtaken),
        "{counters:?}, {planned:?}"
    );
    assert!(
        within(counters.removed, planned.removes, planned.overtaken),
        "{counters:?}, {planned:?}"
    );
    let objects: usize = taken(&sim).iter().sum();
    assert!(objects as u64 >= planned.users, "{objects}, {planned:?}");
    assert!(
        objects as u64 <= planned.attribute_writes + planned.overtaken,
        "{objects}, {planned:?}"
    );
    sim.handle().idle().await;
    let users = sim.handle().users("default");
    let slugs: usize = users.iter().map(|user| user.array("lytics_segments").len()).sum();
    assert_eq!(slugs as u64, planned.adds, "whom the last change adds has the slug");
    assert!(users.len() as u64 >= planned.users_created);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_refused_as_the_creation_is_and_warns_as_it_does() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let sim = authorize(&service).await;
    create(&service, existing("VIP", &["vip"], &sim)).await;
    let mut plans = ExportPlanServiceClient::new(service.admin().await);
    let mut jobs = ExportJobServiceClient::new(service.admin().await);
    for (job, code) in [
        (ExportJob::default(), Code::InvalidArgument),
        (existing("VIP", &["gold"], &sim), Code::AlreadyExists),
        (existing("Gold", &["gold", "vip"], &sim), Code::AlreadyExists),
        (
            existing("Gold", &["gold"], "accounts/1234/authorizations/none"),
            Code::NotFound,
        ),
    ] {
        let planned = plans.plan_export_job(planning(job.clone())).await.unwrap_err();
        assert_eq!(planned.code(), code, "{planned}");
        let request = CreateExportJobRequest {
            parent: ACCOUNT.to_owned(),
            export_job: Some(job),
        };
        let created = jobs.create_export_job(request).await.unwrap_err();
        assert_eq!((planned.code(), planned.message()), (created.code(), created.message()));
    }
    let answer = plans
        .plan_export_job(planning(existing("Gold", &["gold"], &sim)))
        .await
        .unwrap();
    let warnings = answer.into_inner().warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("audience \"gold\"")),
        "{warnings:?}"
    );
    service.stop().await;
}
