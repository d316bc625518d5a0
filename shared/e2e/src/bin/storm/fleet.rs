//! All replicas, and what happens to them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use shared_e2e::Replica;
use tokio::sync::Mutex;

/// How often it is looked at whether a replica has ended of its own accord.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The replicas of one export-svc. Whoever does something to a replica holds its lock.
pub(crate) struct Fleet {
    replicas: Vec<Mutex<Replica>>,
    events: StdMutex<Events>,
}

/// What happened to the replicas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// When one was killed or frozen: what it had not written down is sent again.
    pub(crate) interruptions: Vec<Timestamp>,
    pub(crate) kills: u64,
    pub(crate) terminations: u64,
    pub(crate) freezes: u64,
    /// Ends that nobody asked for, and drains that did not end well.
    pub(crate) bad_ends: Vec<String>,
}

impl Fleet {
    /// So many replicas that are not started, with their logs in `directory`.
    ///
    /// # Errors
    /// When the program is missing.
    pub(crate) fn new(count: usize, environment: &[(String, String)], directory: &Path) -> anyhow::Result<Self> {
        let replica = |number| {
            let log = directory.join(format!("replica-{number}.log"));
            Replica::new("export-svc", environment.to_vec(), log).map(Mutex::new)
        };
        Ok(Self {
            replicas: (0..count).map(replica).collect::<anyhow::Result<_>>()?,
            events: StdMutex::default(),
        })
    }

    /// Starts all of them.
    ///
    /// # Errors
    /// When one does not become ready.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        for replica in &self.replicas {
            replica.lock().await.start().await?;
        }
        Ok(())
    }

    /// Starts again whoever ends of its own accord, and notes it. Ends only with an error.
    ///
    /// # Errors
    /// When a replica cannot be started again.
    pub(crate) async fn supervise(&self) -> anyhow::Result<()> {
        loop {
            for (number, replica) in self.replicas.iter().enumerate() {
                // Whoever holds the lock knows what the replica does.
                let Ok(mut replica) = replica.try_lock() else { continue };
                if let Some(status) = replica.ended()? {
                    self.note(|events| {
                        events.interruptions.push(Timestamp::now());
                        events
                            .bad_ends
                            .push(format!("replica {number} ended by itself: {status}"));
                    });
                    replica.start().await?;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// SIGKILL; started again after a while.
    ///
    /// # Errors
    /// When it does not become ready again.
    pub(crate) async fn kill(&self, number: usize, away: Duration) -> anyhow::Result<()> {
        let mut replica = self.replicas[number].lock().await;
        replica.signal(Signal::SIGKILL)?;
        self.note(|events| {
            events.interruptions.push(Timestamp::now());
            events.kills += 1;
        });
        replica.wait().await?;
        tokio::time::sleep(away).await;
        replica.start().await
    }

    /// SIGTERM; started again after a while.
    ///
    /// # Errors
    /// When it does not end, or does not become ready again.
    pub(crate) async fn terminate(&self, number: usize, away: Duration) -> anyhow::Result<()> {
        let mut replica = self.replicas[number].lock().await;
        replica.signal(Signal::SIGTERM)?;
        let status = replica.wait().await?;
        self.note(|events| {
            events.terminations += 1;
            if !status.success() {
                events.interruptions.push(Timestamp::now());
                events
                    .bad_ends
                    .push(format!("replica {number} drained badly: {status}"));
            }
        });
        tokio::time::sleep(away).await;
        replica.start().await
    }

    /// SIGSTOP; SIGCONT after a while.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) async fn freeze(&self, number: usize, away: Duration) -> anyhow::Result<()> {
        let replica = self.replicas[number].lock().await;
        replica.signal(Signal::SIGSTOP)?;
        self.note(|events| {
            events.interruptions.push(Timestamp::now());
            events.freezes += 1;
        });
        tokio::time::sleep(away).await;
        replica.signal(Signal::SIGCONT)
    }

    /// Notes that every replica may have to send again what it sent around this time.
    pub(crate) fn interrupted(&self) {
        self.note(|events| events.interruptions.push(Timestamp::now()));
    }

    /// The gRPC ports of those that serve and are left alone at present.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let left_alone = self.replicas.iter().filter_map(|replica| replica.try_lock().ok());
        left_alone.filter_map(|replica| replica.address("gRPC")).collect()
    }

    /// What has happened so far.
    pub(crate) fn events(&self) -> Events {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, happened: impl FnOnce(&mut Events)) {
        happened(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
