//! Control state: a compacted topic of one partition as a map in memory, changed by compare-and-set.

mod follow;
mod look;
mod map;
mod mutate;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

pub use self::map::{Entry, View};
pub use self::mutate::{Change, MutateError};

use self::follow::Follower;
use self::map::Shared;
use crate::{Config, Error};

/// A table that has not been known to be complete for this long is stale.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// A compacted topic as a map, kept current by a thread of its own, which ends with the last handle. Cheap to clone; costs
/// one librdkafka client (four threads), and two more while a mutation runs.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    topic: String,
    transactional_id: String,
    value_type: &'static str,
    shared: Arc<Shared>,
    follower: Follower,
    /// One mutation at a time per process, across all tables with this transactional id.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Table {
    /// Loads the table to its end; tries until `config.open_timeout` has passed. Whoever changes the table must use the
    /// same `transactional_id`. `value_type` is the message type of its values, which stands in their headers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Kafka did not answer in time, [`Error::Topic`] if the topic is missing or has more than one
    /// partition.
    pub async fn open(
        config: &Config,
        topic: &str,
        transactional_id: &str,
        value_type: &'static str,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (loaded, load) = oneshot::channel();
        let follower = Follower::start(config, topic, shared.clone(), loaded)?;
        match tokio::time::timeout(config.open_timeout, load).await {
            Ok(Ok(result)) => result?,
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => {
                let doing = format!(
                    "topic {topic} could not be read within {:?}; check that kafka runs at {} (kafka.brokers)",
                    config.open_timeout, config.brokers
                );
                let source = match shared.last_error() {
                    Some(error @ Error::Topic { .. }) => return Err(error),
                    Some(Error::Unavailable { source, .. }) => source,
                    _ => None,
                };
                return Err(Error::Unavailable { doing, source });
            }
        }
        let inner = Inner {
            config: config.clone(),
            topic: topic.to_owned(),
            transactional_id: transactional_id.to_owned(),
            value_type,
            shared,
            follower,
            turn: turn(config, transactional_id),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.view().get(key)
    }

    /// All entries whose key begins with `prefix`, by key.
    pub fn scan(&self, prefix: &str) -> Vec<(String, Entry)> {
        self.view().scan(prefix)
    }

    /// The whole table as it is now; later changes do not show in it.
    pub fn view(&self) -> View {
        self.inner.shared.view()
    }

    /// Whether the table was known to be complete at some time within the 30 s before `now`. It is checked against Kafka
    /// every few seconds, so this holds on an idle table too, and ends 30 s after Kafka has gone.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.inner
            .shared
            .complete_at()
            .is_some_and(|at| now.saturating_duration_since(at) < FRESH_FOR)
    }

    /// The last time at which the table was known to be complete: it has what was written before. It follows within a few seconds.
    pub fn complete_at(&self) -> Option<Instant> {
        self.inner.shared.complete_at()
    }

    /// Changes with every applied record: one more than its offset.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.shared.applied()
    }
}

/// The mutex of a transactional id on a cluster. Two tables in one process (both services in one process, say) then do not
/// fence each other, and are correct on the in-process broker too, which fences nobody.
fn turn(config: &Config, transactional_id: &str) -> Arc<tokio::sync::Mutex<()>> {
    type Turns = HashMap<(String, String), Arc<tokio::sync::Mutex<()>>>;
    static TURNS: LazyLock<Mutex<Turns>> = LazyLock::new(Mutex::default);
    let id = (
        config.brokers.clone(),
        format!("{}{transactional_id}", config.topic_prefix),
    );
    TURNS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(id)
        .or_default()
        .clone()
}
