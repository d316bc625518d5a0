//! Proves that a Braze key, an API token's secret, the admin token and the sealing key are nowhere to be read: not in a log at the
//! lowest level, a metric, a span, a record of any topic, the list of processes, or what a command says. How: one run through everything that handles
//! them, refusals included, then a search through all that came out of it; what must be found there is searched for as well, so
//! that an empty search proves nothing. And no option takes a secret, so none can be in the list of processes.

use std::collections::BTreeSet;
use std::process::Output;

use crate::harness::broker::Broker;
use crate::harness::collector::Collector;
use crate::harness::process::{command, run};
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export, Ingest, SEALING_KEY, key_file, printed};
use crate::harness::{http, topic, until, wait_for};

const BRAZE_KEY: &str = "5ecre7ab-b4a2-4e5e-9d1c-e2e0braze0key";

/// The key that replaces it.
const NEW_KEY: &str = "0the45ec-7e11-4c3b-9a2d-e2e0braze0key";

/// What came out of the run, and where.
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.push((place.into(), content.into()));
    }

    fn said(&mut self, place: &str, output: &Output) {
        self.add(place, [output.stdout.clone(), output.stderr.clone()].concat());
    }

    /// Where this text is.
    fn places(&self, text: &str) -> BTreeSet<&str> {
        let holds = |content: &[u8]| content.windows(text.len()).any(|window| window == text.as_bytes());
        let found = self.0.iter().filter(|(_, content)| holds(content));
        found.map(|(place, _)| place.as_str()).collect()
    }
}

#[tokio::test]
async fn no_secret_is_readable_in_anything_that_a_full_run_leaves_behind() {
    let (broker, collector, sim) = (Broker::any(4), Collector::start().await, Sim::start(BRAZE_KEY).await);
    let otlp = collector.url();
    let settings = [("TELEMETRY__LOG_FILTER", "trace"), ("TELEMETRY__OTLP_ENDPOINT", &otlp)];
    let mut export = Export::start(&broker, &sim, &settings).await;
    let mut ingest = Ingest::start(&broker, &settings).await;
    let mut seen = Seen(Vec::new());

    let token = webhooks(&ingest, &mut seen).await;
    exports(&broker, &export, &sim, &mut seen).await;

    seen.add("metrics of ingest-svc", http::get(ingest.admin, "/metrics").await.body);
    seen.add("metrics of export-svc", http::get(export.admin, "/metrics").await.body);
    seen.add("arguments of ingest-svc", ingest.process.arguments());
    seen.add("arguments of export-svc", export.process.arguments());
    ingest.process.terminate().await;
    export.process.terminate().await;
    seen.add("log of ingest-svc", ingest.process.log());
    seen.add("log of export-svc", export.process.log());
    seen.add("spans", collector.text());
    for record in topic::all_records(&broker.kafka).await {
        let name = record
            .topic
            .strip_prefix(&broker.kafka.topic_prefix)
            .unwrap()
            .to_owned();
        seen.add(format!("keys of {name}"), record.key);
        seen.add(format!("values of {name}"), record.payload);
        for (header, value) in record.headers {
            seen.add(format!("headers of {name}"), [header.as_bytes(), b"=", &value].concat());
        }
    }

    // The search works: all that is no secret is found where it must be.
    let (id, secret) = token.rsplit_once('_').unwrap();
    let id = id.rsplit('_').next().unwrap();
    for (text, place) in [
        (id, "log of ingest-svc"),
        (id, "keys of control"),
        ("Invalid API key: [redacted]", "log of export-svc"),
        ("Invalid API key: [redacted]", "jobs list"),
        ("Invalid API key: [redacted]", "values of export-progress"),
        ("POST /c/{account}/{stream}", "spans"),
        ("deliver", "spans"),
        ("ingest_requests_total", "metrics of ingest-svc"),
        ("export_attempts_total", "metrics of export-svc"),
        ("serve", "arguments of ingest-svc"),
        ("serve", "arguments of export-svc"),
        ("b-secrets", "values of profile-events"),
        ("not json", "values of profile-events.rejected"),
        (
            "lytics.membership.v1.MembershipChange",
            "headers of audience-membership.1234",
        ),
    ] {
        assert!(
            seen.places(text).contains(place),
            "{text} is not in {place}, only in {:?}",
            seen.places(text)
        );
    }
    for hidden in [BRAZE_KEY, NEW_KEY, secret, ADMIN_TOKEN, SEALING_KEY] {
        assert_eq!(seen.places(hidden), BTreeSet::new(), "{hidden} is there");
    }
}

