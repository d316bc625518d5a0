//! What an export job would do with the changes that stand in the membership topic before it. Pure: records in, numbers out.
//!
//! Each record is looked at as the first pass of the job would: its kind, its identifiers, whether Braze can have the slug. What would
//! be sent is kept by user of Braze and audience, the last change of each; an earlier one counts as overtaken, because whether the
//! job still sends it depends on how fast it is. Memory is bounded: of more users than may be remembered, one in two is looked at,
//! one in four, and so on, always the same ones, and the numbers are multiplied.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use braze::Identifier;
use control::{ExportJob, Writes};
use model::{Action, Membership};
use smallvec::SmallVec;

use crate::batch;
use crate::feed::Filter;
use crate::hash::Map;
use crate::route;

/// Changes of users that are remembered: some 45 MB.
const CHANGES_MAX: usize = 900_000;

/// The last word of a user and an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Add,
    Remove,
    /// The slug is removed under an identifier that the profile has no more, along with a change that counts.
    RemoveBefore,
}

/// What a user of Braze would be sent, by audience.
#[derive(Debug, Default)]
struct User {
    changes: SmallVec<[(u16, Last); 2]>,
    /// Braze would create it if it did not know it.
    creatable: bool,
}

/// What a job would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) adds: u64,
    pub(crate) removes: u64,
    pub(crate) nameless: u64,
    /// Not wanted, not usable, or needless.
    pub(crate) omitted: u64,
    pub(crate) overtaken: u64,
    pub(crate) users: u64,
    /// Objects, if none of a user's changes are sent together; of a job that writes no attribute these are they, with those
    /// that are overtaken.
    pub(crate) writes: u64,
    /// Those of them that are events, and purchases.
    pub(crate) events: u64,
    pub(crate) purchases: u64,
    /// Users that Braze would create if it knew none of them.
    pub(crate) created: u64,
    /// One in so many users was looked at.
    pub(crate) one_in: u64,
}

/// Looks at records as the job would.
pub(crate) struct Planner {
    job: ExportJob,
    slugs: HashMap<String, u16>,
    /// By slug: no job has ever exported it to this Braze instance.
    new: Vec<bool>,
    users: Map<u64, User>,
    changes: usize,
    changes_max: usize,
    halvings: u32,
    /// Of unknown seed, so that those who are looked at are nobody's choice.
    hasher: RandomState,
    handed: Filter,
    nameless: u64,
    omitted: u64,
    overtaken: u64,
}

impl Planner {
    pub(crate) fn new(job: ExportJob) -> Self {
        Self::bounded(job, CHANGES_MAX)
    }

    fn bounded(job: ExportJob, changes_max: usize) -> Self {
        let slugs = job.audiences.iter().cloned().zip(0..).collect();
        let new = job.audiences.iter().map(|slug| job.new_audiences.contains(slug));
        Self {
            slugs,
            new: new.collect(),
            job,
            users: Map::default(),
            changes: 0,
            changes_max,
            halvings: 0,
            hasher: RandomState::new(),
            handed: Filter::new(),
            nameless: 0,
            omitted: 0,
            overtaken: 0,
        }
    }

    /// Where the job would begin: what lies before is sent.
    pub(crate) fn ends(&self) -> &[(i32, i64)] {
        if self.job.existing_users { &self.job.start } else { &[] }
    }

    /// Whether a record of this audience is the job's.
    pub(crate) fn wants(&self, slug: &[u8]) -> bool {
        std::str::from_utf8(slug).is_ok_and(|slug| self.slugs.contains_key(slug))
    }

    /// A record of its audiences that cannot be used.
    pub(crate) fn unusable(&mut self) {
        self.omitted += 1;
    }

