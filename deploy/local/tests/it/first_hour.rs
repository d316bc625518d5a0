//! The commands of the README's first hour, as they are typed there, against `local up`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stack that ends with the test.
struct Up {
    process: Child,
    environment: HashMap<String, String>,
    http: String,
    folder: PathBuf,
}

impl Up {
    /// Starts `local up` and reads from what it prints where everything listens.
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["up", "--free-ports"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut environment = HashMap::new();
        let mut http = None;
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("text");
            let line = line.trim();
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
                environment.insert(name.to_owned(), value.to_owned());
            }
            if let Some(rest) = line.strip_prefix("curl ") {
                http = rest
                    .split("http://")
                    .nth(1)
                    .and_then(|url| url.split('/').next())
                    .map(str::to_owned);
            }
            if line.starts_with("braze-sim users get") {
                break;
            }
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_local")).parent().expect("a folder");
        for name in ["ingest-svc", "export-svc", "braze-sim"] {
            assert!(
                bin.join(name).exists(),
                "{name} is not built: cargo build --workspace --bins"
            );
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
        environment.insert("PATH".to_owned(), path);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-hour");
        std::fs::create_dir_all(&folder).expect("a folder of our own");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/webhook.json");
        std::fs::create_dir_all(folder.join("examples")).expect("a folder");
        std::fs::copy(examples, folder.join("examples/webhook.json")).expect("examples/webhook.json");
        Self {
            process,
            environment,
            http: http.expect("a curl command is printed"),
            folder,
        }
    }

    /// The command as a shell would run it.
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-euc", line])
            .current_dir(&self.folder)
            .envs(&self.environment);
        command
    }

    /// Runs the command; it must succeed. Gives what it printed.
    fn run(&self, line: &str) -> String {
        let output = self.shell(line).output().expect("sh");
        let (said, failed) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{line}\n{said}{failed}");
        said.into_owned()
    }

    /// Runs the command until what it prints is as it must be.
    fn until(&self, line: &str, wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.shell(line).output().expect("sh");
            let said = String::from_utf8_lossy(&output.stdout);
            if output.status.success() && wanted(&said) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{line}\n{said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    /// Runs a command that goes on for ever until it has printed a line; gives the line.
    fn first_line(&self, line: &str) -> String {
        let mut process = self
            .shell(&format!("exec {line}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut printed = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut printed).expect("text");
        process.kill().expect("it still runs");
        process.wait().expect("it ends");
        printed
    }

    /// Posts as `curl -d @FILE URL` does, with curl itself where there is one.
    async fn post(&mut self, line: &str) -> String {
        let line = line.replace("localhost:8080", &self.http);
        if Command::new("curl").arg("--version").output().is_ok() {
            return self.run(&line.replacen("curl", "curl -sS --fail-with-body", 1));
        }
        let url = self.run(&format!("printf %s {}", line.split_whitespace().last().expect("a URL")));
        let file = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix('@'))
            .expect("a file");
        let body = std::fs::read_to_string(self.folder.join(file))
            .expect("the file")
            .replace(['\r', '\n'], "");
        let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let form = "application/x-www-form-urlencoded";
        let call = client.post(url).header("content-type", form).body(body);
        let answer = call
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .expect("an answer");
        answer.text().await.expect("text")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // The test has its verdict; the stack keeps nothing that could be lost.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The lines of the shell blocks of the README's section, without comments.
fn readme(section: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(path).expect("README.md");
    let section = text
        .split("\n## ")
        .find(|part| part.starts_with(section))
        .expect("the section");
    let blocks = section
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or_default());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.split("   #").next().unwrap_or(line).trim().to_owned())
        .collect()
}

#[tokio::test]
async fn the_commands_of_the_first_hour_work_as_typed() {
    let mut up = Up::start();
    let mut done = Vec::new();
    for line in readme("The first hour") {
        let words: Vec<_> = line.split_whitespace().take(3).collect();
        match words.as_slice() {
            // Where the programs are, and the admin token: `up` has printed them.
            ["export", ..] => continue,
            ["TOKEN=…", ..] => {}
            ["ingest-svc", "tokens", "create"] => {
                let printed = up.run(&line);
                assert!(
                    printed.contains("/c/1234/braze_users?key=lb_1234_"),
                    "the webhook's URL: {printed}"
                );
                assert!(printed.contains("{{${email_address}"), "the Liquid body: {printed}");
                let mut words = printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
                let token = words.find(|word| word.starts_with("lb_1234_")).expect("the token");
                up.environment.insert("TOKEN".to_owned(), token.to_owned());
            }
            ["curl", ..] => {
                let answer = up.post(&line).await;
                assert!(answer.contains(r#""message_count":1"#), "{answer}");
            }
            ["ingest-svc", "events", "tail"] => {
                let event = up.first_line(&line);
                assert!(event.contains("ines.duarte@example.org"), "{event}");
            }
            ["braze-sim", "users", "get"] => up.until(&line, |user| user.contains(r#""vip""#)),
            _ => drop(up.run(&line)),
        }
        done.push(words.join(" "));
    }
    let typed = [
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
    assert_eq!(done, typed, "the README's first hour");
    // What the README says of an exit.
    up.run("export-svc memberships publish --account 1234 --audience vip --profile 42 --exit --field user_id=cust-1");
    up.until("braze-sim users get cust-1", |user| !user.contains(r#""vip""#));
}
