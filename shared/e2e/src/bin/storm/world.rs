//! What there is in the storm: Braze workspaces, their audiences, and users of every kind.

use std::fmt;

/// The account that everything belongs to.
pub(crate) const ACCOUNT: u64 = 1234;
/// How many Braze workspaces there are; the last one has nothing but a passing job.
pub(crate) const WORKSPACES: usize = 4;

/// One audience; it goes to one Braze workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) slug: String,
    pub(crate) workspace: usize,
    /// Exported by one job from the beginning to the end. The others are exported by jobs that are deleted and created anew.
    pub(crate) lasting: bool,
}

/// Names an [`Audience`] by its place in [`audiences`].
pub(crate) type AudienceId = usize;

/// All audiences: two lasting ones and a passing one per workspace, and a passing one alone in the last workspace.
pub(crate) fn audiences() -> Vec<Audience> {
    let of = |workspace: usize| {
        let lone = workspace + 1 == WORKSPACES;
        let names: &[(&str, bool)] = if lone {
            &[("passing", false)]
        } else {
            &[("first", true), ("second", true), ("passing", false)]
        };
        names.iter().map(move |(name, lasting)| Audience {
            slug: format!("{}-{name}", workspace_name(workspace)),
            workspace,
            lasting: *lasting,
        })
    };
    (0..WORKSPACES).flat_map(of).collect()
}

pub(crate) fn workspace_name(workspace: usize) -> String {
    format!("w{workspace}")
}

/// A profile at Lytics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct User(pub(crate) u32);

/// What comes of a user's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Braze takes them.
    Known,
    /// Braze refuses them for good: they end on the rejected topic.
    Refused,
    /// The profile has no identifier: they are omitted.
    Nameless,
}

impl User {
    pub(crate) fn kind(self) -> Kind {
        match self.0 % 50 {
            7 => Kind::Refused,
            19 => Kind::Nameless,
            _ => Kind::Known,
        }
    }

    pub(crate) fn profile(self) -> String {
        format!("p{}", self.0)
    }

    /// The user at Braze that it names: its first one, or its second.
    pub(crate) fn named(self, second: bool) -> Name {
        Name { user: self, second }
    }

    pub(crate) fn of_profile(text: &str) -> Option<Self> {
        text.strip_prefix('p')?.parse().ok().map(Self)
    }
}

/// A user at Braze. Some profiles name one of two by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) user: User,
    pub(crate) second: bool,
}

impl Name {
    pub(crate) fn external_id(self) -> String {
        format!("{}{}", if self.second { 'v' } else { 'u' }, self.user.0)
    }

    pub(crate) fn of_external_id(text: &str) -> Option<Self> {
        let (number, second) = match text.strip_prefix('u') {
            Some(number) => (number, false),
            None => (text.strip_prefix('v')?, true),
        };
        Some(User(number.parse().ok()?).named(second))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.profile())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.external_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workspace_has_a_passing_audience_and_the_last_has_nothing_else() {
        let audiences = audiences();
        for workspace in 0..WORKSPACES {
            let lasting: Vec<_> = audiences
                .iter()
                .filter(|audience| audience.workspace == workspace)
                .map(|audience| audience.lasting)
                .collect();
            let expected: &[bool] = if workspace + 1 == WORKSPACES {
                &[false]
            } else {
                &[true, true, false]
            };
            assert_eq!(lasting, expected);
        }
    }

    #[test]
    fn a_user_is_found_again_by_every_name() {
        let user = User(42);
        assert_eq!(User::of_profile(&user.profile()), Some(user));
        for second in [false, true] {
            let name = user.named(second);
            assert_eq!(Name::of_external_id(&name.external_id()), Some(name));
        }
        assert_eq!(Name::of_external_id("p42"), None);
    }
}
