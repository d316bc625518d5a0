//! Topics: their names, what they must be like, and their creation.

mod check;
mod ensure;
mod spec;

pub use self::check::{Report, check_membership, compaction_lag, examine};
pub(crate) use self::ensure::admin;
pub use self::ensure::{ensure, ensure_membership, partitions};
pub(crate) use self::spec::{Spec, declared};

use crate::Config;

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
        self.named("profile-events")
    }

    /// What could not be normalised.
    pub fn profile_events_rejected(&self) -> String {
        self.named("profile-events.rejected")
    }

    /// Current membership of an account's audiences.
    pub fn audience_membership(&self, account: u64) -> String {
        self.named(&format!("audience-membership.{account}"))
    }

    /// Changes that Braze rejected for good.
    pub fn export_rejected(&self) -> String {
        self.named("export-rejected")
    }

    /// What has happened to export jobs.
    pub fn export_log(&self) -> String {
        self.named("export-log")
    }

    /// Control state.
    pub fn control(&self) -> String {
        self.named("control")
    }

    /// Holds nothing: whoever owns a partition in its consumer group serves the Braze workspaces of that slot.
    pub fn export_placement(&self) -> String {
        self.named("export-placement")
    }

    /// Positions, doubts and counters of exports.
    pub fn export_progress(&self) -> String {
        self.named("export-progress")
    }

    /// Holds nothing: whoever owns a partition in its consumer group looks after the import jobs and files of that slot.
    pub fn import_placement(&self) -> String {
        self.named("import-placement")
    }

    /// How far import jobs and their files are.
    pub fn import_progress(&self) -> String {
        self.named("import-progress")
    }

    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_topic_that_has_a_name_here_is_declared_and_the_other_way_round() {
        let topics = Topics::new(&Config {
            topic_prefix: "p.".to_owned(),
            ..Config::default()
        });
        let named = [
            topics.profile_events(),
            topics.profile_events_rejected(),
            topics.audience_membership(7),
            topics.export_rejected(),
            topics.export_log(),
            topics.control(),
            topics.export_placement(),
            topics.export_progress(),
            topics.import_placement(),
            topics.import_progress(),
        ];
        let declared: BTreeSet<_> = declared(&[7])
            .into_iter()
            .map(|spec| topics.named(&spec.name))
            .collect();
        assert_eq!(declared, named.into());
    }
}
