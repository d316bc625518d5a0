//! A binary in a process of its own.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, RwLock};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::{DEADLINE, http, until, wait_for};

/// Where cargo puts the binaries: beside the directory of the test's own.
pub(crate) fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().to_owned()
}

fn binary(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// A command of one of our binaries, with nothing of this process's environment; its temporary files are in the clone too.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Shared by those who start processes, held alone by whoever takes an in-process broker down. Until a started process has become
/// its program it holds the broker's listening socket as well, and librdkafka ends the test if it cannot bind that anew.
pub(crate) static STARTING: RwLock<()> = RwLock::new(());

/// Starts a process.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _starting = STARTING.read().unwrap();
    command.spawn().unwrap()
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Output {
    let child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
    ended.expect("an end in time").unwrap()
}

/// A service; killed when dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Ends when the process has closed both of its streams.
    readers: JoinSet<()>,
    read: [AbortHandle; 2],
    /// Whether what it writes is taken away.
    reading: watch::Sender<bool>,
}

impl Process {
    /// Starts it. With port 0 in its configuration, the system chooses the port, and the service says which it is.
    pub(crate) fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        name: &'static str,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = command(name);
        command.args(arguments).envs(environment);
        let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (log, mut readers, reading) = (Arc::default(), JoinSet::new(), watch::Sender::new(true));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = [
            readers.spawn(keep(stdout, Arc::clone(&log), reading.subscribe())),
            readers.spawn(keep(stderr, Arc::clone(&log), reading.subscribe())),
        ];
        Self {
            name,
            child,
            log,
            readers,
            read,
            reading,
        }
    }

    /// From now on nobody takes away what it writes, as of a terminal that was stopped: when the pipe is full, it waits.
    pub(crate) fn stop_reading(&self) {
        self.reading.send_replace(false);
    }

    /// Everything it has written to stdout and stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What the list of processes shows of it to every user of the machine.
    pub(crate) fn arguments(&self) -> Vec<u8> {
        let pid = self.child.id().expect("it has not ended");
        std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()
    }

    /// Whether it has closed both of its streams.
    pub(crate) fn has_ended(&self) -> bool {
        self.read.iter().all(AbortHandle::is_finished)
    }

    /// The address that its log names after this text.
    pub(crate) async fn address(&self, after: &str) -> SocketAddr {
        let what = format!("{} to say where it listens", self.name);
        wait_for(&what, async || {
            assert!(!self.has_ended(), "{} has ended: {}", self.name, self.log());
            let log = self.log();
            let (_, rest) = log.split_once(after)?;
            rest.split([' ', ',', '"', '\n']).next()?.parse().ok()
        })
        .await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it has not ended")).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Its exit code, `None` if a signal ended it; afterwards the log is whole.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let waited = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = waited.unwrap_or_else(|_| panic!("{} did not end: {}", self.name, self.log()));
        self.reading.send_replace(true);
        while self.readers.join_next().await.is_some() {}
        status.unwrap().code()
    }

    /// Sends SIGTERM and expects exit code 0.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        let code = self.ended().await;
        assert_eq!(code, Some(0), "{}: {}", self.name, self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of {}\n{}", self.name, self.log());
        }
    }
}

/// Keeps what is written, line by line, so that the lines of two streams do not mix.
async fn keep(stream: impl AsyncRead + Unpin, log: Arc<Mutex<String>>, mut reading: watch::Receiver<bool>) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        // An error is the end of the process's handle: what is left is kept.
        drop(reading.wait_for(|reading| *reading).await);
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}

/// Waits until the admin port says that the service is ready.
pub(crate) async fn ready(admin: SocketAddr) {
    until("the service to be ready", async || {
        let answer = http::try_send(admin, "GET", "/readyz", &[], b"").await;
        answer.is_some_and(|answer| answer.status == 200)
    })
    .await;
}

/// The sum of a metric over its labels; 0 if it is not there.
pub(crate) async fn metric(admin: SocketAddr, name: &str) -> f64 {
    let text = http::get(admin, "/metrics").await.body;
    let samples = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let found = series.split('{').next()? == name;
        found.then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}
