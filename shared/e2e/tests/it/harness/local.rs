//! `make up`: the whole system in one process.

use std::net::SocketAddr;

use super::process::Process;
use super::reader::without_comment;
use super::wait_for;

/// A stack on free ports; killed when dropped, it keeps nothing.
pub(crate) struct Local {
    process: Process,
    /// What it tells the reader to type, line by line.
    pub(crate) commands: Vec<String>,
    /// What it tells the reader to set: `name=value`.
    pub(crate) exports: Vec<(String, String)>,
    /// Where webhooks go.
    pub(crate) http: SocketAddr,
}

impl Local {
    pub(crate) async fn up() -> Self {
        let process = Process::start("local", &["up", "--free-ports"], [("RUST_BACKTRACE", "1")]);
        let manual = wait_for("the stack to be up", async || {
            assert!(!process.has_ended(), "{}", process.log());
            let log = process.log();
            // The last line of what it prints.
            log.contains("braze-sim users get").then_some(log)
        })
        .await;
        let (_, typed) = manual.split_once("In a second terminal").unwrap();
        let lines = typed.lines().filter_map(|line| line.strip_prefix("  "));
        let commands = lines.filter(|line| !line.starts_with('#')).map(without_comment);
        let commands: Vec<_> = commands.map(str::to_owned).collect();
        let exports = commands.iter().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            (name != "PATH").then(|| (name.to_owned(), value.to_owned()))
        });
        let curl = commands.iter().find(|line| line.starts_with("curl ")).unwrap();
        let url = curl.split("http://").nth(1).unwrap();
        Self {
            exports: exports.collect(),
            http: url.split('/').next().unwrap().parse().unwrap(),
            commands,
            process,
        }
    }

    /// The address behind an exported endpoint.
    pub(crate) fn address(&self, endpoint: &str) -> SocketAddr {
        let found = self.exports.iter().find(|(name, _)| name == endpoint);
        let url = &found.expect(endpoint).1;
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) async fn stop(mut self) {
        self.process.terminate().await;
    }
}
