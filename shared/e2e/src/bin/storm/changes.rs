//! The membership changes, by the seed: few users change often, most of them seldom.

use std::collections::HashSet;

use anyhow::Context as _;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::world::{Audience, AudienceId, Export, Kind, User, audiences};

/// Exponent of the distribution of users (Zipf).
const SKEW: f64 = 1.1;
/// Share of changes that say again what the last one of the same user and audience said.
const REPEATED: f64 = 0.1;
/// Share of changes with which the profile begins to name the other of its users at Braze.
const MOVED: f64 = 0.05;
/// Share of changes of audiences of which every edge is sent, and how many users change there, all as often: opposite edges of one
/// user are sent apart, so there are few of each.
const EDGES: f64 = 0.02;
const EDGE_USERS: u32 = 100;

/// A profile enters or leaves an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) audience: AudienceId,
    pub(crate) user: User,
    pub(crate) enter: bool,
    /// It names its second user at Braze.
    pub(crate) second: bool,
    /// It named the other one before.
    pub(crate) moved: bool,
}

/// Changes without an end; the same for the same seed.
pub(crate) struct Changes {
    random: StdRng,
    users: WeightedIndex<f64>,
    edge_users: u32,
    edges: Vec<AudienceId>,
    others: Vec<AudienceId>,
    audiences: Vec<Audience>,
    members: HashSet<(AudienceId, User)>,
    /// Who names the second of its users at Braze.
    seconds: HashSet<(AudienceId, User)>,
}

impl Changes {
    /// Changes of this many users.
    ///
    /// # Errors
    /// Without users.
    pub(crate) fn new(seed: u64, users: u32) -> anyhow::Result<Self> {
        let audiences = audiences();
        let (edges, others) = (0..audiences.len()).partition(|id| audiences[*id].export == Export::Edges);
        let weights = (1..=users).map(|rank| f64::from(rank).powf(-SKEW));
        Ok(Self {
            random: StdRng::seed_from_u64(seed),
            users: WeightedIndex::new(weights).context("there must be users")?,
            edge_users: users.min(EDGE_USERS),
            edges,
            others,
            audiences,
            members: HashSet::new(),
            seconds: HashSet::new(),
        })
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        let random = &mut self.random;
        let (user, audiences) = if random.random_bool(EDGES) {
            (random.random_range(..self.edge_users), &self.edges)
        } else {
            (u32::try_from(self.users.sample(random)).ok()?, &self.others)
        };
        let user = User(user);
        let audience = *audiences.choose(random)?;
        let key = (audience, user);
        let enter = self.members.contains(&key) == self.random.random_bool(REPEATED);
        let may_move = self.audiences[audience].moves() && user.kind() == Kind::Known;
        let moved = self.random.random_bool(MOVED) && may_move;
        let second = self.seconds.contains(&key) != moved;
        for (set, holds) in [(&mut self.members, enter), (&mut self.seconds, second)] {
            if holds {
                set.insert(key);
            } else {
                set.remove(&key);
            }
        }
        Some(Change {
            audience,
            user,
            enter,
            second,
            moved,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_changes_and_another_one_others() {
        let some = |seed| Changes::new(seed, 1_000).unwrap().take(500).collect::<Vec<_>>();
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }

    #[test]
    fn few_users_change_often_and_most_changes_are_flips() {
        let changes: Vec<_> = Changes::new(1, 10_000).unwrap().take(50_000).collect();
        let of_the_first = changes.iter().filter(|change| change.user == User(0)).count();
        assert!(of_the_first > 5_000, "{of_the_first}");
        let users: HashSet<_> = changes.iter().map(|change| change.user).collect();
        assert!(users.len() > 2_000, "{}", users.len());
        let (mut last, mut flips) = (HashMap::new(), 0);
        for change in &changes {
            let before = last.insert((change.audience, change.user), change.enter);
            flips += usize::from(before.unwrap_or(false) != change.enter);
        }
        assert!(flips > 40_000 && flips < 50_000, "{flips}");
    }

    #[test]
    fn where_every_edge_is_sent_few_users_change_none_very_often_and_nobody_names_another() {
        let audiences = audiences();
        let changes = Changes::new(1, 10_000).unwrap().take(50_000);
        let of_edges = changes.filter(|change| audiences[change.audience].export == Export::Edges);
        let mut times: HashMap<User, usize> = HashMap::new();
        for change in of_edges {
            *times.entry(change.user).or_default() += 1;
            assert!(!change.moved);
        }
        assert_eq!(times.len(), 100);
        assert!(times.values().all(|times| (2..30).contains(times)), "{times:?}");
    }

    #[test]
    fn some_profiles_name_one_of_two_users_by_turns_and_say_so() {
        let mut second = HashMap::new();
        let mut moved = 0;
        for change in Changes::new(1, 10_000).unwrap().take(50_000) {
            let before = second.insert((change.audience, change.user), change.second);
            assert_eq!(before.unwrap_or(false) != change.second, change.moved);
            moved += usize::from(change.moved);
        }
        assert!(moved > 1_000, "{moved}");
    }
}
