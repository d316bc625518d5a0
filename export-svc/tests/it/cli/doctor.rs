//! `doctor`, against a broker and the simulator.

use std::process::Output;

use braze_sim::{Key, Sim};
use kafka::testing::Brokers;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{Authorization, CreateAuthorizationRequest};
use serde_json::Value;

use super::{export_svc, stderr, stdout};
use crate::service::{ACCOUNT, KEYS, Service, config};

const KEY: &str = "b1946ac9-2f5a-4c0f-9c4e-5d0c3f7e9a11";

/// Runs `doctor` beside a service that has one authorization, `Sim`, whose key Braze knows.
struct Ward {
    brokers: Brokers,
    sim: Sim,
    service: Service,
}

impl Ward {
    async fn open() -> Self {
        let (brokers, sim) = (
            kafka::testing::brokers(),
            Sim::start(braze_sim::Options::default()).await.unwrap(),
        );
        sim.handle().put_key(Key::new(KEY));
        let mut config = config(&brokers);
        config.braze.endpoint = Some(sim.base_url().to_owned());
        let service = Service::start(config).await;
        let authorization = Authorization {
            provider: "braze".to_owned(),
            method: "braze".to_owned(),
            label: "Sim".to_owned(),
            instance: "US-01".to_owned(),
            ..Authorization::default()
        };
        let create = CreateAuthorizationRequest {
            parent: ACCOUNT.to_owned(),
            authorization: Some(authorization),
            rest_api_key: KEY.to_owned(),
        };
        let mut client = AuthorizationServiceClient::new(service.admin().await);
        client.create_authorization(create).await.unwrap();
        Self { brokers, sim, service }
    }

    async fn doctor(&self, set: &[(&str, &str)]) -> Output {
        let kafka = self.brokers.config();
        let mut command = export_svc();
        command
            .args(["doctor", "--output", "json"])
            .env("EXPORT_SVC__KAFKA__BROKERS", &kafka.brokers)
            .env("EXPORT_SVC__KAFKA__TOPIC_PREFIX", &kafka.topic_prefix)
            .env("EXPORT_SVC__KAFKA__IN_PROCESS", kafka.in_process.to_string())
            .env("EXPORT_SVC__BRAZE__ENDPOINT", self.sim.base_url())
            .env("EXPORT_SVC__SECRETS__KEYS", KEYS)
            .env("EXPORT_SVC__AUTH__ADMIN_TOKEN", crate::service::ADMIN)
            .envs(set.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }
}

/// (what, verdict, all words)
fn findings(output: &Output) -> Vec<(String, String, String)> {
    let findings: Vec<Value> = serde_json::from_str(&stdout(output)).unwrap_or_else(|_| panic!("{output:?}"));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|finding| {
            let words = format!("{} {}", text(finding, "text"), text(finding, "fix"));
            (text(finding, "about"), text(finding, "verdict"), words)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_healthy_installation_the_doctor_finds_everything_good() {
    let ward = Ward::open().await;
    let output = ward.doctor(&[]).await;
    let found = findings(&output);
    for about in ["configuration", "kafka", "control table", "topic", "key", "clock"] {
        assert!(found.iter().any(|(known, ..)| known == about), "{about}: {found:?}");
    }
    let membership = |(_, _, words): &(String, String, String)| words.contains("audience-membership.1234");
    assert!(found.iter().any(membership), "{found:?}");
    assert!(found.iter().all(|(_, verdict, _)| verdict != "FAIL"), "{found:?}");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    ward.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_a_lost_sealing_key_and_a_kafka_that_is_away_are_told_with_the_fix() {
    let ward = Ward::open().await;
    let wrong = |output: &Output| {
        assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
        assert!(!stdout(output).contains(KEY) && !stderr(output).contains(KEY));
        let found = findings(output).into_iter();
        found.filter(|(_, verdict, _)| verdict == "FAIL").collect::<Vec<_>>()
    };
    ward.sim.handle().reject_key(KEY);
    let refused = wrong(&ward.doctor(&[]).await);
    assert!(
        matches!(&refused[..], [(about, _, words)] if about == "key" && words.contains("401") && words.contains("rotate-key")),
        "{refused:?}"
    );
    let others = "k9:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let sealed = wrong(&ward.doctor(&[("EXPORT_SVC__SECRETS__KEYS", others)]).await);
    assert!(
        matches!(&sealed[..], [(about, _, words)] if about == "key" && words.contains("secrets.keys")),
        "{sealed:?}"
    );
    let away = wrong(&ward.doctor(&[("EXPORT_SVC__KAFKA__BROKERS", "127.0.0.1:1")]).await);
    assert!(
        matches!(&away[..], [(about, _, words)] if about == "kafka" && words.contains("kafka.brokers")),
        "{away:?}"
    );
    let bad = ward.doctor(&[("EXPORT_SVC__SECRETS__KEYS", "nonsense")]).await;
    assert_eq!(bad.status.code(), Some(64));
    let (said, faults) = (stderr(&bad), "EXPORT_SVC__SECRETS__KEYS (secrets.keys)");
    let hint = said
        .find("run it where the service runs")
        .unwrap_or_else(|| panic!("{said}"));
    assert!(
        said.find(faults).is_some_and(|at| at > hint) && said.contains("--config"),
        "{said}"
    );
    ward.service.stop().await;
}
