//! Somebody who reads our documents and types what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::process::{command, folder, run, spawn};
use super::system::printed;
use super::{DEADLINE, http, until};

/// A shell in a folder of its own that holds `examples`, with our programs on the PATH.
pub(crate) struct Reader {
    environment: BTreeMap<String, String>,
    folder: TempDir,
}

/// A file of this repository.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// The lines of the shell blocks of a document, or of the section of it that begins so; without comments.
pub(crate) fn commands(document: &str, section: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(document)).unwrap();
    let sections = text.split("\n## ").filter(|part| part.starts_with(section));
    let blocks = sections
        .flat_map(|section| section.split("```sh\n").skip(1))
        .map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty());
    let lines: Vec<_> = lines.map(|line| without_comment(line).to_owned()).collect();
    assert!(!lines.is_empty(), "no commands in {document}, {section:?}");
    lines
}

/// The command of a line.
pub(crate) fn without_comment(line: &str) -> &str {
    line.split("   #").next().unwrap().trim()
}

impl Reader {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let examples = home.path().join("examples");
        std::fs::create_dir(&examples).unwrap();
        for name in ["webhook.json", "dashboard.csv", "segment-export.json", "currents.avro"] {
            std::fs::copy(file("examples").join(name), examples.join(name)).unwrap();
        }
        let path = format!("{}:{}", folder().display(), std::env::var("PATH").unwrap());
        Self {
            environment: [("PATH".to_owned(), path)].into(),
            folder: home,
        }
    }

    pub(crate) fn export(&mut self, name: &str, value: impl Into<String>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-euc", line]).current_dir(self.folder.path());
        command
            .env_clear()
            .envs(&self.environment)
            .kill_on_drop(true)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn run(&self, line: &str) -> String {
        let output = run(&mut self.shell(line)).await;
        assert!(output.status.success(), "{line}: {output:?}");
        printed(&output)
    }

    /// Runs a command again and again, until what it prints is as it must be.
    pub(crate) async fn until(&self, line: &str, wanted: impl Fn(&str) -> bool) {
        until(line, async || {
            let output = run(&mut self.shell(line)).await;
            output.status.success() && wanted(&printed(&output))
        })
        .await;
    }

    /// The first line of a command that goes on for ever.
    pub(crate) async fn first_line(&self, line: &str) -> String {
        self.line_with(line, "").await
    }

    /// Follows a command that goes on for ever until it prints a line with these words.
    pub(crate) async fn until_line(&self, line: &str, words: &str) {
        self.line_with(line, words).await;
    }

    async fn line_with(&self, line: &str, words: &str) -> String {
        let mut command = self.shell(&format!("exec {line}"));
        let mut process = spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let found = timeout(DEADLINE, async {
            while let Some(printed) = lines.next_line().await.unwrap() {
                if printed.contains(words) {
                    return Some(printed);
                }
            }
            None
        });
        let found = found.await;
        process.kill().await.unwrap();
        let found = found.unwrap_or_else(|_| panic!("{line} prints no line with {words:?}"));
        found.unwrap_or_else(|| panic!("{line} ends without a line with {words:?}"))
    }

    /// Posts as `curl -d @FILE URL` does, with curl itself where there is one.
    pub(crate) async fn post(&self, line: &str) -> String {
        if run(&mut self.shell("curl --version")).await.status.success() {
            return self.run(&line.replacen("curl", "curl -sS --fail-with-body", 1)).await;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let [.., url] = words.as_slice() else { panic!("{line}") };
        let url = self.run(&format!("printf %s {url}")).await;
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let name = words.iter().find_map(|word| word.strip_prefix('@')).unwrap();
        let body = std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        let form = ["content-type: application/x-www-form-urlencoded"];
        let (path, body) = (format!("/{path}"), body.replace(['\r', '\n'], ""));
        let answer = http::send(address.parse().unwrap(), "POST", &path, &form, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

/// The default of `--endpoint` that a program's help names.
pub(crate) async fn endpoint(binary: &str, arguments: &[&str]) -> String {
    let help = printed(&run(command(binary).args(arguments).arg("--help")).await);
    // Long lines are broken.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, default) = help.split_once("[default: http://").expect(&help);
    default.split(']').next().unwrap().to_owned()
}
