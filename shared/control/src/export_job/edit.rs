//! What can be changed of a job that exists: what people call it, its guard, its audiences, and some of its options.

use jiff::Timestamp;
use kafka::Change;
use model::AccountNumber;
use proto::control::v1::StoredAddition;

use super::moves::{Move, fetch_for};
use super::{ExportJob, ExportJobs, OptionsEdit, Removed, check_others, from_stored, removal, to_stored};
use crate::authorization::Authorization;
use crate::record::{self, Resource, State};
use crate::{Error, exported};

/// Offsets that the additions of a job hold in all: some 500 KB of its record, which Kafka takes up to a megabyte of.
const OFFSETS_MAX: usize = 50_000;

/// Audiences that came to a job at once, after it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Counted together with the job's resets, from 1: what is known of such an audience from before this number is of a time
    /// when the job had it before.
    pub number: u64,
    /// Those of them that the job still has.
    pub audiences: Vec<String>,
    /// (partition, offset) of the membership topic when they came; where they start unless the job sends existing users.
    pub start: Vec<(i32, i64)>,
}

impl Addition {
    pub(super) fn to_stored(&self) -> StoredAddition {
        StoredAddition {
            number: self.number,
            audiences: self.audiences.clone(),
            start: to_stored(&self.start),
        }
    }

    pub(super) fn from_stored(stored: StoredAddition) -> Self {
        Self {
            number: stored.number,
            audiences: stored.audiences,
            start: from_stored(&stored.start),
        }
    }
}

/// What is to be different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportJobEdit {
    /// See [`ExportJob::label`].
    pub label: Option<String>,
    /// See [`ExportJob::description`].
    pub description: Option<String>,
    /// All audiences that the job is to have, each once.
    pub audiences: Option<Vec<String>>,
    /// The slugs of those that leave it are to be removed from their members at Braze.
    pub remove_slugs: bool,
    /// See [`Guard::percent`](crate::Guard::percent).
    pub guard_percent: Option<u32>,
    /// Other options.
    pub options: OptionsEdit,
    /// (partition, offset): the end of the membership topic now. Needed with `audiences`.
    pub start: Vec<(i32, i64)>,
}

impl ExportJob {
    /// With which of its additions an audience came; `None` if it was there from the beginning.
    pub fn addition(&self, audience: &str) -> Option<&Addition> {
        let is_of = |addition: &&Addition| addition.audiences.iter().any(|slug| slug == audience);
        self.additions.iter().find(is_of)
    }

    /// Lets the job have these audiences and no others. Gives back what else is to be written.
    fn set_audiences(
        &mut self,
        state: &impl State,
        wanted: &[String],
        start: &[(i32, i64)],
    ) -> Result<Vec<Change>, Error> {
        let added: Vec<_> = wanted
            .iter()
            .filter(|slug| !self.audiences.contains(slug))
            .cloned()
            .collect();
        self.audiences = wanted.to_vec();
        self.new_audiences.retain(|slug| wanted.contains(slug));
        for addition in &mut self.additions {
            addition.audiences.retain(|slug| wanted.contains(slug));
        }
        self.additions.retain(|addition| !addition.audiences.is_empty());
        if added.is_empty() {
            return Ok(Vec::new());
        }
        let authorization: Authorization = record::fetch(state, &self.authorization)?;
        let (new, changes) = exported::decide_new(state, self, &authorization.instance, &added);
        self.new_audiences.extend(new);
        self.last_number += 1;
        self.additions.push(Addition {
            number: self.last_number,
            audiences: added,
            start: start.to_vec(),
        });
        let offsets: usize = self.additions.iter().map(|addition| addition.start.len()).sum();
        if offsets > OFFSETS_MAX {
            return Err(Error::FailedPrecondition(format!(
                "audiences were added to {} too often to remember where each began; create another job for more",
                self.name()
            )));
        }
        Ok(changes)
    }
}

pub(super) fn decide_update(
    state: &impl State,
    name: &str,
    edit: &ExportJobEdit,
    removed: &Removed,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let what = if edit.options != OptionsEdit::default() {
        Move::SetOptions
    } else if edit.audiences.is_some() {
        Move::SetAudiences
    } else {
        Move::Describe
    };
    let mut job = fetch_for(what, state, name, based_on, now)?;
    job.options.edit(&edit.options);
    if edit.audiences.is_some() {
        // With a later expiry it is completed no more.
        job.must_allow(Move::SetAudiences, now)?;
    }
    if edit.guard_percent.is_some_and(|percent| percent > 0) && !job.options.writes.is_attribute() {
        return Err(Error::FailedPrecondition(format!(
            "{name} is of type {}: it removes nothing at Braze, so it has no guard; leave guard_percent out",
            job.options.writes.type_name()
        )));
    }
    job.update_time = now;
    job.label = edit.label.clone().unwrap_or(job.label);
    job.description = edit.description.clone().unwrap_or(job.description);
    job.guard.percent = edit.guard_percent.unwrap_or(job.guard.percent);
    if let Some(wanted) = &edit.audiences {
        let leaving = job
            .audiences
            .iter()
            .filter(|slug| edit.remove_slugs && !wanted.contains(slug));
        let leaving = leaving.cloned().collect();
        job.remove_slugs(leaving, removed)?;
    }
    let mut changes = match &edit.audiences {
        Some(wanted) => job.set_audiences(state, wanted, &edit.start)?,
        None => Vec::new(),
    };
    if edit.label.is_some() || edit.audiences.is_some() {
        check_others(state, &job)?;
    }
    if edit.audiences.is_some() {
        removal::check(state, &job, removed)?;
    }
    // The last record's revision is the job's.
    changes.push(job.put());
    Ok((changes, job))
}

impl ExportJobs<'_> {
    /// Changes a job. An audience that is added begins as those of a new job do; one that is removed ends.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when the job is not at the revision that the edit is based on;
    /// [`Error::FailedPrecondition`] when the job is killed, or has too much to remove already; and those of
    /// [`ExportJobs::create`] for label and audiences.
    pub async fn update(
        &self,
        account: AccountNumber,
        id: &str,
        edit: ExportJobEdit,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let removed = self.removed.clone();
        let decide = move |view: &kafka::View, name: &str| decide_update(view, name, &edit, &removed, based_on, now);
        self.write(account, id, decide).await
    }
}
