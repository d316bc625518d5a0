//! Proves that `docker compose up` gives a system that works. How: the file is parsed, and every program of ours is started with
//! exactly the command and the environment that stand there, on a real Kafka; only what Docker would provide is replaced, the other
//! containers' names and the ports. Then a webhook goes in, an audience membership goes out, spans arrive, and no log complains.

use std::collections::BTreeMap;
use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::harness::broker::Broker;
use crate::harness::collector::Collector;
use crate::harness::process::{command, ready, run};
use crate::harness::sim::Sim;
use crate::harness::system::{Export, Ingest, key_file, printed};
use crate::harness::{topic, until};

/// One service of the file.
struct Service(Yaml);

fn compose() -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker-compose.yml");
    let text = std::fs::read_to_string(path).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

impl Service {
    fn of(name: &str) -> Self {
        let service = compose()["services"][name].clone();
        assert!(!service.is_badvalue(), "no service {name}");
        Self(service)
    }

    fn command(&self) -> Vec<String> {
        let words = self.0["command"].as_vec().unwrap().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let text = |yaml: &Yaml| yaml.as_str().expect("every value is quoted or a plain text").to_owned();
        let variables = self.0["environment"].as_hash().unwrap().iter();
        variables.map(|(name, value)| (text(name), text(value))).collect()
    }

    /// The ports of the container that are published, each under the same number on the host's loopback.
    fn ports(&self) -> Vec<String> {
        let ports = self.0["ports"]
            .as_vec()
            .unwrap()
            .iter()
            .map(|port| port.as_str().unwrap());
        let same = ports.map(|port| {
            let parts: Vec<_> = port.split(':').collect();
            assert_eq!((parts[0], parts[1]), ("127.0.0.1", parts[2]), "{port}");
            parts[2].to_owned()
        });
        same.collect()
    }

    /// What this service waits for before it starts, and until when.
    fn waits_for(&self) -> BTreeMap<String, String> {
        let others = self.0["depends_on"].as_hash().unwrap().iter();
        let text = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
        others
            .map(|(name, other)| (text(name), text(&other["condition"])))
            .collect()
    }
}

