//! Whether Braze takes an authorization, and which feeds sleep because it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use braze::Url;
use secrecy::SecretString;

use super::{FeedId, Feeds, JobSet};
use crate::clock::Time;

/// An authorization as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// Of its key: nothing else of it matters here.
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
    /// Its feeds are served. `refusals`: in a row, since Braze last took something of it.
    Good { refusals: u32 },
    /// Refused, or not usable at all: its jobs sleep until then.
    Refused { until: Time, refusals: u32, reason: String },
    /// A call that holds no update asks whether Braze takes it again; its jobs sleep on.
    Probing { refusals: u32, reason: String },
}

#[derive(Debug)]
pub(crate) struct Authorization {
    grant: Grant,
    health: Health,
}

/// An authorization as it was when a call was made with it: what Braze says to that call says nothing of a later key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Used {
    pub(crate) name: String,
    pub(crate) revision: u64,
}

/// What a probe has shown.
#[derive(Debug)]
pub(crate) enum Probed {
    Taken,
    Refused {
        reason: String,
    },
    /// Braze was away, or had no time.
    NotKnown,
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
                Ok(_) => Health::Good { refusals: 0 },
                Err(reason) => Health::Refused {
                    until: Time::MAX,
                    refusals: 0,
                    reason: reason.clone(),
                },
            };
            let grant = grant.clone();
            self.authorizations
                .insert(name.clone(), Authorization { grant, health });
        }
    }

    /// Why the jobs of an authorization sleep, if they do.
    pub(crate) fn asleep(&self, authorization: &str) -> Option<&str> {
        match self.authorizations.get(authorization).map(|known| &known.health) {
            Some(Health::Refused { reason, .. } | Health::Probing { reason, .. }) => Some(reason),
            Some(Health::Good { .. }) => None,
            None => Some("the authorization does not exist"),
        }
    }

    /// What to make a call with: the preferred authorization, else any that Braze takes, since all of them are keys of one
    /// Braze workspace.
    pub(crate) fn caller(&self, preferred: &str) -> Option<(Used, Arc<Credential>)> {
        let preferred = self.authorizations.get_key_value(preferred);
        preferred
            .into_iter()
            .chain(&self.authorizations)
            .find_map(|(name, known)| {
                let credential = known.grant.credential.as_ref().ok()?;
                matches!(known.health, Health::Good { .. }).then(|| (known.used(name), Arc::clone(credential)))
            })
    }

    /// Braze refuses an authorization: its feeds are detached until `until`. Gives back which those are.
    pub(crate) fn refuse(&mut self, used: &Used, until: impl Fn(u32) -> Time, reason: &str) -> Vec<FeedId> {
        let Some(known) = self.known(used) else {
            return Vec::new();
        };
        // Requests that were in flight together are refused together, and count once.
        let Health::Good { refusals } = known.health else {
            return Vec::new();
        };
        known.health = Health::Refused {
            until: until(refusals),
            refusals: refusals + 1,
            reason: reason.to_owned(),
        };
        let detached = self.held();
        self.detach(&detached);
        self.serve();
        detached
    }

    /// Braze has taken updates with this authorization.
    pub(crate) fn trust(&mut self, used: &Used) {
        if let Some(known) = self.known(used)
            && matches!(known.health, Health::Good { .. })
        {
            known.health = Health::Good { refusals: 0 };
        }
    }

    /// Authorizations whose time has come are to be asked about; each answer goes to [`Feeds::probed`].
    pub(crate) fn probe(&mut self, now: Time) -> Vec<(Used, Arc<Credential>)> {
        let mut probes = Vec::new();
        for (name, known) in &mut self.authorizations {
            if let (
                Health::Refused {
                    until,
                    refusals,
                    reason,
                },
                Ok(credential),
            ) = (&known.health, &known.grant.credential)
                && *until <= now
            {
                probes.push((known.used(name), Arc::clone(credential)));
                known.health = Health::Probing {
                    refusals: *refusals,
                    reason: reason.clone(),
                };
            }
        }
        probes
    }

    /// The end of a probe. True if the feeds of the authorization are served again.
    pub(crate) fn probed(&mut self, used: &Used, probed: Probed, until: impl Fn(u32) -> Time) -> bool {
        let Some(known) = self.known(used) else {
            return false;
        };
        let Health::Probing { refusals, reason } = known.health.clone() else {
            return false;
        };
        known.health = match probed {
            Probed::Taken => Health::Good { refusals },
            Probed::Refused { reason } => Health::Refused {
                until: until(refusals),
                refusals: refusals + 1,
                reason,
            },
            Probed::NotKnown => Health::Refused {
                until: until(0),
                refusals,
                reason,
            },
        };
        let taken = matches!(known.health, Health::Good { .. });
        if taken {
            self.serve();
        }
        taken
    }

    /// These authorizations are asked about as soon as may be, if they are refused, and the wait grows anew.
    pub(super) fn ask_soon(&mut self, names: &BTreeSet<String>) {
        for name in names {
            if let Some(known) = self.authorizations.get_mut(name)
                && let Health::Refused { until, refusals, .. } = &mut known.health
                && *until < Time::MAX
            {
                (*until, *refusals) = (Time::MIN, 0);
            }
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

    /// Whether the authorization is as it was when it was used.
    pub(super) fn is_current(&self, used: &Used) -> bool {
        let known = self.authorizations.get(&used.name);
        known.is_some_and(|known| known.grant.revision == used.revision)
    }

    /// The authorization, unless it has changed since it was used.
    fn known(&mut self, used: &Used) -> Option<&mut Authorization> {
        let known = self.authorizations.get_mut(&used.name)?;
        (known.grant.revision == used.revision).then_some(known)
    }
}

impl Authorization {
    fn used(&self, name: &str) -> Used {
        Used {
            name: name.to_owned(),
            revision: self.grant.revision,
        }
    }
}