    /// A change, in the order of its partition.
    pub(crate) fn see(&mut self, membership: &Membership<'_>) {
        let Some(&slug) = self.slugs.get(membership.audience) else {
            return;
        };
        if !self.job.events.include(membership.action) {
            self.omitted += 1;
            return;
        }
        let identifiers = &self.job.identifiers;
        let present = route::identifier(identifiers, &membership.fields);
        let mut earlier = match self.job.leaves_earlier() {
            true => route::earlier(identifiers, membership, present.as_ref()),
            false => Vec::new(),
        };
        let add = membership.action == Action::Enter && present.is_some();
        let Some(counts) = present.or_else(|| earlier.pop()) else {
            self.nameless += 1;
            return;
        };
        if self.new[usize::from(slug)] && self.is_needless(membership, earlier.iter().chain([&counts])) {
            self.omitted += 1;
            return;
        }
        for identifier in &earlier {
            self.put(identifier, slug, Last::RemoveBefore);
        }
        self.put(&counts, slug, if add { Last::Add } else { Last::Remove });
    }

    /// As of the first pass: the enters are remembered.
    fn is_needless<'a>(
        &mut self,
        membership: &Membership<'_>,
        identifiers: impl Iterator<Item = &'a Identifier>,
    ) -> bool {
        let (profile, place) = (batch::profile_key(membership.profile_id), self.job.place());
        let keys = identifiers.flat_map(|identifier| batch::keys(identifier, profile, &place, membership.audience));
        let keys: SmallVec<[u64; 6]> = keys.collect();
        if membership.action == Action::Enter {
            keys.into_iter().for_each(|key| self.handed.add(key));
            return false;
        }
        !keys.into_iter().any(|key| self.handed.may_have(key))
    }

    fn put(&mut self, identifier: &Identifier, slug: u16, last: Last) {
        let hash = self.hasher.hash_one(batch::user_key(identifier));
        if hash.trailing_zeros() < self.halvings {
            return;
        }
        let user = self.users.entry(hash).or_default();
        user.creatable = creatable(identifier) && !self.job.options.update_existing_only;
        match user.changes.iter_mut().find(|(of, _)| *of == slug) {
            Some((_, before)) => {
                self.overtaken += u64::from(*before != Last::RemoveBefore) << self.halvings;
                *before = last;
            }
            None => {
                user.changes.push((slug, last));
                self.changes += 1;
            }
        }
        while self.changes > self.changes_max {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.halvings += 1;
        let halvings = self.halvings;
        self.users.retain(|hash, _| hash.trailing_zeros() >= halvings);
        self.users.shrink_to_fit();
        self.changes = self.users.values().map(|user| user.changes.len()).sum();
    }

    /// What the job would do with what was seen.
    pub(crate) fn plan(&self) -> Plan {
        let one_in = 1_u64 << self.halvings;
        let count = |of: &dyn Fn(&User) -> usize| self.users.values().map(|user| of(user) as u64).sum::<u64>() * one_in;
        let has = |user: &User, last| user.changes.iter().filter(|(_, of)| *of == last).count();
        let last = count(&|user| user.changes.len());
        let each = last + self.overtaken;
        let (writes, events, purchases) = match &self.job.options.writes {
            Writes::Attribute => (last, 0, 0),
            Writes::Events(_) => (each, each, 0),
            Writes::Purchases(_) => (each, 0, each),
        };
        Plan {
            adds: count(&|user| has(user, Last::Add)),
            removes: count(&|user| has(user, Last::Remove)),
            nameless: self.nameless,
            omitted: self.omitted,
            overtaken: self.overtaken,
            users: count(&|_| 1),
            writes,
            events,
            purchases,
            created: count(&|user| usize::from(user.creatable && has(user, Last::Add) > 0)),
            one_in,
        }
    }
}

/// Whether Braze creates a user whom it does not know by this identifier, when it gets a slug (braze.com/docs, "Create and update
/// users"): one of an alias is only updated unless the request says otherwise, and ids of Braze are its own to give.
fn creatable(identifier: &Identifier) -> bool {
    match identifier {
        Identifier::ExternalId(_) | Identifier::Email(_) | Identifier::Phone(_) => true,
        Identifier::BrazeId(_) | Identifier::Alias { .. } => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
