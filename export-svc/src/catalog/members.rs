//! Who is a member of which audience, by the newest record of each membership, counted in bounded memory.
//!
//! A member is remembered as a hash of 8 bytes. When there are more of those than may be, the largest audience forgets every
//! second one and counts the rest double: its number is an estimate then, good to 1 % with a hundred such audiences, while smaller
//! ones stay exact.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use model::{Action, Membership};

use crate::hash::Hasher;

/// Hashes of members over all audiences: some 20 MB. Exact up to there.
const HASHES_MAX: usize = 1_000_000;
/// Audiences that are counted.
const AUDIENCES_MAX: usize = 10_000;

/// An audience and how many members it has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Audience {
    pub(crate) slug: String,
    pub(crate) members: u64,
    /// The number is an estimate.
    pub(crate) estimated: bool,
    /// Kafka's time of its newest record.
    pub(crate) changed: Option<Timestamp>,
}

pub(super) struct Members {
    audiences: BTreeMap<String, Counted>,
    hashes: usize,
    hashes_max: usize,
    /// There are more audiences than may be.
    cut: bool,
    /// Of good quality in every bit, and unknown to whoever chooses profile ids.
    hasher: RandomState,
}

#[derive(Default)]
struct Counted {
    members: HashSet<u64, Hasher>,
    /// One of 2 to the power of this many hashes is remembered.
    halvings: u32,
    changed_ms: Option<i64>,
}

impl Default for Members {
    fn default() -> Self {
        Self::bounded(HASHES_MAX)
    }
}

impl Members {
    fn bounded(hashes_max: usize) -> Self {
        Self {
            audiences: BTreeMap::new(),
            hashes: 0,
            hashes_max,
            cut: false,
            hasher: RandomState::new(),
        }
    }

    /// A record, in the order of its partition. What cannot be read is no membership, as for the exports.
    pub(super) fn see(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, time_ms: Option<i64>) {
        let named = key.and_then(|key| std::str::from_utf8(key).ok());
        let Some((slug, profile)) = named.and_then(|key| key.split_once('/')) else {
            return;
        };
        let enters = match value {
            None => false,
            Some(value) => match Membership::read(value, None) {
                Ok(membership) => membership.action == Action::Enter,
                Err(_) => return,
            },
        };
        self.count(slug, profile, enters, time_ms);
    }

    fn count(&mut self, slug: &str, profile: &str, enters: bool, time_ms: Option<i64>) {
        if !self.audiences.contains_key(slug) {
            if self.audiences.len() >= AUDIENCES_MAX {
                self.cut = true;
                return;
            }
            self.audiences.insert(slug.to_owned(), Counted::default());
        }
        let hash = self.hasher.hash_one(profile);
        let Some(audience) = self.audiences.get_mut(slug) else {
            return;
        };
        audience.changed_ms = audience.changed_ms.max(time_ms);
        if !audience.remembers(hash) {
            return;
        }
        if enters {
            self.hashes += usize::from(audience.members.insert(hash));
        } else {
            self.hashes -= usize::from(audience.members.remove(&hash));
        }
        while self.hashes > self.hashes_max {
            self.halve();
        }
    }

    /// The largest audience remembers half as many.
    fn halve(&mut self) {
        let Some(largest) = self
            .audiences
            .values_mut()
            .max_by_key(|audience| audience.members.len())
        else {
            return;
        };
        let before = largest.members.len();
        largest.halvings += 1;
        let members = std::mem::take(&mut largest.members);
        let kept = members.into_iter().filter(|hash| largest.remembers(*hash)).collect();
        largest.members = kept;
        self.hashes -= before - largest.members.len();
    }

    /// By slug.
    pub(super) fn audiences(&self) -> Vec<Audience> {
        let audience = |(slug, counted): (&String, &Counted)| Audience {
            slug: slug.clone(),
            members: (counted.members.len() as u64) << counted.halvings,
            estimated: counted.halvings > 0,
            changed: counted
                .changed_ms
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        };
        self.audiences.iter().map(audience).collect()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Counted {
    fn remembers(&self, hash: u64) -> bool {
        hash.trailing_zeros() >= self.halvings
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::membership::v1::{MembershipAction, MembershipChange};

    use super::*;

    fn record(audience: &str, profile: &str, action: MembershipAction) -> (Vec<u8>, Vec<u8>) {
        let change = MembershipChange {
            account: 7,
            audience_slug: audience.to_owned(),
            profile_id: profile.to_owned(),
            action: action.into(),
            ..MembershipChange::default()
        };
        (format!("{audience}/{profile}").into_bytes(), change.encode_to_vec())
    }

    fn see(members: &mut Members, (key, value): &(Vec<u8>, Vec<u8>), time_ms: i64) {
        members.see(Some(key), Some(value), Some(time_ms));
    }

    fn counts(members: &Members) -> Vec<(String, u64, bool)> {
        let audiences = members.audiences().into_iter();
        audiences
            .map(|audience| (audience.slug, audience.members, audience.estimated))
            .collect()
    }

    #[test]
    fn the_newest_record_of_each_membership_says_who_is_a_member() {
        let mut members = Members::default();
        let (enter, exit) = (MembershipAction::Enter, MembershipAction::Exit);
        for profile in ["1", "2", "2", "3/4"] {
            see(&mut members, &record("vip", profile, enter), 1_000);
        }
        see(&mut members, &record("vip", "1", exit), 3_000);
        see(&mut members, &record("vip", "9", exit), 2_000);
        see(&mut members, &record("news", "2", enter), 500);
        // A tombstone, and what is no membership.
        members.see(Some(b"news/2"), None, Some(700));
        members.see(Some(b"news/5"), Some(b"\xff\xff"), Some(9_000));
        members.see(Some(b"no slash"), None, None);
        members.see(None, None, None);
        assert_eq!(
            counts(&members),
            [("news".to_owned(), 0, false), ("vip".to_owned(), 2, false)]
        );
        let changed: Vec<_> = members.audiences().iter().map(|audience| audience.changed).collect();
        let time = |millis| Some(Timestamp::from_millisecond(millis).unwrap());
        assert_eq!(changed, [time(700), time(3_000)]);
    }

    #[test]
    fn of_more_than_can_be_remembered_the_largest_is_estimated_and_small_ones_stay_exact() {
        let mut members = Members::bounded(4_000);
        for number in 0..100 {
            members.count("small", &number.to_string(), true, None);
        }
        for number in 0..40_000 {
            members.count("large", &number.to_string(), true, None);
        }
        for number in 0..10_000 {
            members.count("large", &number.to_string(), false, None);
        }
        assert!(members.hashes <= 4_000);
        let known: usize = members.audiences.values().map(|audience| audience.members.len()).sum();
        assert_eq!(members.hashes, known);
        let [(_, large, true), (_, 100, false)] = counts(&members)[..] else {
            panic!("{:?}", counts(&members));
        };
        // Seven standard deviations of a sample of one in sixteen.
        assert!((25_000..35_000).contains(&large), "{large}");
    }

    #[test]
    fn there_are_no_more_audiences_than_can_be_counted() {
        let mut members = Members::default();
        for number in 0..AUDIENCES_MAX {
            members.count(&number.to_string(), "1", true, None);
        }
        assert!(!members.is_cut());
        members.count("one more", "1", true, None);
        assert!(members.is_cut());
        assert_eq!(members.audiences().len(), AUDIENCES_MAX);
    }
}
