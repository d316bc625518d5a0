//! Asking Braze about a key: when it is given, daily, and when somebody wants to know now.
//!
//! Who wants to know now may be anybody, any number of times, and every answer costs requests of the customer's limit. So callers
//! of one authorization take turns, and within [`ASK_EVERY`] all get the first one's answer. A turn counts from its beginning: who
//! goes away before Braze has answered has spent it all the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::Authorization;
use jiff::Timestamp;
use proto::authorization::v1::Health as Observed;
use tokio::time::Instant;

use super::uses::{self, Use};
use super::{Health, credential, is_known};
use crate::feed::Probed;

/// An authorization is asked about no more often than this because somebody wants to know now.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Who asks about which authorization, by its name: as many as there are.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Turn>>);

type Turn = Arc<tokio::sync::Mutex<Option<Asked>>>;

/// The last turn.
struct Asked {
    secret_revision: u64,
    at: Instant,
    /// `None`: whoever asked went away before the answer came.
    answer: Option<Observed>,
}

impl Turns {
    fn of(&self, name: &str) -> Turn {
        Arc::clone(self.turns().entry(name.to_owned()).or_default())
    }

    /// Forgets those of authorizations that are not there. One that comes back is asked about once more.
    pub(super) fn keep(&self, there: &BTreeSet<String>) {
        self.turns().retain(|name, _| there.contains(name));
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Turn>> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health {
    /// Asks Braze what the key may be used for. An answer that says nothing of the key does not replace one that did.
    pub(crate) async fn check(&self, authorization: &Authorization) -> Observed {
        let asked = self.ask(authorization).await;
        self.noted(authorization, &asked)
    }

    /// The same, and tells what Braze says now, or within [`ASK_EVERY`] has said to somebody else: it is unknown if that is nothing.
    pub(crate) async fn check_now(&self, authorization: &Authorization) -> Observed {
        let (turn, secret_revision) = (self.0.turns.of(&authorization.name()), authorization.secret_revision());
        let mut last = turn.lock().await;
        let recent = |asked: &&Asked| asked.secret_revision == secret_revision && asked.at.elapsed() < ASK_EVERY;
        if let Some(asked) = last.as_ref().filter(recent) {
            return asked.answer.clone().unwrap_or_else(|| self.of(authorization));
        }
        *last = Some(Asked {
            secret_revision,
            at: Instant::now(),
            answer: None,
        });
        let asked = self.ask(authorization).await;
        self.noted(authorization, &asked);
        let answer = uses::told(&asked, None, Timestamp::now());
        if let Some(last) = last.as_mut() {
            last.answer = Some(answer.clone());
        }
        answer
    }

    async fn ask(&self, authorization: &Authorization) -> Vec<(&'static Use, Probed)> {
        match credential(authorization, &self.0.sealer) {
            Ok(credential) => uses::ask(&self.0.client, &credential).await,
            Err(reason) => uses::closed(&reason),
        }
    }

    /// What is known then.
    fn noted(&self, authorization: &Authorization, asked: &[(&Use, Probed)]) -> Observed {
        let (name, secret_revision) = (authorization.name(), authorization.secret_revision());
        let seen = self.seen(&name, secret_revision).filter(is_known);
        let health = uses::told(asked, seen.as_ref(), Timestamp::now());
        if seen.as_ref() != Some(&health) {
            self.note(&name, secret_revision, health.clone());
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use crate::health::rounds::forget;
    use crate::health::tests::{NAME, health};

    use super::*;

    #[test]
    fn who_has_asked_about_an_authorization_that_is_gone_is_forgotten_whatever_is_known_of_it() {
        let health = health();
        for name in [NAME, "accounts/7/authorizations/gone"] {
            drop(health.0.turns.of(name));
        }
        forget(&health, &BTreeSet::from([NAME.to_owned()]), Timestamp::now());
        let turns = health.0.turns.turns();
        assert_eq!(turns.keys().collect::<Vec<_>>(), [NAME]);
    }
}
