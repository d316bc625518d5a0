//! What people do with a job that exists. Only what they want is written down here.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::imports::v1::ImportJobState;

use super::{ImportJob, ImportJobs};
use crate::Error;
use crate::record::{self, Resource, State};

/// What somebody can do with an import job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMove {
    /// Nothing is read for it until it is resumed; each file keeps its row.
    Pause,
    /// A paused job goes on where it was.
    Resume,
    /// It tries again at once, and looks for files.
    Bounce,
    /// It ends for good; it is still listed.
    Kill,
    /// It has another schedule, or passes over something else.
    SetOptions,
    /// It has another label or description.
    Describe,
}

impl ImportMove {
    /// Why a job in this state cannot be moved so, to be said after its name; `None` if it can.
    pub fn refusal(self, state: ImportJobState) -> Option<&'static str> {
        use ImportJobState as State;
        match (self, state) {
            (Self::Describe, _) => None,
            (Self::Kill, State::Killed) => Some("is killed already"),
            (Self::Kill, _) => None,
            (_, State::Killed) => Some("is killed, and stays so; create another job"),
            (Self::Pause, State::Paused) => Some("is paused already"),
            (Self::Pause, State::Failed) => Some("has failed, and does nothing until it is bounced"),
            (Self::Bounce, State::Paused) => Some("is paused; resume it"),
            (Self::Resume, State::Paused) => None,
            (Self::Resume, _) => Some("is not paused"),
            (Self::Pause | Self::Bounce | Self::SetOptions, _) => None,
        }
    }
}

impl ImportJob {
    /// The state, as its record says it, or else as whoever reads its files does.
    pub fn state(&self, observed: ImportJobState) -> ImportJobState {
        use ImportJobState as State;
        match observed {
            _ if self.killed => State::Killed,
            _ if self.paused => State::Paused,
            // Nobody has begun yet, or learnt yet that it goes on.
            State::Unspecified | State::Paused | State::Killed => State::Runnable,
            observed => observed,
        }
    }
}

/// The job, if it can be moved so, as far as its record says.
pub(super) fn fetch_for(
    what: ImportMove,
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
) -> Result<ImportJob, Error> {
    let job: ImportJob = record::fetch(state, name)?;
    record::check_revision(name, Some(job.revision), based_on)?;
    match what.refusal(job.state(ImportJobState::Runnable)) {
        Some(problem) => Err(Error::FailedPrecondition(format!("{name} {problem}"))),
        None => Ok(job),
    }
}

pub(super) fn decide_move(
    what: ImportMove,
    state: &impl State,
    name: &str,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, ImportJob), Error> {
    let mut job = fetch_for(what, state, name, based_on)?;
    match what {
        ImportMove::Pause => job.paused = true,
        ImportMove::Resume => job.paused = false,
        ImportMove::Bounce => job.bounces += 1,
        ImportMove::Kill => job.killed = true,
        ImportMove::SetOptions | ImportMove::Describe => {}
    }
    job.update_time = now;
    Ok((vec![job.put()], job))
}

/// Ends the job, also one whose record cannot be read.
pub(super) fn decide_delete(state: &impl State, name: &str, based_on: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    let Some(entry) = state.get(&record::key::<ImportJob>(name)) else {
        return Err(Error::NotFound(name.to_owned()));
    };
    record::check_revision(name, Some(entry.revision), based_on)?;
    Ok((vec![record::delete::<ImportJob>(name)], ()))
}

/// Each of them fails with [`Error::NotFound`], with [`Error::Stale`] when the job is not at the revision that was asked for, and
/// with [`Error::FailedPrecondition`] when [`ImportMove::refusal`] says so.
impl ImportJobs<'_> {
    /// Pauses a job: nothing is read for it until it is resumed. Whether it has failed is for the caller to know.
    ///
    /// # Errors
    /// See above.
    pub async fn pause(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        self.make(ImportMove::Pause, account, id, based_on, now).await
    }

    /// Lets a paused job go on.
    ///
    /// # Errors
    /// See above.
    pub async fn resume(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        self.make(ImportMove::Resume, account, id, based_on, now).await
    }

    /// Lets a job try again at once, its bad files too, and look for files.
    ///
    /// # Errors
    /// See above.
    pub async fn bounce(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        self.make(ImportMove::Bounce, account, id, based_on, now).await
    }

    /// Ends a job for good. It stays listed until it is deleted; its authorizations are free.
    ///
    /// # Errors
    /// See above.
    pub async fn kill(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        self.make(ImportMove::Kill, account, id, based_on, now).await
    }

    /// Deletes a job, also one whose record cannot be read.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`.
    pub async fn delete(&self, account: AccountNumber, id: &str, based_on: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::IMPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_delete(view, &name, based_on);
        self.0.mutate(decide).await.map(|_| ())
    }

    async fn make(
        &self,
        what: ImportMove,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<ImportJob, Error> {
        let name = name::format_child(account, name::IMPORT_JOBS, id);
        let decide = move |view: &kafka::View| decide_move(what, view, &name, based_on, now);
        let (job, revision) = self.0.mutate(decide).await?;
        Ok(ImportJob { revision, ..job })
    }
}