/// Everything that an API token goes through; the token.
async fn webhooks(ingest: &Ingest, seen: &mut Seen) -> String {
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
    let token = printed(&ingest.operator(&create).await).trim().to_owned();
    until("the service to know the token", async || {
        ingest.post(&token, r#"{"braze_id":"b-secrets"}"#).await.status == 200
    })
    .await;
    for (account, key, body, status) in [
        (1234, token.clone(), "{}", 200),
        (1234, token.clone(), "not json", 400),
        (1234, format!("{token}x"), "{}", 401),
        (99, token.clone(), "{}", 404),
    ] {
        let answer = http::post(ingest.http, &format!("/c/{account}/braze_users?key={key}"), body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        seen.add("answers to webhooks", answer.body);
    }
    for header in [
        format!("authorization: Bearer {token}"),
        format!("authorization: {token}"),
    ] {
        let answer = http::send(ingest.http, "POST", "/c/1234/braze_users", &[&header], b"{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let name = format!("accounts/1234/apiTokens/{}", token.split('_').nth(2).unwrap());
    let update = ["tokens", "update", &name, "--allow", "192.0.2.1"];
    seen.said("tokens update", &ingest.operator(&update).await);
    let by_name = format!("/c/1234/braze_users?access_token={token}");
    until("the source to be refused", async || {
        let answer = http::post(ingest.http, &by_name, "{}").await;
        let refused = answer.status == 403;
        seen.add("answers to webhooks", answer.body);
        refused
    })
    .await;
    for arguments in [
        &["tokens", "list", "--account", "1234"][..],
        &["events", "tail", "--account", "1234", "--no-follow"],
        &["tokens", "get", "accounts/1234/apiTokens/none"],
    ] {
        seen.said(&arguments.join(" "), &ingest.operator(arguments).await);
    }
    token
}

/// Everything that a Braze key goes through, up to a refusal that echoes it.
async fn exports(broker: &Broker, export: &Export, sim: &Sim, seen: &mut Seen) {
    export.job(BRAZE_KEY, &["--batch-max", "1"]).await;
    export.enter("cust-1").await;
    until("the user at Braze", async || sim.segments("cust-1").await.is_some()).await;
    sim.reject(BRAZE_KEY).await;
    export.enter("cust-2").await;
    wait_for("the job to sleep", async || {
        (export.job_field("state").await == "sleeping").then_some(())
    })
    .await;
    let jobs = ["jobs", "list", "--account", "1234", "--output", "json"];
    until("the reason to be told", async || {
        let output = export.operator(&jobs).await;
        seen.said("jobs list", &output);
        printed(&output).contains("[redacted]")
    })
    .await;
    // A new key ends the reason, and progress is a second behind.
    until("the reason to be kept", async || {
        let records = topic::all_records(&broker.kafka).await;
        let progress = records
            .iter()
            .filter(|record| record.topic.ends_with("export-progress"));
        progress
            .map(|record| String::from_utf8_lossy(&record.payload))
            .any(|value| value.contains("[redacted]"))
    })
    .await;
    // Refused: the label is taken, and a key that cannot be one.
    let create = [
        "authorizations",
        "create",
        "--account",
        "1234",
        "--label",
        "vip",
        "--instance",
        "US-01",
        "--key-file",
    ];
    for key in [BRAZE_KEY.to_owned(), format!("{BRAZE_KEY} {BRAZE_KEY}\u{e9}")] {
        let file = key_file(&key);
        let output = export
            .operator(&[&create[..], &[file.to_str().unwrap()]].concat())
            .await;
        assert_eq!(output.status.code(), Some(1));
        seen.said("authorizations create", &output);
    }
    let file = key_file(NEW_KEY);
    let rotate = ["authorizations", "rotate-key", "vip", "--account", "1234", "--key-file"];
    let output = export
        .operator(&[&rotate[..], &[file.to_str().unwrap()]].concat())
        .await;
    printed(&output);
    seen.said("authorizations rotate-key", &output);
    seen.said(
        "authorizations list",
        &export.operator(&["authorizations", "list", "--account", "1234"]).await,
    );
}

/// The options of a command and of all its subcommands.
async fn options(binary: &str, path: &[&str], found: &mut BTreeSet<String>) {
    let help = run(command(binary).args(path).arg("--help")).await;
    let help = printed(&help);
    for line in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
        let words = line.split([' ', ',', '=']).filter(|word| word.starts_with("--"));
        found.extend(words.map(str::to_owned));
    }
    let (_, commands) = help.split_once("Commands:\n").unwrap_or_default();
    for line in commands.lines().take_while(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap();
        // A line that is indented further goes on with a description.
        if line.starts_with("   ") || name == "help" {
            continue;
        }
        Box::pin(options(binary, &[path, &[name]].concat(), found)).await;
    }
}

#[tokio::test]
async fn no_option_of_a_service_takes_a_secret() {
    let mut found = BTreeSet::new();
    for binary in ["ingest-svc", "export-svc"] {
        options(binary, &[], &mut found).await;
    }
    let about_secrets = |option: &&String| {
        ["key", "token", "secret", "password"]
            .iter()
            .any(|word| option.contains(word))
    };
    let found: Vec<_> = found.iter().filter(about_secrets).collect();
    assert_eq!(
        found,
        ["--access-key-id", "--key-file", "--secret-file", "--token-file"],
        "a secret in the arguments can be read by every user of the machine"
    );
}
