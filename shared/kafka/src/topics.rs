//! Topics: their names, what they must be like, and their creation.

use crate::{Config, Error};

/// Full topic names under the configured prefix.
#[derive(Clone, Debug)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Names under `config.topic_prefix`.
    pub fn new(config: &Config) -> Self {
        Self {
            prefix: config.topic_prefix.clone(),
        }
    }
    /// Profile events.
    pub fn profile_events(&self) -> String {
        format!("{}profile-events", self.prefix)
    }
    /// What could not be normalised.
    pub fn profile_events_rejected(&self) -> String {
        format!("{}profile-events.rejected", self.prefix)
    }
    /// Current membership of an account's audiences.
    pub fn audience_membership(&self, account: u64) -> String {
        format!("{}audience-membership.{account}", self.prefix)
    }
    /// Changes that Braze rejected for good.
    pub fn export_rejected(&self) -> String {
        format!("{}export-rejected", self.prefix)
    }
    /// Control state.
    pub fn control(&self) -> String {
        format!("{}control", self.prefix)
    }
    /// Positions, doubts and counters of exports.
    pub fn export_progress(&self) -> String {
        format!("{}export-progress", self.prefix)
    }
}

/// Creates whatever topic is missing, also the membership topics of `accounts`; the names of those created.
pub async fn ensure(config: &Config, accounts: &[u64]) -> Result<Vec<String>, Error> {
    let _ = (config, accounts);
    unimplemented!()
}

/// Creates the membership topic of one account if it is missing.
pub async fn ensure_membership(config: &Config, account: u64) -> Result<(), Error> {
    let _ = (config, account);
    unimplemented!()
}

/// What is wrong with the membership topic of an account, in words; empty if it is as we require it.
pub async fn check_membership(config: &Config, account: u64) -> Result<Vec<String>, Error> {
    let _ = (config, account);
    unimplemented!()
}
