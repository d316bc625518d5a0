//! The real binary.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::DirEntry;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{ADMIN_TOKEN, DEADLINE, until};

/// `ingest-svc serve` in a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// The binary, with nothing of this process's environment that could configure it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingest-svc"));
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(command: &mut Command) -> Output {
    tokio::time::timeout(DEADLINE, command.output())
        .await
        .expect("an end in time")
        .unwrap()
}

impl Process {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(kafka: &kafka::Config, environment: &[(&str, &str)]) -> Self {
        let mut child = command()
            .arg("serve")
            .env("INGEST_SVC__KAFKA__BROKERS", &kafka.brokers)
            .env("INGEST_SVC__KAFKA__TOPIC_PREFIX", &kafka.topic_prefix)
            .env("INGEST_SVC__KAFKA__IN_PROCESS", kafka.in_process.to_string())
            .env("INGEST_SVC__AUTH__ADMIN_TOKEN", ADMIN_TOKEN)
            .env("INGEST_SVC__HTTP__LISTEN", "127.0.0.1:0")
            .env("INGEST_SVC__GRPC__LISTEN", "127.0.0.1:0")
            .env("INGEST_SVC__ADMIN__LISTEN", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, written) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut lines = lines;
            while let Some(line) = lines.next_line().await.unwrap() {
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        tasks.detach_all();
        let mut addresses = None;
        until("the service says where it listens", || {
            addresses = addresses_in(&log.lock().unwrap());
            addresses.is_some()
        })
        .await;
        let (http, grpc, admin) = addresses.unwrap();
        let process = Self {
            child,
            http,
            grpc,
            admin,
            log,
        };
        super::wait_for("the process is ready", async || {
            (super::http::get(process.admin, "/readyz").await.status == 200).then_some(())
        })
        .await;
        process
    }

    /// Everything it has written to stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// How far its threads of this name step back, and how often they have waited so far, by their numbers.
    pub(crate) fn threads(&self, name: &str) -> BTreeMap<OsString, (i32, u64)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id().unwrap())).unwrap();
        let of_name = tasks.map(Result::unwrap).filter(|task| {
            let called = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            called.trim_end() == name
        });
        let read = |task: DirEntry| {
            let text = |file| std::fs::read_to_string(task.path().join(file)).unwrap();
            let (stat, status) = (text("stat"), text("status"));
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            let (_, waited) = status.split_once("\nvoluntary_ctxt_switches:").unwrap();
            let nice = fields.split(' ').nth(16).unwrap().parse().unwrap();
            (
                task.file_name(),
                (nice, waited.lines().next().unwrap().trim().parse().unwrap()),
            )
        };
        of_name.map(read).collect()
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }

    /// Its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(DEADLINE, self.child.wait())
            .await
            .expect("an end in time")
            .unwrap()
            .code()
    }
}

fn addresses_in(log: &str) -> Option<(SocketAddr, SocketAddr, SocketAddr)> {
    let line = log.lines().find(|line| line.contains("listening: http "))?;
    let address = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.trim_start().split([' ', ',', '"']).next()?.parse().ok()
    };
    Some((address("http ")?, address("grpc ")?, address("admin ")?))
}
