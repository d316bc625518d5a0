//! Proves that docker-compose.yml fits what it starts. How: the file is compared with the services' defaults, with the Dockerfile, and
//! with the other files that name the same versions. That the system works is proved by `first_hour.rs`, which starts the programs
//! with the commands and the environment that stand there.

use crate::harness::compose::Service;
use crate::harness::reader::file;

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// What stands in a text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after}")).0
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

#[test]
fn the_image_of_kafka_has_the_version_of_the_jars_that_the_tests_run() {
    let image = Service::of("kafka").0["image"].as_str().unwrap().to_owned();
    let pom = text("deploy/kafka/pom.xml");
    let broker = between(&pom, "<artifactId>kafka_2.13</artifactId>", "</dependency>");
    assert_eq!(
        image,
        format!("apache/kafka:{}", between(broker, "<version>", "</version>"))
    );
}

#[test]
fn the_images_are_built_with_the_pinned_toolchain() {
    let (dockerfile, toolchain) = (text("deploy/docker/Dockerfile"), text("rust-toolchain.toml"));
    let channel = between(&toolchain, "channel = \"", "\"");
    assert_eq!(between(&dockerfile, "FROM rust:", "-"), channel);
}

/// cargo reads the manifest of every member, whichever of them it builds.
#[test]
fn the_images_are_built_from_every_member_of_the_workspace() {
    let (manifest, kept) = (text("Cargo.toml"), text(".dockerignore"));
    let members: Vec<_> = between(&manifest, "members = [", "]")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    assert!(members.contains(&"export-svc"), "{members:?}");
    for member in members {
        let is_kept = |line: &str| member.starts_with(line.trim_start_matches('!'));
        assert!(
            kept.lines().any(|line| line.starts_with('!') && is_kept(line)),
            "{member}"
        );
    }
}

#[test]
fn every_image_holds_the_program_that_its_service_runs() {
    let dockerfile = text("deploy/docker/Dockerfile");
    for name in ["braze-sim", "export-svc", "ingest-svc"] {
        let service = Service::of(name);
        let build = &service.0["build"];
        assert_eq!(build["dockerfile"].as_str(), Some("deploy/docker/Dockerfile"));
        assert_eq!(build["target"].as_str(), Some(name));
        let (_, stage) = dockerfile.split_once(&format!("FROM run AS {name}\n")).unwrap();
        let stage = stage.split("\nFROM ").next().unwrap();
        let copy = format!("COPY --from=build /src/target/release/{name} ");
        let entry = format!("ENTRYPOINT [\"{name}\"]");
        assert!(stage.contains(&copy) && stage.contains(&entry), "{stage}");
        let exposed = between(stage, "EXPOSE ", "\n");
        assert_eq!(exposed.split(' ').collect::<Vec<_>>(), service.ports());
    }
}

/// The user that an image of the Dockerfile runs as: what its stage says last, else what the stage says that it is made from.
fn user<'a>(dockerfile: &'a str, image: &str) -> Option<&'a str> {
    let stages = dockerfile.split("\nFROM ").skip(1);
    let (base, stage) = stages
        .filter_map(|stage| stage.split_once('\n'))
        .find_map(|(from, stage)| {
            let (base, name) = from.split_once(" AS ")?;
            (name == image).then_some((base, stage))
        })?;
    let mut said = stage.lines().filter_map(|line| line.strip_prefix("USER "));
    said.next_back().or_else(|| user(dockerfile, base))
}

/// By number, because that is how a cluster can see that it is not root.
#[test]
fn no_image_runs_as_root() {
    let dockerfile = text("deploy/docker/Dockerfile");
    for name in ["braze-sim", "export-svc", "ingest-svc"] {
        let id = user(&dockerfile, name).map(str::parse::<u32>);
        assert!(matches!(id, Some(Ok(1..))), "{name}: USER {id:?}");
    }
}
