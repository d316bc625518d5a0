//! Asking about authorizations that nobody has asked about for long: by the replica that owns the slot of their workspace.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use control::{Authorization, Directory};
use jiff::{SignedDuration, Timestamp};
use kafka::{Held, Publisher, RecordOut};
use opentelemetry::Context;
use prost::Message;
use proto::export::v1::AuthorizationHealth;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::uses::is_whole;
use super::{Health, checked, is_known, key_of};
use crate::hash::stable_hash;
use crate::measure;

/// A key is asked about this often, or up to a tenth earlier, so that not all of them are at once.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// A new key is asked about by whoever was given it. If that replica is gone, by the owner after this long.
const NEW_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Braze did not say, or not of every use: it is asked again after this long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// Keys asked about at once.
const AT_ONCE: usize = 4;
/// Longest time between two looks at who is to be asked about.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How long to wait while the control table cannot be read, or Kafka takes nothing.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// What is known of an authorization that does not exist, or not here yet, is forgotten after this long.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Asks, and writes down what is seen.
pub(crate) struct Rounds {
    pub(crate) health: Health,
    pub(crate) directory: Directory,
    pub(crate) held: watch::Receiver<Held>,
    /// The slot of a workspace.
    pub(crate) slots: i32,
    pub(crate) publisher: Publisher,
    /// Full name of `export-progress`.
    pub(crate) topic: String,
}

impl Rounds {
    /// Goes on for ever.
    pub(crate) async fn run(self) -> Infallible {
        tokio::join!(self.go_round(), self.write_down()).0
    }

    async fn go_round(&self) -> Infallible {
        let (mut changed, mut held) = (self.directory.changed(), self.held.clone());
        let (mut asking, mut asked) = (JoinSet::new(), HashMap::new());
        loop {
            changed.mark_unchanged();
            let owned = held.borrow_and_update().owned.clone();
            let now = Timestamp::now();
            let wait = match self.look(&owned, &mut asked, &mut asking, now) {
                Ok(next) => next.map_or(LOOK_EVERY, |next| {
                    Duration::try_from(next.duration_since(now))
                        .unwrap_or_default()
                        .clamp(Duration::from_secs(1), LOOK_EVERY)
                }),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "nobody is asked about");
                    TRY_AGAIN
                }
            };
            tokio::select! {
                result = changed.changed() => if result.is_err() { tokio::time::sleep(TRY_AGAIN).await },
                result = held.changed() => if result.is_err() { tokio::time::sleep(TRY_AGAIN).await },
                Some(_) = asking.join_next() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Begins to ask about those whose time has come. When the next one's comes.
    fn look(
        &self,
        owned: &BTreeSet<i32>,
        asked: &mut HashMap<String, Timestamp>,
        asking: &mut JoinSet<()>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, control::Error> {
        let authorizations = self.directory.authorizations().all()?;
        let chosen: HashMap<String, i32> = self
            .directory
            .workspaces()?
            .into_iter()
            .map(|workspace| (workspace.key, workspace.slot))
            .collect();
        let there = authorizations.iter().map(Authorization::name).collect();
        forget(&self.health, &there, now);
        let ours = |authorization: &Authorization| {
            let slot = chosen.get(&authorization.workspace_key());
            slot.is_some_and(|slot| (0..self.slots).contains(slot) && owned.contains(slot))
        };
        let ours: HashMap<String, Authorization> = authorizations
            .into_iter()
            .filter(ours)
            .map(|authorization| (authorization.name(), authorization))
            .collect();
        asked.retain(|name, _| ours.contains_key(name));
        let (mut next, mut refused) = (None, 0);
        for (name, authorization) in ours {
            let known = self.health.seen(&name, authorization.secret_revision());
            refused += u32::from(known.as_ref().is_some_and(super::is_refused));
            let known = known.as_ref().filter(|known| is_known(known));
            let checked = known.and_then(checked);
            let every = if known.is_some_and(is_whole) {
                EVERY
            } else {
                AGAIN_AFTER
            };
            let due = due(
                &name,
                authorization.update_time,
                checked.map(|checked| (checked, every)),
                asked.get(&name).copied(),
                now,
            );
            if due > now {
                next = Some(next.map_or(due, |next: Timestamp| next.min(due)));
            } else if asking.len() < AT_ONCE {
                asked.insert(name, now);
                let health = self.health.clone();
                asking.spawn(async move {
                    health.check(&authorization).await;
                });
            }
        }
        metrics::gauge!(measure::UNHEALTHY_AUTHORIZATIONS).set(refused);
        Ok(next)
    }

    async fn write_down(&self) -> Infallible {
        loop {
            let next = {
                let known = self.health.known();
                let name = known.unwritten.first().cloned();
                name.map(|name| (known.healths.get(&name).cloned(), name))
            };
            let Some((health, name)) = next else {
                self.health.0.unwritten.notified().await;
                continue;
            };
            if let Some(record) = self.record(&name, health.as_ref())
                && let Err(error) = self.publisher.publish(record).await
            {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the health of {name} is not written down yet"
                );
                tokio::time::sleep(TRY_AGAIN).await;
                continue;
            }
            let mut known = self.health.known();
            if known.healths.get(&name) == health.as_ref() {
                known.unwritten.remove(&name);
            }
        }
    }

    fn record(&self, name: &str, health: Option<&AuthorizationHealth>) -> Option<RecordOut> {
        Some(RecordOut {
            key: Some(Bytes::from(key_of(name)?)),
            payload: health.map(|health| Bytes::from(health.encode_to_vec())),
            headers: kafka::headers::standard("lytics.export.v1.AuthorizationHealth", &Context::new()),
            ..RecordOut::new(&self.topic)
        })
    }
}

/// Authorizations that are gone are forgotten, but not what is known of one that only this replica has not heard of yet.
pub(super) fn forget(health: &Health, there: &BTreeSet<String>, now: Timestamp) {
    // Whatever is known of them: another replica may have forgotten that already.
    health.0.turns.keep(there);
    let mut known = health.known();
    let gone: Vec<String> = known
        .healths
        .iter()
        .filter(|(name, _)| !there.contains(*name))
        .filter(|(_, health)| {
            let checked = health.health.as_ref().and_then(checked);
            checked.is_none_or(|checked| now.duration_since(checked) >= FORGET_AFTER)
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in gone {
        known.healths.remove(&name);
        known.unwritten.insert(name);
        health.0.unwritten.notify_one();
    }
}

/// When to ask about an authorization. `checked`: when Braze last said something of its key, and how long that is good for; `asked`:
/// when we last asked.
pub(super) fn due(
    name: &str,
    updated: Timestamp,
    checked: Option<(Timestamp, SignedDuration)>,
    asked: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let share = i32::try_from(stable_hash(&[name.as_bytes()]) % 100).unwrap_or(0);
    // Whoever wrote it may have a clock that is ahead of ours.
    let due = match checked {
        Some((checked, every)) => later(checked.min(now), every - every / 10 * share / 100),
        None => later(updated.min(now), NEW_AFTER),
    };
    asked.map_or(due, |asked| due.max(later(asked, AGAIN_AFTER)))
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
