//! Proves that docs/grpc.md is true: every call on the page succeeds, in the page's order, and every method of both services is on
//! it, but for one. How: a shell reads the page's lines, with a `grpcurl` that hands its arguments to the test; the test does what grpcurl does,
//! knowing nothing but what the servers tell by reflection. As the page asks its reader to, it puts the ids that were answered
//! into the calls that follow.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::grpcurl::Grpcurl;
use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands};

/// Prints each of its arguments and a NUL.
const GRPCURL: &str = r#"grpcurl() { printf '%s\0' "$@"; }"#;

/// What is told without a call: a secret is rotated at a bucket, which the local stack has not.
const WITHOUT_CALL: [&str; 1] = ["lytics.imports.v1.StorageAuthorizationService/RotateStorageSecret"];

/// The arguments of one `grpcurl`.
#[derive(Debug, Default)]
struct Arguments {
    headers: Vec<String>,
    data: String,
    /// The address, then what to do there.
    rest: Vec<String>,
}

impl Arguments {
    fn parse(printed: &str) -> Self {
        let mut found = Self::default();
        let mut words = printed.split_terminator('\0').map(str::to_owned);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-plaintext" => {}
                "-H" => found.headers.push(words.next().unwrap()),
                "-d" => found.data = words.next().unwrap(),
                option => {
                    assert!(!option.starts_with('-'), "grpcurl {option}");
                    found.rest.push(word);
                }
            }
        }
        found
    }
}

/// The id of the newest resource of each collection.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    /// Remembers every resource name in an answer: `accounts/1234/apiTokens/<id>`.
    fn learn(&mut self, answer: &Value) {
        match answer {
            Value::Object(fields) => {
                let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
                if let ["accounts", _, collection, id] = name.split('/').collect::<Vec<_>>().as_slice() {
                    self.0.insert((*collection).to_owned(), (*id).to_owned());
                }
                fields.values().for_each(|value| self.learn(value));
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn(value)),
            _ => {}
        }
    }

    /// The line with ids in the place of `ID`.
    fn fill_in(&self, line: &str) -> String {
        let filled = self.0.iter().fold(line.to_owned(), |line, (collection, id)| {
            line.replace(&format!("/{collection}/ID"), &format!("/{collection}/{id}"))
        });
        assert!(!filled.contains("/ID"), "no answer gave the id for: {line}");
        filled
    }
}

/// Fails if it says that something was rejected: the call is then no example of a good one.
fn assert_accepted(line: &str, answers: &[Value]) {
    for answer in answers {
        assert!(answer.get("rejectedReason").is_none(), "{line}: {answer}");
    }
}

#[tokio::test]
async fn every_call_of_the_page_succeeds_and_every_method_is_on_the_page() {
    let local = Local::up().await;
    let servers = [
        (
            "localhost:8081",
            Grpcurl::connect(local.address("INGEST_SVC_ENDPOINT")).await,
        ),
        (
            "localhost:8091",
            Grpcurl::connect(local.address("EXPORT_SVC_ENDPOINT")).await,
        ),
    ];
    let (reader, mut ids, mut called) = (Reader::new(), Ids::default(), BTreeSet::new());
    let mut prelude = GRPCURL.to_owned();
    for line in commands("docs/grpc.md", "") {
        if line.starts_with("export ") || line.starts_with("call()") {
            prelude = format!("{prelude}\n{line}");
            continue;
        }
        let printed = reader.run(&format!("{prelude}\n{}", ids.fill_in(&line))).await;
        let Arguments { headers, data, rest } = Arguments::parse(&printed);
        let [address, what @ ..] = rest.as_slice() else {
            panic!("{line}")
        };
        let server = servers.iter().find(|(there, _)| there == address);
        let (_, server) = server.unwrap_or_else(|| panic!("nobody listens there: {line}"));
        match what.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["list"] => {}
            ["describe", service] => drop(server.describe(service).await.expect(&line)),
            [method] => {
                let answers = server.call(&headers, &data, method).await;
                let answers = answers.unwrap_or_else(|error| panic!("{line}\n{error}"));
                // Of what is told one by one there may be none yet.
                assert!(!answers.is_empty() || method.contains("/Tail"), "no answer: {line}");
                assert_accepted(&line, &answers);
                answers.iter().for_each(|answer| ids.learn(answer));
                called.insert((*method).to_owned());
            }
            _ => panic!("grpcurl knows no such command: {line}"),
        }
    }
    let mut served = BTreeSet::new();
    for (_, server) in &servers {
        for name in server.services().await {
            let service = server.describe(&name).await.unwrap();
            let methods = service.methods().map(|method| format!("{name}/{}", method.name()));
            served.extend(methods.filter(|_| name.starts_with("lytics.")));
        }
    }
    assert!(!served.is_empty());
    served.retain(|method| !WITHOUT_CALL.contains(&method.as_str()));
    let missing: Vec<_> = served.difference(&called).collect();
    assert_eq!(missing, [""; 0], "not on the page");
    local.stop().await;
}
