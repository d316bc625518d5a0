//! Whether Braze takes the keys of authorizations.
//!
//! Seen by whoever answers a call that brings a key, by the owner of the Braze workspace's slot about daily (`rounds`), and by
//! whoever delivers, with every request. What is seen is written to `export-progress`, which every replica follows, and never
//! to `control`: it is nothing that somebody wants.

mod check;
mod look_up;
mod rounds;
mod uses;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use braze::Attempt;
use control::Authorization;
use control::sealing::Sealer;
use jiff::{SignedDuration, Timestamp};
use model::name;
use prost::Message;
use proto::authorization::v1::{Health as Observed, HealthStatus};
use proto::export::v1::AuthorizationHealth;
use tokio::sync::Notify;

use self::check::Turns;
pub(crate) use self::rounds::Rounds;
use crate::deliver::shown;
use crate::feed::{Credential, Probed, Used};

/// Keys of these records begin so; those of progress begin with an account's number.
pub(crate) const PREFIX: &str = "health/";
/// How long Braze may take to say whether it takes a key.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A refusal that goes on is written down this often.
const REFUSED_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 1_000;

/// What is known of every authorization; cheap to clone.
#[derive(Clone)]
pub(crate) struct Health(Arc<Inner>);

struct Inner {
    client: braze::Client,
    sealer: Arc<Sealer>,
    known: Mutex<Known>,
    turns: Turns,
    /// There is something to write down.
    unwritten: Notify,
}

/// By name of the authorization, as many as there are.
#[derive(Default)]
struct Known {
    healths: HashMap<String, AuthorizationHealth>,
    unwritten: BTreeSet<String>,
}

impl Health {
    pub(crate) fn new(client: braze::Client, sealer: Arc<Sealer>) -> Self {
        Self(Arc::new(Inner {
            client,
            sealer,
            known: Mutex::default(),
            turns: Turns::default(),
            unwritten: Notify::new(),
        }))
    }

    /// What is known of the key that the authorization holds now.
    pub(crate) fn of(&self, authorization: &Authorization) -> Observed {
        self.seen(&authorization.name(), authorization.secret_revision())
            .unwrap_or_else(|| observed(HealthStatus::Unknown, "not asked yet", None))
    }

    fn seen(&self, name: &str, secret_revision: u64) -> Option<Observed> {
        let known = self.known();
        let health = known.healths.get(name)?;
        health
            .health
            .clone()
            .filter(|_| health.secret_revision == secret_revision)
    }

    /// What a request with updates has shown of the key that it was made with.
    pub(crate) fn observe(&self, used: &Used, attempt: &Attempt) {
        let (seen, now) = (self.seen(&used.name, used.revision), Timestamp::now());
        let probed = uses::EXPORTS.explained(shown(attempt));
        if matches!(probed, Probed::NotKnown) {
            return;
        }
        let health = uses::told(&[(&uses::EXPORTS, probed)], seen.as_ref(), now);
        let goes_on = |seen: Observed| match health.status() {
            HealthStatus::Unhealthy => {
                (seen.status(), &seen.reason) == (health.status(), &health.reason) && is_recent(&seen, now)
            }
            status => seen.status() == status,
        };
        if !seen.is_some_and(goes_on) {
            self.note(&used.name, used.revision, health);
        }
    }

    /// A record of `export-progress` whose key begins with [`PREFIX`]; `rest` is the rest of the key.
    pub(crate) fn take(&self, rest: &str, value: Option<&[u8]>) {
        let Some(name) = name_of(rest) else { return };
        match value.map(AuthorizationHealth::decode) {
            Some(Ok(health)) => {
                let mut known = self.known();
                // What was seen here since is on its way.
                if !known.unwritten.contains(&name) {
                    known.healths.insert(name, health);
                }
            }
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the health of {name} cannot be decoded"
                );
            }
            None => {
                self.known().healths.remove(&name);
            }
        }
    }

    fn note(&self, name: &str, secret_revision: u64, health: Observed) {
        let health = AuthorizationHealth {
            secret_revision,
            health: Some(health),
        };
        let mut known = self.known();
        // An answer about a key that has been replaced since says nothing.
        let newest = known.healths.get(name).map_or(0, |known| known.secret_revision);
        if secret_revision < newest {
            return;
        }
        known.healths.insert(name.to_owned(), health);
        known.unwritten.insert(name.to_owned());
        self.0.unwritten.notify_one();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is locked.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to call Braze with, or why that is not known.
pub(crate) fn credential(authorization: &Authorization, sealer: &Sealer) -> Result<Arc<Credential>, String> {
    let key = authorization.rest_api_key(sealer).map_err(|error| error.to_string())?;
    let endpoint = braze::endpoint(&authorization.instance).map_err(|error| error.to_string())?;
    Ok(Arc::new(Credential { endpoint, key }))
}

/// `<account>/<id>`, of `accounts/<account>/authorizations/<id>`.
fn key_of(name: &str) -> Option<String> {
    let (account, id) = name::child(name, name::AUTHORIZATIONS).ok()?;
    Some(format!("{PREFIX}{account}/{id}"))
}

fn name_of(rest: &str) -> Option<String> {
    let (account, id) = rest.split_once('/')?;
    Some(name::format_child(account.parse().ok()?, name::AUTHORIZATIONS, id))
}

fn is_known(health: &Observed) -> bool {
    matches!(health.status(), HealthStatus::Healthy | HealthStatus::Unhealthy)
}

fn is_refused(health: &Observed) -> bool {
    health.status() == HealthStatus::Unhealthy
}

fn is_recent(health: &Observed, now: Timestamp) -> bool {
    checked(health).is_some_and(|checked| now.duration_since(checked) < REFUSED_EVERY)
}

fn checked(health: &Observed) -> Option<Timestamp> {
    health.check_time.as_ref().and_then(model::time::from_wire)
}

fn observed(status: HealthStatus, reason: &str, time: Option<Timestamp>) -> Observed {
    Observed {
        status: status.into(),
        check_time: time.map(model::time::to_wire),
        reason: reason.chars().take(REASON_CHARS_MAX).collect(),
        uses: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
