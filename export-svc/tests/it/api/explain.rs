//! ExplainService: what may have become of a change, each over a broker and the simulator.

mod elsewhere;
mod settled;
mod waiting;

use std::collections::HashMap;
use std::time::Duration;

use braze_sim::{Key, Sim, SimHandle};
use kafka::testing::Brokers;
use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use model::membership_key;
use prost::Message;
use proto::authorization::v1::CreateAuthorizationRequest;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::export::v1::explain_service_client::ExplainServiceClient;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{
    ChangeStage, CreateExportJobRequest, ExplainMemberRequest, ExportJob, ExportJobState, MemberExplanation,
    PauseExportJobRequest,
};
use proto::membership::v1::{MembershipAction, MembershipChange};
use runtime::grpc::Channel;
use tonic::Code;

use super::{authorizations, blamed, code};
use crate::service::{ACCOUNT, Service, config};

const KEY: &str = "sim-key";

/// A service that serves against the simulator.
struct World {
    brokers: Brokers,
    sim: Sim,
    service: Service,
    authorization: String,
    publisher: Publisher,
}

/// Waits of milliseconds where the product has seconds.
fn quick(brokers: &Brokers, sim: &Sim) -> export_svc::config::Config {
    let mut config = config(brokers);
    config.braze.endpoint = Some(sim.base_url().to_owned());
    config.engine.settle_gap = Duration::from_millis(150);
    config.engine.progress_every = Duration::from_millis(50);
    config.engine.late_flush_after = Duration::from_millis(50);
    config
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut export_svc::config::Config)) -> Self {
        let (brokers, sim) = (
            kafka::testing::brokers(),
            Sim::start(braze_sim::Options::default()).await.unwrap(),
        );
        let mut config = quick(&brokers, &sim);
        change(&mut config);
        let service = Service::start(config).await;
        let mut client = AuthorizationServiceClient::new(service.admin().await);
        let new = CreateAuthorizationRequest {
            rest_api_key: KEY.to_owned(),
            ..authorizations::create("Sim", "")
        };
        let created = client.create_authorization(new).await.unwrap().into_inner();
        Self {
            authorization: created.authorization.unwrap().name,
            publisher: Publisher::new(&brokers.config(), PublisherOptions::default()).unwrap(),
            brokers,
            sim,
            service,
        }
    }

    fn braze(&self) -> SimHandle {
        self.sim.handle()
    }

    async fn jobs(&self) -> ExportJobServiceClient<Channel> {
        ExportJobServiceClient::new(self.service.admin().await)
    }

    /// A job for audience vip by `user_id` that sends at once, changed as said.
    async fn job(&self, change: impl FnOnce(&mut ExportJob)) -> String {
        let mut job = ExportJob {
            r#type: "export_audiences".to_owned(),
            label: "VIP".to_owned(),
            audiences: vec!["vip".to_owned()],
            authorization: self.authorization.clone(),
            external_id_field: "user_id".to_owned(),
            flush_after: Some(prost_types::Duration {
                seconds: 0,
                nanos: 50_000_000,
            }),
            ..ExportJob::default()
        };
        change(&mut job);
        let request = CreateExportJobRequest {
            parent: ACCOUNT.to_owned(),
            export_job: Some(job),
        };
        let created = self.jobs().await.create_export_job(request).await.unwrap();
        created.into_inner().export_job.unwrap().name
    }

    async fn pause(&self, job: &str) {
        let request = PauseExportJobRequest {
            name: job.to_owned(),
            revision: 0,
        };
        self.jobs().await.pause_export_job(request).await.unwrap();
    }

    async fn write(&self, audience: &str, profile: &str, payload: Option<Vec<u8>>) {
        write(
            &self.brokers,
            &self.publisher,
            &membership_key(audience, profile),
            payload,
        )
        .await;
    }

    async fn publish(&self, action: MembershipAction, audience: &str, profile: &str, fields: &[(&str, &str)]) {
        let change = change(action, audience, profile, fields);
        self.write(audience, profile, Some(change)).await;
    }

    /// Profile 42, who is cust-1, enters vip.
    async fn enter(&self) {
        self.publish(MembershipAction::Enter, "vip", "42", &[("user_id", "cust-1")])
            .await;
    }

    async fn exit(&self) {
        self.publish(MembershipAction::Exit, "vip", "42", &[("user_id", "cust-1")])
            .await;
    }

    async fn explain(&self, job: &str, audience: &str, profile: &str) -> MemberExplanation {
        explain(&self.service, job, audience, profile).await
    }

    /// What is told of profile 42 in vip once the change has come so far.
    async fn until(&self, job: &str, stage: ChangeStage) -> MemberExplanation {
        self.until_so(job, |explanation| {
            explanation.standing.is_some_and(|standing| standing.stage() == stage)
        })
        .await
    }

    async fn until_so(&self, job: &str, holds: impl Fn(MemberExplanation) -> bool) -> MemberExplanation {
        runtime::testing::wait_for("the change has come so far", async || {
            let explanation = self.explain(job, "vip", "42").await;
            holds(explanation.clone()).then_some(explanation)
        })
        .await
    }
}

