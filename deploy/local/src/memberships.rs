//! The membership changes of the demo, and what Braze must hold after them by a plain last-write loop. Shares nothing with
//! `export-svc`, so that the two can disagree.

use std::collections::{BTreeMap, BTreeSet};

/// Profiles that move in and out of audiences.
const PROFILES: u64 = 300;
/// Changes before the jobs exist, and after.
const CHANGES_BEFORE: usize = 500;
const CHANGES_AFTER: usize = 1_500;

/// Exported by external id, those included who were members before the job existed.
pub(crate) const VIP: &str = "vip";
/// The second audience of the same job.
pub(crate) const NEWSLETTER: &str = "newsletter_engaged";
/// Exported by user alias, changes after the job's creation only.
pub(crate) const LAPSED: &str = "lapsed";
/// Label under which the aliases stand at Braze.
pub(crate) const ALIAS_LABEL: &str = "lytics_uid";

/// One membership change.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) audience: &'static str,
    pub(crate) profile: u64,
    pub(crate) enter: bool,
}

impl Change {
    /// Who the change is about, as the exporting job names the person at Braze.
    pub(crate) fn user(&self) -> User {
        match self.audience {
            LAPSED => User::Alias(alias_name(self.profile)),
            _ => User::ExternalId(external_id(self.profile)),
        }
    }
}

/// A Braze user, by the identifier that a job uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum User {
    ExternalId(String),
    /// Name under [`ALIAS_LABEL`].
    Alias(String),
}

pub(crate) fn external_id(profile: u64) -> String {
    format!("cust-{profile}")
}

pub(crate) fn alias_name(profile: u64) -> String {
    format!("ly-{profile}")
}

/// Every profile's alias name.
pub(crate) fn alias_names() -> impl Iterator<Item = String> {
    (0..PROFILES).map(alias_name)
}

/// What is published before the jobs are created, and after.
pub(crate) struct Script {
    pub(crate) before: Vec<Change>,
    pub(crate) after: Vec<Change>,
}

/// The same script on every run: enters and exits at random, every tenth change twice, every seventh undone at once.
pub(crate) fn script() -> Script {
    let mut random = fastrand::Rng::with_seed(20_260_301);
    Script {
        before: changes(&mut random, CHANGES_BEFORE),
        after: changes(&mut random, CHANGES_AFTER),
    }
}

fn changes(random: &mut fastrand::Rng, count: usize) -> Vec<Change> {
    let mut changes = Vec::with_capacity(count + count / 4);
    for number in 0..count {
        let audience = [VIP, NEWSLETTER, LAPSED][random.usize(..3)];
        let profile = random.u64(..PROFILES);
        let change = Change {
            audience,
            profile,
            enter: random.u8(..10) < 6,
        };
        changes.push(change.clone());
        if number % 10 == 0 {
            changes.push(change.clone());
        }
        if number % 7 == 0 {
            changes.push(Change {
                enter: !change.enter,
                ..change
            });
        }
    }
    changes
}

/// Who must hold which slugs in the end: the last change decides; of the audience without existing users only those count
/// that came after the job. Nobody holds an empty set.
pub(crate) fn expected(script: &Script) -> BTreeMap<User, BTreeSet<&'static str>> {
    let counted = script
        .before
        .iter()
        .filter(|change| change.audience != LAPSED)
        .chain(&script.after);
    let mut users: BTreeMap<User, BTreeSet<&'static str>> = BTreeMap::new();
    for change in counted {
        let slugs = users.entry(change.user()).or_default();
        if change.enter {
            slugs.insert(change.audience);
        } else {
            slugs.remove(change.audience);
        }
    }
    users.retain(|_, slugs| !slugs.is_empty());
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_enters_exits_flips_and_duplicates_before_and_after() {
        let script = script();
        for changes in [&script.before, &script.after] {
            assert!(changes.iter().any(|change| change.enter) && changes.iter().any(|change| !change.enter));
            let next_to = |same: bool| {
                changes.windows(2).any(|pair| {
                    let [a, b] = pair else { return false };
                    (a.audience, a.profile) == (b.audience, b.profile) && (a.enter == b.enter) == same
                })
            };
            assert!(next_to(true), "a duplicate");
            assert!(next_to(false), "a flip");
        }
    }

    #[test]
    fn the_last_change_decides() {
        let change = |enter| Change {
            audience: VIP,
            profile: 1,
            enter,
        };
        let script = Script {
            before: vec![change(true)],
            after: vec![change(false), change(true), change(false)],
        };
        assert!(expected(&script).is_empty());
    }
}
