//! What can be edited of an authorization: what people call it, and how many requests its Braze workspace gets.

use jiff::Timestamp;
use kafka::Change;
use model::name;
use proto::authorization::v1 as wire;

use super::Authorization;
use crate::Error;
use crate::record::{self, Resource, State};

/// What can be edited of an authorization; the key is rotated instead.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationSettings {
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// How many requests the workspace gets.
    pub budget: Budget,
}

/// How many requests a Braze workspace gets from us.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Requests per second. `None`: the installation's setting, or a share of the limit that Braze's answers tell.
    pub requests_per_second: Option<f64>,
    /// How much of the limit that Braze's answers tell is used, above 0 and at most 1. `None`: half of it.
    pub limit_share: Option<f64>,
}

impl Budget {
    /// What holds for a workspace of which both are said: the least of each figure.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let least = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::min);
        Self {
            requests_per_second: least(self.requests_per_second, other.requests_per_second),
            limit_share: least(self.limit_share, other.limit_share),
        }
    }

    /// As the contracts write it; nothing if nothing is set.
    pub fn to_wire(self) -> Option<wire::Budget> {
        let Self {
            requests_per_second,
            limit_share,
        } = self;
        (self != Self::default()).then_some(wire::Budget {
            requests_per_second,
            limit_share,
        })
    }

    /// As the contracts write it.
    pub fn from_wire(budget: Option<wire::Budget>) -> Self {
        let wire::Budget {
            requests_per_second,
            limit_share,
        } = budget.unwrap_or_default();
        Self {
            requests_per_second,
            limit_share,
        }
    }
}

/// No other authorization of the account has its label.
pub(super) fn must_be_free(state: &impl State, wanted: &Authorization) -> Result<(), Error> {
    let siblings = name::format_child(wanted.account, name::AUTHORIZATIONS, "");
    let mut others = record::all::<Authorization>(state, &siblings);
    match others.find(|(_, other)| other.label == wanted.label && other.id != wanted.id) {
        None => Ok(()),
        Some((name, other)) => Err(Error::AlreadyExists(format!(
            "{name} has the label \"{}\" already",
            other.label
        ))),
    }
}

pub(super) fn decide_update(
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
    edit: &impl Fn(&mut AuthorizationSettings),
    now: Timestamp,
) -> Result<(Vec<Change>, Authorization), Error> {
    let known: Authorization = record::fetch(state, name)?;
    if based_on.is_some_and(|revision| revision != known.revision) {
        return Err(Error::Aborted);
    }
    let mut settings = known.settings();
    edit(&mut settings);
    let AuthorizationSettings {
        label,
        description,
        budget,
    } = settings;
    let updated = Authorization {
        label,
        description,
        budget,
        update_time: now,
        ..known
    };
    must_be_free(state, &updated)?;
    Ok((vec![updated.put()], updated))
}
