//! A replica of a service: a process of its own, which may be killed, frozen and started again.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a replica may take to become ready, and to end after SIGTERM: its drain, and a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What it says before the addresses of its ports.
const READY: &str = "ready: ";

/// One replica; its process is killed when dropped.
pub struct Replica {
    program: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    core: Option<usize>,
    child: Option<Child>,
    /// Where it said that its ports are, while it serves.
    ports: Option<String>,
}

impl Replica {
    /// A replica of this service that is not started; what it says is appended to the file `log`.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn new(service: &str, environment: Vec<(String, String)>, log: PathBuf) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name(service);
        anyhow::ensure!(program.is_file(), "{} is missing: make build", program.display());
        Ok(Self {
            program,
            environment,
            log,
            core: None,
            child: None,
            ports: None,
        })
    }

    /// The same on one core only.
    #[must_use]
    pub fn on_core(self, core: usize) -> Self {
        Self {
            core: Some(core),
            ..self
        }
    }

    /// The process, while there is one.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Where a port of it is, by the name that it calls it: `http`, `gRPC`, `metrics`. `None` unless it serves.
    pub fn address(&self, port: &str) -> Option<SocketAddr> {
        let (_, rest) = self.ports.as_ref()?.split_once(&format!("{port} on "))?;
        rest.split([',', '"']).next()?.trim().parse().ok()
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let said_before = log.metadata()?.len();
        let mut command = pinned(&self.program, self.core);
        command
            .arg("serve")
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        self.child = Some(command.spawn()?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.ports = ready(&self.log, said_before)?;
            if self.ports.is_some() {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                anyhow::bail!("a replica ended at its start ({status}), see {}", self.log.display());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "a replica was not ready in time, see {}",
                self.log.display()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self
            .child
            .as_ref()
            .and_then(Child::id)
            .context("the replica has ended")?;
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.ports = None;
        let mut child = self.child.take().context("the replica has ended")?;
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        Ok(ended.with_context(|| format!("a replica does not end, see {}", self.log.display()))??)
    }

    /// Its exit status, if it has ended of its own accord; it can be started again then.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let ended = child.try_wait()?;
        if ended.is_some() {
            self.child = None;
            self.ports = None;
        }
        Ok(ended)
    }
}

/// A command that runs a program, on one core only if one is given.
pub fn pinned(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else {
        return Command::new(program);
    };
    // It turns into the program, so that the process is the same.
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// What the process has said of its ports since its log was this long.
fn ready(log: &Path, said_before: u64) -> anyhow::Result<Option<String>> {
    use std::io::{Read, Seek, SeekFrom};

    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(said_before))?;
    let mut said = String::new();
    file.read_to_string(&mut said)?;
    let whole = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let mut ports = whole.filter_map(|line| line.split_once(READY));
    Ok(ports.next().map(|(_, ports)| ports.to_owned()))
}