/// The environment with the other containers' addresses replaced by where they are here, and what keeps this test apart.
fn here(
    service: &Service,
    prefix: &str,
    broker: &Broker,
    addresses: &[(&str, &str)],
    listens: &[&str],
) -> Vec<(String, String)> {
    let mut environment = service.environment();
    for (there, here) in addresses {
        let mut values = environment.values_mut().filter(|value| *value == there);
        let value = values.next().unwrap_or_else(|| panic!("{prefix}: no value is {there}"));
        (*here).clone_into(value);
        assert!(values.next().is_none(), "{there} stands there twice");
    }
    for (name, value) in broker.environment(prefix) {
        let brokers = name.ends_with("__BROKERS");
        assert_eq!(
            environment.insert(name, value).is_some(),
            brokers,
            "only the brokers are set there"
        );
    }
    for section in listens {
        let name = format!("{prefix}__{section}__LISTEN");
        assert_eq!(
            environment.insert(name, "127.0.0.1:0".to_owned()),
            None,
            "the defaults are used there"
        );
    }
    environment.into_iter().collect()
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// What `docker compose exec <service> <binary> <arguments>` prints.
async fn exec(service: &Service, binary: &str, endpoint: (&str, String), arguments: &[&str]) -> String {
    let mut command = command(binary);
    command.envs(service.environment()).env(endpoint.0, endpoint.1);
    printed(&run(command.args(arguments)).await)
}

#[tokio::test]
async fn the_services_of_the_compose_file_take_a_webhook_in_and_a_membership_out() {
    let Some(broker) = Broker::real_only("the_services_of_the_compose_file_take_a_webhook_in_and_a_membership_out")
    else {
        return;
    };
    let collector = Collector::start().await;
    let (sim_service, export_service, ingest_service) = (
        Service::of("braze-sim"),
        Service::of("export-svc"),
        Service::of("ingest-svc"),
    );

    let keys = sim_service.environment();
    let mut arguments = sim_service.command();
    let listen = arguments
        .iter_mut()
        .find(|word| *word == "0.0.0.0:8099")
        .expect("it listens on 8099");
    "127.0.0.1:0".clone_into(listen);
    let sim = Sim::serve(
        &words(&arguments),
        keys.iter().map(|(name, value)| (name.as_str(), value.as_str())),
    )
    .await;

    let (otlp, sim_url, brokers) = (collector.url(), sim.url(), broker.kafka.brokers.as_str());
    let kafka = ("kafka:29092", brokers);
    let tracing = ("http://tracing:4317", otlp.as_str());
    let addresses = [kafka, tracing, ("http://braze-sim:8099", &sim_url)];
    let environment = here(&export_service, "EXPORT_SVC", &broker, &addresses, &["GRPC", "ADMIN"]);
    let mut export = Export::serve(&words(&export_service.command()), environment).await;
    let environment = here(
        &ingest_service,
        "INGEST_SVC",
        &broker,
        &[kafka, tracing],
        &["HTTP", "GRPC", "ADMIN"],
    );
    let mut ingest = Ingest::serve(&words(&ingest_service.command()), environment).await;
    ready(ingest.admin).await;

    let endpoint = ("INGEST_SVC_ENDPOINT", format!("http://{}", ingest.grpc));
    let create = [
        "tokens",
        "create",
        "--account",
        "1234",
        "--role",
        "data_manager",
        "--output",
        "token",
    ];
    let token = exec(&ingest_service, "ingest-svc", endpoint, &create).await;
    until("the webhook to be taken", async || {
        ingest.post(token.trim(), r#"{"braze_id":"b-1"}"#).await.status == 200
    })
    .await;
    let events = topic::events(&broker.kafka).await;
    assert_eq!(events.len(), 1);

    let key = key_file(&keys["BRAZE_SIM_KEYS"]);
    let key = key.to_str().unwrap();
    for arguments in [
        &[
            "authorizations",
            "create",
            "--account",
            "1234",
            "--label",
            "Sim",
            "--instance",
            "US-01",
            "--key-file",
            key,
        ][..],
        &[
            "jobs",
            "create",
            "--account",
            "1234",
            "--auth",
            "Sim",
            "--label",
            "VIP",
            "--audience",
            "vip",
            "--external-id-field",
            "user_id",
            "--existing-users",
            "--flush-after",
            "100ms",
        ],
        &[
            "memberships",
            "publish",
            "--account",
            "1234",
            "--audience",
            "vip",
            "--profile",
            "42",
            "--enter",
            "--field",
            "user_id=cust-1",
        ],
    ] {
        let endpoint = ("EXPORT_SVC_ENDPOINT", format!("http://{}", export.grpc));
        exec(&export_service, "export-svc", endpoint, arguments).await;
    }
    until("the user at Braze", async || sim.segments("cust-1").await.is_some()).await;
    assert_eq!(sim.segments("cust-1").await.unwrap(), ["vip"]);

    ingest.process.terminate().await;
    export.process.terminate().await;
    for process in [&ingest.process, &export.process] {
        let log = process.log();
        let complaints: Vec<_> = log
            .lines()
            .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
            .collect();
        assert_eq!(complaints, [""; 0], "nothing went wrong");
    }
    let spans = collector.spans();
    for name in ["publish", "deliver"] {
        assert!(spans.iter().any(|span| span.name == name), "no span {name}");
    }
}

#[test]
fn the_published_ports_are_those_that_the_services_listen_on_by_default() {
    let port = |listen: &str| listen.rsplit(':').next().unwrap().to_owned();
    let export = export_svc::config::Config::default();
    let expected = [port(&export.grpc.listen), port(&export.admin.listen)];
    assert_eq!(Service::of("export-svc").ports(), expected);
    let ingest = ingest_svc::config::Config::default();
    let expected = [
        port(&ingest.http.listen),
        port(&ingest.grpc.listen),
        port(&ingest.admin.listen),
    ];
    assert_eq!(Service::of("ingest-svc").ports(), expected);
    assert_eq!(Service::of("braze-sim").ports(), ["8099"]);
}

/// Kafka is there before the topics and accounts are made, and they are before a webhook is taken.
#[test]
fn the_services_start_in_the_order_in_which_they_need_each_other() {
    let export = Service::of("export-svc");
    assert_eq!(export.waits_for()["kafka"], "service_healthy");
    assert_eq!(Service::of("ingest-svc").waits_for()["export-svc"], "service_healthy");
    let probes = [("export-svc", "8092"), ("ingest-svc", "8082")];
    for (name, admin) in probes {
        let test = &Service::of(name).0["healthcheck"]["test"];
        let words: Vec<_> = test
            .as_vec()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        assert_eq!(words, ["CMD", "ready", admin]);
    }
    let kafka = Service::of("kafka").environment();
    assert!(kafka["KAFKA_ADVERTISED_LISTENERS"].contains("INSIDE://kafka:29092"));
    assert!(kafka["KAFKA_LISTENERS"].contains("INSIDE://:29092"));
    assert_eq!(kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
}
