//! What people do with a job that exists. Only what they want is written down here; the engine does it, and tells when it has.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::StoredReset;

use super::{ExportJob, ExportJobs, from_stored, to_stored};
use crate::Error;
use crate::record::{self, Resource, State};

/// Resets of a job that are kept: the newest, and so many may wait to be carried out.
const RESETS_MAX: usize = 20;

/// Where audiences of a job are to go on in the membership topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Counts the resets of a job from 1: each is carried out once, in this order.
    pub number: u64,
    /// Which audiences; all of the job if it names none.
    pub audiences: Vec<String>,
    /// (partition, next offset); in other partitions they stay where they are. Offset 0 is the beginning, whatever it is.
    pub offsets: Vec<(i32, i64)>,
    /// When it was asked for.
    pub time: Timestamp,
}

/// A [`Reset`] to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReset {
    /// See [`Reset::audiences`].
    pub audiences: Vec<String>,
    /// See [`Reset::offsets`].
    pub offsets: Vec<(i32, i64)>,
    /// The resets up to this number have been carried out, and no crash can undo that: they need not be kept.
    pub done: u64,
}

impl Reset {
    pub(super) fn to_stored(&self) -> StoredReset {
        StoredReset {
            number: self.number,
            audiences: self.audiences.clone(),
            offsets: to_stored(&self.offsets),
            time: Some(model::time::to_wire(self.time)),
        }
    }

    pub(super) fn from_stored(stored: StoredReset) -> Self {
        Self {
            number: stored.number,
            offsets: from_stored(&stored.offsets),
            audiences: stored.audiences,
            time: stored
                .time
                .as_ref()
                .and_then(model::time::from_wire)
                .unwrap_or_default(),
        }
    }

    /// Whether it is about this audience.
    pub fn is_about(&self, slug: &str) -> bool {
        self.audiences.is_empty() || self.audiences.iter().any(|named| named == slug)
    }
}

pub(super) fn decide_reset(
    state: &impl State,
    name: &str,
    new: &NewReset,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let job: ExportJob = record::fetch(state, name)?;
    let newest = job.resets.last().map_or(0, |reset| reset.number);
    let mut resets = job.resets.clone();
    if resets.len() >= RESETS_MAX {
        let done = resets.iter().take_while(|reset| reset.number <= new.done).count();
        resets.drain(..done.min(resets.len() + 1 - RESETS_MAX));
    }
    if resets.len() >= RESETS_MAX {
        return Err(Error::FailedPrecondition(format!(
            "{RESETS_MAX} resets of {name} wait to be carried out, because nobody serves it; try again when somebody does"
        )));
    }
    resets.push(Reset {
        number: newest + 1,
        audiences: new.audiences.clone(),
        offsets: new.offsets.clone(),
        time: now,
    });
    let job = ExportJob {
        resets,
        update_time: now,
        ..job
    };
    Ok((vec![job.put()], job))
}

pub(super) fn decide_paused(
    state: &impl State,
    name: &str,
    paused: bool,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let job: ExportJob = record::fetch(state, name)?;
    if job.paused == paused {
        let problem = if paused { "is paused already" } else { "is not paused" };
        return Err(Error::FailedPrecondition(format!("{name} {problem}")));
    }
    let job = ExportJob {
        paused,
        update_time: now,
        ..job
    };
    Ok((vec![job.put()], job))
}

impl ExportJobs<'_> {
    /// Pauses a job: it keeps its position, and nothing is read or sent for it until it is resumed.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::FailedPrecondition`] when it is paused already.
    pub async fn pause(&self, account: AccountNumber, id: &str, now: Timestamp) -> Result<ExportJob, Error> {
        self.set_paused(account, id, true, now).await
    }

    /// Lets a paused job go on where it was.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::FailedPrecondition`] when it is not paused.
    pub async fn resume(&self, account: AccountNumber, id: &str, now: Timestamp) -> Result<ExportJob, Error> {
        self.set_paused(account, id, false, now).await
    }

    /// Lets audiences of a job go on elsewhere in the membership topic. Whether there is such a place is for the caller to know.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::FailedPrecondition`] when twenty resets wait to be carried out.
    pub async fn reset(
        &self,
        account: AccountNumber,
        id: &str,
        new: NewReset,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let name = name::format_child(account, name::EXPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_reset(view, &name, &new, now);
        let (job, revision) = self.0.mutate(decide).await?;
        Ok(ExportJob { revision, ..job })
    }

    async fn set_paused(
        &self,
        account: AccountNumber,
        id: &str,
        paused: bool,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let name = name::format_child(account, name::EXPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_paused(view, &name, paused, now);
        let (job, revision) = self.0.mutate(decide).await?;
        Ok(ExportJob { revision, ..job })
    }
}