fn change(action: MembershipAction, audience: &str, profile: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let change = MembershipChange {
        account: 1234,
        audience_slug: audience.to_owned(),
        profile_id: profile.to_owned(),
        action: action.into(),
        fields: fields.collect::<HashMap<_, _>>(),
        ..MembershipChange::default()
    };
    change.encode_to_vec()
}

/// Writes to the membership topic.
async fn write(brokers: &Brokers, publisher: &Publisher, key: &str, payload: Option<Vec<u8>>) {
    let record = RecordOut::new(Topics::new(&brokers.config()).audience_membership(1234));
    let record = record.key(key.to_owned());
    let record = match payload {
        Some(payload) => record.payload(payload),
        None => record,
    };
    publisher.publish(record).await.unwrap();
}

pub(super) async fn explain(service: &Service, job: &str, audience: &str, profile: &str) -> MemberExplanation {
    let request = ExplainMemberRequest {
        name: job.to_owned(),
        profile_id: profile.to_owned(),
        audiences: vec![audience.to_owned()],
    };
    let mut client = ExplainServiceClient::new(service.admin().await);
    let answer = client.explain_member(request).await.unwrap().into_inner();
    let [explanation] = &answer.explanations[..] else {
        panic!("{answer:?}")
    };
    explanation.clone()
}

fn says(explanation: &MemberExplanation, words: &[&str]) {
    for word in words {
        assert!(explanation.sentence.contains(word), "{word}: {explanation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_about_must_be_of_the_job_and_all_its_audiences_are_told_unless_some_are_named() {
    let world = World::new().await;
    let job = world
        .job(|job| job.audiences = vec!["vip".to_owned(), "news".to_owned()])
        .await;
    let mut client = ExplainServiceClient::new(world.service.admin().await);
    let ask = |profile: &str, audiences: &[&str]| ExplainMemberRequest {
        name: job.clone(),
        profile_id: profile.to_owned(),
        audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
    };
    let all = client.explain_member(ask("42", &[])).await.unwrap().into_inner();
    let audiences: Vec<_> = all
        .explanations
        .iter()
        .map(|explanation| &explanation.audience)
        .collect();
    assert_eq!(audiences, ["vip", "news"]);
    let one = client.explain_member(ask("42", &["news"])).await.unwrap().into_inner();
    assert_eq!(
        (one.explanations.len(), one.explanations[0].audience.as_str()),
        (1, "news")
    );
    let refused = client.explain_member(ask(" ", &["gold"])).await.unwrap_err();
    assert_eq!(blamed(&refused), ["profile_id", "audiences"]);
    let nobody = ExplainMemberRequest {
        name: format!("{ACCOUNT}/exportJobs/none"),
        ..ask("42", &[])
    };
    assert_eq!(code(client.explain_member(nobody).await), Code::NotFound);
    world.service.stop().await;
}
