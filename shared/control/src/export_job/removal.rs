//! Audiences that have left a job, or whose job is killed, and whose slugs are to be removed from their members at Braze. Only the wish
//! is written down here; the engine carries it out, and tells when it has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::StoredRemoval;

use super::moves::{Move, fetch_for};
use super::{ExportJob, ExportJobs};
use crate::Error;
use crate::record::{self, Resource, State};

/// Audiences of one job whose removal may be going on at once: as many as a job may have.
const PENDING_MAX: usize = 1_000;

/// Audiences that left a job at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Counts with the job's resets and additions: what is known of such an audience from before this number is of a time when the
    /// job exported it.
    pub number: u64,
    /// Their slugs.
    pub audiences: Vec<String>,
}

/// Removals that have been carried out, and that no crash can undo: by job and audience the newest one's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeMap<(String, String), u64>);

impl Removed {
    /// Of this job (by name) the removal of this number is over for this audience.
    pub fn insert(&mut self, job: String, audience: String, number: u64) {
        self.0.insert((job, audience), number);
    }

    fn has(&self, job: &ExportJob, audience: &str, number: u64) -> bool {
        let known = self.0.get(&(job.name(), audience.to_owned()));
        known.is_some_and(|known| *known >= number)
    }
}

impl Removal {
    pub(super) fn to_stored(&self) -> StoredRemoval {
        StoredRemoval {
            number: self.number,
            audiences: self.audiences.clone(),
        }
    }

    pub(super) fn from_stored(stored: StoredRemoval) -> Self {
        Self {
            number: stored.number,
            audiences: stored.audiences,
        }
    }
}

impl ExportJob {
    /// With which of its removals an audience has left; `None` if it has not, or kept its slug.
    pub fn removal(&self, audience: &str) -> Option<&Removal> {
        let is_of = |removal: &&Removal| removal.audiences.iter().any(|slug| slug == audience);
        self.removals.iter().find(is_of)
    }

    /// The number with which an audience came to the job, or left it: what is known from before is of another life.
    pub fn life(&self, audience: &str) -> u64 {
        let left = self.removal(audience).map(|removal| removal.number);
        let came = || self.addition(audience).map(|addition| addition.number);
        left.or_else(came).unwrap_or(0)
    }

    /// What there is to be done for: the audiences that it exports, and those whose slugs it removes.
    pub fn served(&self) -> impl Iterator<Item = &String> {
        let exported = self.audiences.iter().filter(|_| !self.killed);
        exported.chain(self.removals.iter().flat_map(|removal| &removal.audiences))
    }

    /// Whether an engine has nothing to do for it.
    pub fn is_over(&self) -> bool {
        self.killed && self.removals.is_empty()
    }

    /// Audiences whose slugs are still being removed, as far as anybody knows.
    pub fn still_removes<'a>(&'a self, removed: &'a Removed) -> impl Iterator<Item = &'a String> {
        let pending = move |removal: &'a Removal| {
            let audiences = removal.audiences.iter();
            audiences.filter(|slug| !removed.has(self, slug, removal.number))
        };
        self.removals.iter().flat_map(pending)
    }

    /// It has ended, whatever it was before.
    pub(super) fn kill(&mut self, removed: &Removed) {
        self.killed = true;
        // Or what it still removes would wait for somebody who cannot resume it.
        self.paused = false;
        self.forget(removed);
    }

    /// Removals that are over are remembered no longer.
    fn forget(&mut self, removed: &Removed) {
        let before = std::mem::take(&mut self.removals);
        for mut removal in before {
            let number = removal.number;
            removal.audiences.retain(|slug| !removed.has(self, slug, number));
            if !removal.audiences.is_empty() {
                self.removals.push(removal);
            }
        }
    }

    /// The slugs of audiences that leave it are removed.
    pub(super) fn remove_slugs(&mut self, leaving: Vec<String>, removed: &Removed) -> Result<(), Error> {
        if !leaving.is_empty() && !self.options.writes.is_attribute() {
            return Err(Error::FailedPrecondition(format!(
                "{} writes no attribute, so there are no slugs to remove",
                self.name()
            )));
        }
        self.forget(removed);
        let pending: usize = self.removals.iter().map(|removal| removal.audiences.len()).sum();
        if pending > 0 && pending + leaving.len() > PENDING_MAX {
            return Err(Error::FailedPrecondition(format!(
                "{} still removes the slugs of {pending} audiences, and of {PENDING_MAX} at most at once; wait for them",
                self.name()
            )));
        }
        if !leaving.is_empty() {
            self.last_number += 1;
            self.removals.push(Removal {
                number: self.last_number,
                audiences: leaving,
            });
        }
        Ok(())
    }
}

/// That nobody still removes the slug of an audience that the job exports: whom the job gives it would lose it again.
pub(super) fn check(state: &impl State, job: &ExportJob, removed: &Removed) -> Result<(), Error> {
    let of_account = name::format_child(job.account, name::EXPORT_JOBS, "");
    for (name, other) in record::all::<ExportJob>(state, &of_account) {
        // The job itself as it is to be.
        let other = if name == job.name() { job } else { &other };
        if other.workspace != job.workspace || other.place() != job.place() {
            continue;
        }
        let audience = other.still_removes(removed).find(|slug| job.audiences.contains(slug));
        if let Some(audience) = audience {
            return Err(Error::FailedPrecondition(format!(
                "{name} (\"{}\") still removes audience {audience} from {} of the same Braze workspace; wait until `export-svc jobs \
                 get` says that it is done, or delete that job to leave the rest as it is",
                other.label, other.options.attribute
            )));
        }
    }
    Ok(())
}

/// Kills a job whose slugs are to be removed.
pub(super) fn decide_kill_and_remove(
    state: &impl State,
    name: &str,
    removed: &Removed,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let mut job = fetch_for(Move::Kill, state, name, based_on, now)?;
    job.kill(removed);
    let leaving = job.audiences.clone();
    job.remove_slugs(leaving, removed)?;
    job.update_time = now;
    Ok((vec![job.put()], job))
}

impl ExportJobs<'_> {
    /// The same jobs, for whoever knows which removals are over; without that, none is.
    #[must_use]
    pub fn knowing(self, removed: Removed) -> Self {
        Self { removed, ..self }
    }

    /// Ends a job for good, and lets the slugs of its audiences be removed from their members: it is killed when that is over.
    ///
    /// # Errors
    /// As [`ExportJobs::kill`]; [`Error::FailedPrecondition`] also when it still removes the slugs of too many audiences.
    pub async fn kill_and_remove(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let removed = self.removed.clone();
        let decide = move |view: &kafka::View, name: &str| decide_kill_and_remove(view, name, &removed, based_on, now);
        self.write(account, id, decide).await
    }
}
