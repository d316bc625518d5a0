//! What we use keys for, and which permission each use needs. A new use is a row of the table, with the call that asks.

use braze::{Identifier, Track};
use jiff::Timestamp;
use proto::authorization::v1::{Health as Observed, HealthStatus, UseHealth};

use super::{REASON_CHARS_MAX, is_known, observed};
use crate::deliver::{REFUSES, shown};
use crate::feed::{Credential, Probed};

/// Nobody is called so; who looks for it changes nothing.
const NOBODY: &str = "lytics-braze-asks-for-a-permission";

/// Something that we do at Braze with a customer's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// As the contracts spell it.
    name: &'static str,
    /// In people's words, as the subject of a sentence.
    what: &'static str,
    /// The permission that the key needs, as Braze's dashboard spells it.
    pub(super) permission: &'static str,
    /// A key without it is good for the rest.
    optional: bool,
}

pub(super) const EXPORTS: Use = Use {
    name: "export",
    what: "exports",
    permission: "users.track",
    optional: false,
};

pub(super) const LOOKUPS: Use = Use {
    name: "explain",
    what: "explanations of what Braze holds",
    permission: "users.export.ids",
    optional: true,
};

const USES: [&Use; 2] = [&EXPORTS, &LOOKUPS];

/// Asks about every use at once, by calls that touch nobody.
pub(super) async fn ask(client: &braze::Client, credential: &Credential) -> Vec<(&'static Use, Probed)> {
    let Credential { endpoint, key } = credential;
    let (probe, nobody) = (Track::probe(), Identifier::ExternalId(NOBODY.to_owned()));
    let exports = async { shown(&client.track(endpoint, key, &probe).await) };
    let lookups = async { looked_up(client.user(endpoint, key, &nobody, "").await) };
    let within = super::ANSWER_MAX;
    let (exports, lookups) = tokio::join!(
        tokio::time::timeout(within, exports),
        tokio::time::timeout(within, lookups)
    );
    let probed = |used_for: &'static Use, asked: Result<Probed, _>| {
        let probed = asked.unwrap_or(Probed::NotKnown);
        (used_for, used_for.explained(probed))
    };
    vec![probed(&EXPORTS, exports), probed(&LOOKUPS, lookups)]
}

/// The same for every use: the key cannot be read.
pub(super) fn closed(reason: &str) -> Vec<(&'static Use, Probed)> {
    let refused = || Probed::Refused {
        reason: reason.to_owned(),
    };
    USES.map(|used_for| (used_for, refused())).into()
}

/// Only an answer that is about the key counts, or 404: no such path is there, as behind a proxy that lets exports alone through. That
/// mends itself no sooner than a key does.
pub(super) fn looked_up<T>(answer: Result<T, braze::LookupError>) -> Probed {
    match answer {
        Ok(_) => Probed::Taken,
        Err(error) => match error.status {
            Some(status @ (401 | 403)) => Probed::Refused {
                reason: format!("{REFUSES} (status {status}): {error}"),
            },
            Some(404) => Probed::Refused {
                reason: format!("users cannot be looked up at this address (status 404): {error}"),
            },
            _ => Probed::NotKnown,
        },
    }
}

/// What is known of a key after Braze was asked about some of its uses. What it did not say is as it was seen before. The key is as
/// healthy as its uses that are not optional.
pub(super) fn told(asked: &[(&Use, Probed)], seen: Option<&Observed>, now: Timestamp) -> Observed {
    let mut health = seen.cloned().filter(is_known);
    for (_, probed) in asked.iter().filter(|(used_for, _)| !used_for.optional) {
        match probed {
            Probed::Taken => health = Some(observed(HealthStatus::Healthy, "", Some(now))),
            Probed::Refused { reason } => health = Some(observed(HealthStatus::Unhealthy, reason, Some(now))),
            Probed::NotKnown => {}
        }
    }
    let mut health = health.unwrap_or_else(|| {
        let problem = "Braze could not be asked; it is tried again";
        observed(HealthStatus::Unknown, problem, Some(now))
    });
    let before = |used_for: &Use| seen?.uses.iter().find(|seen| seen.r#use == used_for.name).cloned();
    health.uses = USES
        .iter()
        .map(|used_for| {
            let probed = asked.iter().find(|(asked, _)| asked == used_for);
            match probed {
                Some((_, Probed::Taken)) => used_for.health(HealthStatus::Healthy, ""),
                Some((_, Probed::Refused { reason })) => used_for.health(HealthStatus::Unhealthy, reason),
                Some((_, Probed::NotKnown)) | None => {
                    before(used_for).unwrap_or_else(|| used_for.health(HealthStatus::Unknown, ""))
                }
            }
        })
        .collect();
    health
}

/// Whether Braze has said of every use whether the key may.
pub(super) fn is_whole(health: &Observed) -> bool {
    let known = |used_for: &&Use| {
        let mut uses = health.uses.iter();
        uses.any(|seen| seen.r#use == used_for.name && seen.status() != HealthStatus::Unknown)
    };
    USES.iter().all(known)
}

impl Use {
    fn health(&self, status: HealthStatus, reason: &str) -> UseHealth {
        UseHealth {
            r#use: self.name.to_owned(),
            permission: self.permission.to_owned(),
            status: status.into(),
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            optional: self.optional,
        }
    }

    /// With what is probably missing, if the key is refused. Braze tells one that it does not know from one without the permission in
    /// words alone.
    pub(super) fn explained(&self, probed: Probed) -> Probed {
        match probed {
            Probed::Refused { reason } if reason.starts_with(REFUSES) && !reason.contains("Invalid API key") => {
                let Self { what, permission, .. } = self;
                let reason = format!("{reason}; {what} need a key with the permission {permission}");
                Probed::Refused { reason }
            }
            other => other,
        }
    }
}
