//! The floor under a service, as a process.

use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::CORE;
use crate::pinned;

/// A program beside this one, on the core of whoever is measured; killed when dropped.
pub struct Floor {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Floor {
    /// Starts it.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn start(program: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name(program);
        let shown = program.display();
        anyhow::ensure!(
            program.is_file(),
            "{shown} is missing: `make` builds it before it measures"
        );
        let mut command = pinned(&program, Some(CORE));
        let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let said = child.stdout.take().context("what it says is read")?;
        Ok(Self {
            child,
            said: BufReader::new(said).lines(),
        })
    }

    /// The process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the floor has ended")
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn says(&mut self) -> anyhow::Result<String> {
        self.said.next_line().await?.context("the floor has ended")
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
