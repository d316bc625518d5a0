//! `docker compose up` without Docker: every program of ours is started with exactly the command and the environment that stand in
//! docker-compose.yml; only what Docker would provide is replaced, the other containers' names and the ports.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;
use yaml_rust2::{Yaml, YamlLoader};

use super::broker::Broker;
use super::collector::Collector;
use super::process::{command, ready, run};
use super::reader::file;
use super::sim::Sim;
use super::system::{Export, Ingest, printed};

/// One service of the file.
pub(crate) struct Service(pub(crate) Yaml);

fn compose() -> Yaml {
    let text = std::fs::read_to_string(file("docker-compose.yml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

impl Service {
    pub(crate) fn of(name: &str) -> Self {
        let service = compose()["services"][name].clone();
        assert!(!service.is_badvalue(), "no service {name}");
        Self(service)
    }

    pub(crate) fn command(&self) -> Vec<String> {
        let words = self.0["command"].as_vec().unwrap().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let text = |yaml: &Yaml| yaml.as_str().expect("every value is quoted or a plain text").to_owned();
        let variables = self.0["environment"].as_hash().unwrap().iter();
        variables.map(|(name, value)| (text(name), text(value))).collect()
    }

    /// The ports of the container that are published, each under the same number on the host's loopback.
    pub(crate) fn ports(&self) -> Vec<String> {
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
    pub(crate) fn waits_for(&self) -> BTreeMap<String, String> {
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

/// Everything of the file that is ours, and a collector in the place of the trace viewer.
pub(crate) struct Composed {
    collector: Collector,
    pub(crate) sim: Sim,
    pub(crate) export: Export,
    pub(crate) ingest: Ingest,
}

impl Composed {
    /// Starts everything on free ports, and waits until both services are ready.
    pub(crate) async fn up(broker: &Broker) -> Self {
        let collector = Collector::start().await;
        let service = Service::of("braze-sim");
        let mut arguments = service.command();
        let listen = arguments.iter_mut().find(|word| *word == "0.0.0.0:8099");
        "127.0.0.1:0".clone_into(listen.expect("it listens on 8099"));
        let sim = Sim::serve(&words(&arguments), service.environment()).await;

        let (otlp, sim_url) = (collector.url(), sim.url());
        let kafka = ("kafka:29092", broker.kafka.brokers.as_str());
        let tracing = ("http://tracing:4317", otlp.as_str());
        let service = Service::of("export-svc");
        let addresses = [kafka, tracing, ("http://braze-sim:8099", &sim_url)];
        let environment = here(&service, "EXPORT_SVC", broker, &addresses, &["GRPC", "ADMIN"]);
        let export = Export::serve(&words(&service.command()), environment).await;
        let service = Service::of("ingest-svc");
        let environment = here(&service, "INGEST_SVC", broker, &addresses, &["HTTP", "GRPC", "ADMIN"]);
        let ingest = Ingest::serve(&words(&service.command()), environment).await;
        ready(ingest.admin).await;
        Self {
            collector,
            sim,
            export,
            ingest,
        }
    }

    /// What `docker compose exec <service> <service> <arguments>` prints.
    pub(crate) async fn exec(&self, service: &str, arguments: &[&str]) -> String {
        let (variable, address) = match service {
            "ingest-svc" => ("INGEST_SVC_ENDPOINT", self.ingest.grpc),
            _ => ("EXPORT_SVC_ENDPOINT", self.export.grpc),
        };
        let mut command = command(service);
        command.args(arguments).envs(Service::of(service).environment());
        printed(&run(command.env(variable, format!("http://{address}"))).await)
    }

    /// Ends both services, which must not have complained of anything; their spans.
    pub(crate) async fn down(mut self) -> Vec<Span> {
        for process in [&mut self.ingest.process, &mut self.export.process] {
            process.terminate().await;
            let log = process.log();
            let complains = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
            let complaints: Vec<_> = log.lines().filter(complains).collect();
            assert_eq!(complaints, [""; 0], "nothing went wrong");
        }
        self.collector.spans()
    }
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}
