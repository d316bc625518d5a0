//! What there is in the storm: Braze workspaces, their audiences, and users of every kind.

use std::fmt;

/// The accounts. The membership topic of the second one is compacted while its job reads it.
pub(crate) const ACCOUNTS: [u64; 2] = [1234, 1235];
/// How many Braze workspaces there are.
pub(crate) const WORKSPACES: usize = 5;
/// The one that has nothing but a passing job. Those before it have a lasting one as well.
pub(crate) const LONE: usize = 3;
/// The one of the second account.
pub(crate) const COMPACTED: usize = 4;
/// Those with a job that goes back now and then.
pub(crate) const AGAIN: [usize; 2] = [0, COMPACTED];

/// One audience; it goes to one Braze workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) slug: String,
    pub(crate) workspace: usize,
    pub(crate) export: Export,
}

/// How an audience is exported. Those of a workspace that are exported alike have a job together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// By one job from the beginning to the end.
    Lasting,
    /// By jobs that are deleted and created anew.
    Passing,
    /// By one job that goes back in the log now and then.
    Again,
    /// By one job that sends every edge.
    Edges,
}

/// Names an [`Audience`] by its place in [`audiences`].
pub(crate) type AudienceId = usize;

/// All audiences.
pub(crate) fn audiences() -> Vec<Audience> {
    let of = |workspace: usize| {
        let three = [
            ("first", Export::Lasting),
            ("second", Export::Lasting),
            ("passing", Export::Passing),
        ];
        let mut named = match workspace {
            COMPACTED => Vec::new(),
            LONE => three[2..].to_vec(),
            _ => three.to_vec(),
        };
        named.extend(AGAIN.contains(&workspace).then_some(("again", Export::Again)));
        named.extend((workspace == 1).then_some(("edges", Export::Edges)));
        named.into_iter().map(move |(name, export)| Audience {
            slug: format!("{}-{name}", workspace_name(workspace)),
            workspace,
            export,
        })
    };
    (0..WORKSPACES).flat_map(of).collect()
}

/// The account of a workspace.
pub(crate) fn account(workspace: usize) -> u64 {
    ACCOUNTS[usize::from(workspace == COMPACTED)]
}

impl Export {
    pub(crate) const ALL: [Self; 4] = [Self::Lasting, Self::Passing, Self::Again, Self::Edges];
}

impl Audience {
    /// Whether its profiles may name another user at Braze by and by. What takes a slug from the earlier one must be read: not
    /// where it may be compacted away.
    pub(crate) fn moves(&self) -> bool {
        self.workspace != COMPACTED && self.export != Export::Edges
    }
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
    /// The profile has no identifier: they end on the rejected topic, omitted.
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
    fn every_workspace_has_the_jobs_that_the_schedule_is_about() {
        let has = |workspace, export| {
            let mut audiences = audiences().into_iter();
            audiences.any(|audience| (audience.workspace, audience.export) == (workspace, export))
        };
        assert!((0..LONE).all(|workspace| has(workspace, Export::Lasting)));
        assert!((0..=LONE).all(|workspace| has(workspace, Export::Passing)));
        assert!(AGAIN.iter().all(|workspace| has(*workspace, Export::Again)));
        assert!(!has(LONE, Export::Lasting) && !has(COMPACTED, Export::Passing));
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
