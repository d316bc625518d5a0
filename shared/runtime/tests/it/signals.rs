//! Signals reach whole processes: each test starts its own test binary again, as the process that is signalled.

use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::lifecycle::Lifecycle;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::DEADLINE;

/// Set in the process that is signalled.
const CHILD: &str = "RUNTIME_SIGNALS_CHILD";

struct Signalled {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Signalled {
    /// Runs the test `name` of this binary as a child.
    fn start(name: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    async fn says(&mut self, marker: &str) {
        let read = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(marker) {
                    return;
                }
            }
            panic!("the process ended without saying {marker}");
        };
        tokio::time::timeout(DEADLINE, read).await.expect(marker);
    }

    fn send(&self, signal: Signal) {
        let id = self.process.id().expect("the process runs");
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }

    async fn ends(mut self) -> ExitStatus {
        tokio::time::timeout(DEADLINE, self.process.wait())
            .await
            .expect("the process ends")
            .unwrap()
    }
}

#[tokio::test]
async fn a_signal_begins_the_drain_and_the_process_ends_well() {
    if std::env::var_os(CHILD).is_some() {
        let lifecycle = Lifecycle::new();
        lifecycle.listen_for_signals().unwrap();
        let token = lifecycle.token();
        lifecycle.spawn::<anyhow::Error>("component", async move {
            println!("working");
            token.cancelled().await;
            println!("draining");
            Ok(())
        });
        return lifecycle.run(DEADLINE).await.unwrap();
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = Signalled::start("signals::a_signal_begins_the_drain_and_the_process_ends_well");
        child.says("working").await;
        child.send(signal);
        child.says("draining").await;
        assert!(child.ends().await.success(), "{signal}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    if std::env::var_os(CHILD).is_some() {
        let lifecycle = Lifecycle::new();
        lifecycle.listen_for_signals().unwrap();
        let token = lifecycle.token();
        lifecycle.spawn::<anyhow::Error>("stuck", async move {
            println!("working");
            token.cancelled().await;
            println!("draining");
            std::future::pending().await
        });
        return lifecycle.run(DEADLINE * 10).await.unwrap();
    }
    let mut child = Signalled::start("signals::a_second_signal_ends_the_process_at_once");
    child.says("working").await;
    child.send(Signal::SIGTERM);
    child.says("draining").await;
    child.send(Signal::SIGTERM);
    assert_eq!(child.ends().await.code(), Some(128 + Signal::SIGTERM as i32));
}
