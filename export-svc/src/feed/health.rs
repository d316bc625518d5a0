//! Whether Braze takes an authorization, and which feeds sleep because it does not.

use std::sync::Arc;

use braze::Url;
use secrecy::SecretString;

use super::{Feed, FeedId, Feeds, JobSet};
use crate::clock::Time;

/// An authorization as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) revision: u64,
    /// What to call Braze with, or why that is not known.
    pub(crate) credential: Result<Arc<Credential>, String>,
}

/// What a call to Braze needs.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) endpoint: Url,
    pub(crate) key: SecretString,
}

/// Whether Braze takes an authorization.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Health {
    Good,
    /// Refused: its jobs sleep until then.
    Refused {
        until: Time,
        refusals: u32,
        reason: String,
    },
    /// Tried again with one request at a time.
    Probing {
        refusals: u32,
        reason: String,
    },
}

#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) grant: Grant,
    pub(crate) health: Health,
    pub(crate) in_flight: usize,
}

impl Feeds {
    pub(super) fn apply_authorizations(&mut self, wanted: &JobSet) {
        self.authorizations
            .retain(|name, _| wanted.authorizations.contains_key(name));
        for (name, grant) in &wanted.authorizations {
            let unchanged = |known: &Authorization| {
                known.grant.revision == grant.revision && known.grant.credential.is_ok() == grant.credential.is_ok()
            };
            if self.authorizations.get(name).is_some_and(unchanged) {
                continue;
            }
            let health = match &grant.credential {
                Ok(_) => Health::Good,
                Err(reason) => Health::Refused {
                    until: Time::MAX,
                    refusals: 0,
                    reason: reason.clone(),
                },
            };
            let in_flight = self.authorizations.get(name).map_or(0, |known| known.in_flight);
            self.authorizations.insert(
                name.clone(),
                Authorization {
                    grant: grant.clone(),
                    health,
                    in_flight,
                },
            );
        }
    }

    /// Why the jobs of an authorization sleep, if they do.
    pub(crate) fn asleep(&self, authorization: &str) -> Option<&str> {
        match self.authorizations.get(authorization).map(|known| &known.health) {
            Some(Health::Refused { reason, .. } | Health::Probing { reason, .. }) => Some(reason),
            Some(Health::Good) => None,
            None => Some("the authorization does not exist"),
        }
    }

    /// Braze refuses an authorization: its feeds are detached until `until`. Gives back which those are.
    pub(crate) fn refuse(&mut self, authorization: &str, until: impl Fn(u32) -> Time, reason: &str) -> Vec<FeedId> {
        let Some(known) = self.authorizations.get_mut(authorization) else {
            return Vec::new();
        };
        let refusals = match &known.health {
            Health::Good => 0,
            Health::Probing { refusals, .. } => *refusals,
            // Requests that were in flight together are refused together, and count once.
            Health::Refused { .. } => return Vec::new(),
        };
        known.health = Health::Refused {
            until: until(refusals),
            refusals: refusals + 1,
            reason: reason.to_owned(),
        };
        let sleeps = |feed: &Feed| feed.attached && feed.job.authorization == authorization;
        let slept = self.feeds.iter().filter(|(_, feed)| sleeps(feed));
        let detached: Vec<_> = slept.map(|(id, _)| *id).collect();
        self.detach(&detached);
        detached
    }

    /// Braze has taken a request of this authorization.
    pub(crate) fn trust(&mut self, authorization: &str) -> bool {
        match self.authorizations.get_mut(authorization) {
            Some(known) if matches!(known.health, Health::Probing { .. }) => {
                known.health = Health::Good;
                true
            }
            _ => false,
        }
    }

    /// Authorizations whose time has come are tried again.
    pub(crate) fn probe(&mut self, now: Time) {
        let mut any = false;
        for known in self.authorizations.values_mut() {
            if let Health::Refused {
                until,
                refusals,
                reason,
            } = &known.health
                && *until <= now
            {
                known.health = Health::Probing {
                    refusals: *refusals,
                    reason: reason.clone(),
                };
                any = true;
            }
        }
        if any {
            self.attach_healthy();
        }
    }

    /// When [`Feeds::probe`] has something to do next.
    pub(crate) fn next_probe(&self) -> Option<Time> {
        let until = |known: &Authorization| match known.health {
            Health::Refused { until, .. } if until < Time::MAX => Some(until),
            _ => None,
        };
        self.authorizations.values().filter_map(until).min()
    }
}
