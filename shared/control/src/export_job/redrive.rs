//! Omitted changes that are to be sent again. Only the wish is written down here; the engine carries it out, and tells when it has.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kafka::Change;
use model::AccountNumber;
use proto::control::v1::StoredRedrive;

use super::moves::{Move, fetch_for};
use super::{ExportJob, ExportJobs};
use crate::Error;
use crate::record::{Resource, State};

/// What a job has omitted is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Counts with the job's resets and additions.
    pub number: u64,
    /// Only what was omitted for one of these reasons; whatever it was if there is none.
    pub reasons: BTreeSet<String>,
    /// When it was asked for: what is omitted later is not meant.
    pub time: Timestamp,
}

/// A [`Redrive`] to be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRedrive {
    /// See [`Redrive::reasons`].
    pub reasons: BTreeSet<String>,
    /// The one of this number has been carried out, and no crash can undo that.
    pub done: u64,
}

impl Redrive {
    pub(super) fn to_stored(&self) -> StoredRedrive {
        StoredRedrive {
            number: self.number,
            reasons: self.reasons.iter().cloned().collect(),
            time: Some(model::time::to_wire(self.time)),
        }
    }

    pub(super) fn from_stored(stored: StoredRedrive) -> Self {
        Self {
            number: stored.number,
            reasons: stored.reasons.into_iter().collect(),
            time: stored
                .time
                .as_ref()
                .and_then(model::time::from_wire)
                .unwrap_or_default(),
        }
    }
}

/// One that has not been carried out yet becomes part of the new one.
pub(super) fn decide_redrive(
    state: &impl State,
    name: &str,
    new: &NewRedrive,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ExportJob), Error> {
    let mut job = fetch_for(Move::Redrive, state, name, based_on, now)?;
    let waiting = job.redrive.take().filter(|redrive| redrive.number > new.done);
    let reasons = match waiting {
        Some(waiting) if waiting.reasons.is_empty() || new.reasons.is_empty() => BTreeSet::new(),
        Some(waiting) => &waiting.reasons | &new.reasons,
        None => new.reasons.clone(),
    };
    job.last_number += 1;
    job.redrive = Some(Redrive {
        number: job.last_number,
        reasons,
        time: now,
    });
    job.update_time = now;
    Ok((vec![job.put()], job))
}

impl ExportJobs<'_> {
    /// Lets what a job has omitted be sent again.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when the job is not at the revision that was asked for; [`Error::FailedPrecondition`]
    /// when it is killed.
    pub async fn redrive(
        &self,
        account: AccountNumber,
        id: &str,
        new: NewRedrive,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ExportJob, Error> {
        let decide = move |view: &kafka::View, name: &str| decide_redrive(view, name, &new, based_on, now);
        self.write(account, id, decide).await
    }
}
