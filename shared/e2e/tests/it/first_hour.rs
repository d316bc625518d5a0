//! Proves that the README's first hour works as typed, on what `make up` starts and on what `docker compose up` starts. How: the
//! commands are read from README.md and run by a shell; only the ports are replaced by free ones, and `TOKEN=…` by the token that
//! was printed, which is what the README asks of its reader.

use std::net::SocketAddr;

use crate::harness::broker::Broker;
use crate::harness::compose::{Composed, Service};
use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands, endpoint};

/// Types the first hour.
async fn first_hour(reader: &mut Reader, http: SocketAddr) {
    let mut typed = Vec::new();
    for line in commands("README.md", "The first hour") {
        let line = line.replace("localhost:8080", &http.to_string());
        let words: Vec<_> = line.split_whitespace().take(3).collect();
        match words.as_slice() {
            // Our programs are on the PATH already.
            ["export", path] if path.starts_with("PATH=") => continue,
            ["export", assignment] => {
                let (name, value) = assignment.split_once('=').unwrap();
                reader.export(name, value);
            }
            ["TOKEN=…"] => {}
            ["ingest-svc", "tokens", "create"] => {
                let printed = reader.run(&line).await;
                for part in ["/c/1234/braze_users?key=lb_1234_", "{{${email_address}"] {
                    assert!(printed.contains(part), "no {part}: {printed}");
                }
                let mut words = printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
                let token = words.find(|word| word.starts_with("lb_1234_")).unwrap();
                reader.export("TOKEN", token);
            }
            ["curl", ..] => {
                let answer = reader.post(&line).await;
                assert!(answer.contains(r#""message_count":1"#), "{answer}");
            }
            ["ingest-svc", "events", "tail"] => {
                let event = reader.first_line(&line).await;
                assert!(event.contains("ines.duarte@example.org"), "{event}");
            }
            // Once: it waits for the user by itself, as the reader expects.
            ["braze-sim", "users", "get"] => {
                let user = reader.run(&line).await;
                assert!(user.contains(r#""vip""#), "{user}");
            }
            _ => drop(reader.run(&line).await),
        }
        typed.push(words.join(" "));
    }
    let expected = [
        "export LYTICS_TOKEN=local-admin-token",
        "ingest-svc tokens create",
        "TOKEN=…",
        "curl -d @examples/webhook.json",
        "ingest-svc events tail",
        "echo sim-key >",
        "export-svc authorizations create",
        "export-svc jobs create",
        "export-svc memberships publish",
        "braze-sim users get",
    ];
    assert_eq!(typed, expected, "the README's first hour");
    // What the README says of an exit.
    let publish = "export-svc memberships publish --account 1234 --audience vip --profile 42";
    reader.run(&format!("{publish} --exit --field user_id=cust-1")).await;
    let get = "braze-sim users get cust-1";
    reader.until(get, |user| !user.contains(r#""vip""#)).await;
}

/// Breaks what the first hour has set up, and finds out why.
async fn what_is_wrong(reader: &Reader) {
    let shows = [
        ("export-svc jobs omitted", "43\tno_identifier"),
        ("export-svc explain", "give the profile such a value in Lytics"),
        ("export-svc jobs watch", "status 503"),
        ("export-svc jobs watch", "Braze refuses the authorization"),
        ("braze-sim users get", "\"vip\""),
    ];
    let mut shows = shows.into_iter().peekable();
    for line in commands("README.md", "When something is wrong") {
        match shows.next_if(|(command, _)| line.starts_with(command)) {
            Some((command, shown)) if command.ends_with("watch") => reader.until_line(&line, shown).await,
            Some((_, shown)) => reader.until(&line, |printed| printed.contains(shown)).await,
            None => drop(reader.run(&line).await),
        }
    }
    assert_eq!(shows.next(), None, "the README shows it");
}

/// What `make up` prints, as the README has it: on the usual ports, so that no endpoint has to be named, without the folder that
/// docs/imports.md needs, and with the token copied by hand from what `tokens create` prints.
fn as_in_the_readme(local: &Local) -> Vec<String> {
    let mut lines = Vec::new();
    for line in &local.commands {
        if let Some(create) = line.strip_prefix("TOKEN=$(") {
            lines.push(create.strip_suffix(" --output token)").expect(line).to_owned());
            lines.push("TOKEN=…".to_owned());
        } else if !line.contains("_ENDPOINT=http://") && !line.contains("LYTICS_IMPORTS=") {
            lines.push(line.replace(&local.http.to_string(), "localhost:8080"));
        }
    }
    lines
}

#[tokio::test]
async fn the_first_hour_works_as_typed_on_the_stack_of_make_up() {
    let (local, mut reader) = (Local::up().await, Reader::new());
    assert_eq!(as_in_the_readme(&local), commands("README.md", "The first hour"));
    for (name, value) in &local.exports {
        reader.export(name, value);
    }
    first_hour(&mut reader, local.http).await;
    what_is_wrong(&reader).await;
    let create = local.commands.iter().find(|line| line.starts_with("TOKEN="));
    let token = reader.run(&format!("{}; printf %s \"$TOKEN\"", create.unwrap())).await;
    assert!(token.starts_with("lb_1234_"), "the token alone: {token}");
    local.stop().await;
}

#[tokio::test]
async fn the_first_hour_works_as_typed_on_the_services_of_the_compose_file() {
    let name = "the_first_hour_works_as_typed_on_the_services_of_the_compose_file";
    let Some(broker) = Broker::real_only(name) else {
        return;
    };
    let (system, mut reader) = (Composed::up(&broker).await, Reader::new());
    reader.export("INGEST_SVC_ENDPOINT", format!("http://{}", system.ingest.grpc));
    reader.export("EXPORT_SVC_ENDPOINT", format!("http://{}", system.export.grpc));
    reader.export("BRAZE_SIM_ENDPOINT", system.sim.url());
    first_hour(&mut reader, system.ingest.http).await;
    // In the containers, where the admin token is set.
    let tokens = system
        .exec("ingest-svc", &["tokens", "list", "--account", "1234"])
        .await;
    assert!(tokens.contains("data_manager"), "{tokens}");
    let jobs = system.exec("export-svc", &["jobs", "list", "--account", "1234"]).await;
    assert!(jobs.contains("VIP to Braze"), "{jobs}");
    let spans = system.down().await;
    for name in ["publish", "deliver"] {
        assert!(spans.iter().any(|span| span.name == name), "no span {name}");
    }
}

/// So that the commands need no endpoint on a machine where `docker compose up` runs.
#[tokio::test]
async fn the_programs_call_the_ports_of_the_compose_file_unless_they_are_told_others() {
    for (service, binary, arguments, port) in [
        ("ingest-svc", "ingest-svc", &["tokens", "create"][..], 1),
        ("export-svc", "export-svc", &["jobs", "create"], 0),
        ("braze-sim", "braze-sim", &["users", "get"], 0),
    ] {
        let published = &Service::of(service).ports()[port];
        assert_eq!(endpoint(binary, arguments).await, format!("localhost:{published}"));
    }
}
